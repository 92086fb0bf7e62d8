/* The lines of some streams, one after the other: operands or standard input, plain or gzip.
 *
 * A line ends at "\n", "\r\n" or the end of its stream; one byte order mark at the start of a
 * stream is dropped. A line over the limit costs one line, not the memory, and not the stream.
 * Lines are handed out as they arrive, even while the writer keeps a pipe open.
 */
#ifndef FORMATS_JSONL_H
#define FORMATS_JSONL_H

#include <stdint.h>

#include "base/status.h"
#include "base/text.h"

struct line {
    struct text bytes; /* without the line end; into the reader, valid until the next call */
    const char *file;  /* "stdin" or the operand; valid until jsonl_close */
    size_t number;     /* from 1, within the file */
    bool too_long;     /* over the limit: bytes is empty, size tells how long it was */
    bool unfinished;   /* the stream ended before a line end came */
    uint64_t size;     /* bytes of the line in the stream, without its end */
    uint64_t position; /* bytes taken from all files so far, compressed ones as they are stored */
};

struct jsonl;

enum jsonl_result {
    JSONL_LINE,   /* *line is the next one */
    JSONL_END,    /* no more lines */
    JSONL_FAILED, /* nothing can be read any more; *status says which file and why */
};

/* paths: operands, "-" is standard input; none at all: standard input. They stay the caller's and
 * must live until jsonl_close. Files are opened when their turn comes; only a first file that is
 * not there fails here (STATUS_NO_INPUT). max_line: bytes a line may have without its end. */
struct jsonl *jsonl_open(const char *const *paths, size_t n_paths, size_t max_line,
                         struct status *status) MUST_CHECK;
void jsonl_close(struct jsonl *jsonl); /* NULL allowed */

enum { JSONL_MOST_SHARDS = 1000000 };

/* A part of one file: k of n ranges of its bytes, as equal as can be, 1 <= k <= n. A line belongs
 * to the range that has its first byte; line numbers are those of the whole file. The parts one
 * after the other are the file. */
struct jsonl_shard {
    uint64_t k, n; /* n 0: the whole */
};

/* STATUS_USAGE unless the operands are one regular file that is not packed. */
bool jsonl_shard_check(const char *const *paths, size_t n_paths, struct status *status) MUST_CHECK;

/* Before the first jsonl_next of such an operand. */
void jsonl_shard_set(struct jsonl *jsonl, struct jsonl_shard shard);

/* Waits for the next line. STATUS_NO_INPUT: a file is not there; STATUS_IO: reading failed;
 * STATUS_DATA: a gzip stream is broken. */
enum jsonl_result jsonl_next(struct jsonl *jsonl, struct line *line,
                             struct status *status) MUST_CHECK;

/* From another thread or a signal handler: jsonl_next, now or later, returns JSONL_END instead of
 * waiting for more bytes. */
void jsonl_interrupt(struct jsonl *jsonl);

/* Bytes of all files together as they are stored, for `position` to be compared with; 0: not known
 * (a pipe). */
uint64_t jsonl_total_size(const struct jsonl *jsonl);

#endif
