/* Where records go: standard output, or a file that appears only when it is complete.
 *
 * A file is written beside its place under another name, mode 0600, and takes its name and mode
 * (that of the file it replaces, else what the umask leaves) on commit, after fsync. A name that
 * ends in ".gz" is compressed. What is there and not a regular file (/dev/null, a fifo) is written
 * as it is. A symbolic link keeps being one: the file it points to is replaced.
 */
#ifndef FORMATS_OUTPUT_FILE_H
#define FORMATS_OUTPUT_FILE_H

#include <stdint.h>

#include "base/status.h"
#include "base/text.h"

struct output_file;

/* path NULL or "-": standard output. STATUS_IO if it cannot be made. */
struct output_file *output_file_open(const char *path, struct status *status) MUST_CHECK;

/* The same, written at `temporary` beside it, whatever is there; NULL: a name of its own. */
struct output_file *output_file_open_as(const char *path, const char *temporary,
                                        struct status *status) MUST_CHECK;

/* It stays mode 0600. */
void output_file_keep_private(struct output_file *output);

/* On commit, a file that is there and holds the same bytes stays as it is, its times included. */
void output_file_keep_same(struct output_file *output);

/* Writes all of it, straight through but for what gzip holds back. STATUS_IO names the file. A
 * failed output can only be discarded. */
bool output_file_write(struct output_file *output, struct text bytes,
                       struct status *status) MUST_CHECK;

/* The end: everything on disk and the name in place. Frees `output`, also on failure, which leaves
 * no file behind. */
bool output_file_commit(struct output_file *output, struct status *status) MUST_CHECK;

/* No file, no temporary file. NULL allowed. What standard output has got stays. */
void output_file_discard(struct output_file *output);

/* A whole file at once. */
bool output_file_put(const char *path, struct text bytes, struct status *status) MUST_CHECK;

/* The name of the file being written, to be removed if we die; NULL if there is none. */
const char *output_file_temporary(const struct output_file *output);
/* Bytes given to output_file_write so far. */
uint64_t output_file_size(const struct output_file *output);

#endif
