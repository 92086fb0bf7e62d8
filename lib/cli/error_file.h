/* --errors FILE: the lines that failed, as they came, each with its place and the reason.
 *
 *     {"file":"q.jsonl","line":2,"error":{"tool",...},"raw":"..."}
 *
 * `raw` is the line as text; where it is not UTF-8, `raw_base64` has its bytes. A line over
 * --max-line was not kept: `raw` is null and `bytes` its length. The file holds text of records:
 * mode 0600, whatever it was before.
 */
#ifndef CLI_ERROR_FILE_H
#define CLI_ERROR_FILE_H

#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"

struct error_file;

/* Drops what lies behind the first `size` bytes of the file; STATUS_DATA if it has fewer. */
struct error_file *error_file_open(const char *path, uint64_t size,
                                   struct status *status) MUST_CHECK;
uint64_t error_file_size(const struct error_file *errors); /* 0 if it is no regular file */
void error_file_close(struct error_file *errors);          /* NULL allowed */

struct error_file_entry {
    const char *tool;
    const char *file;
    size_t number; /* of the line */
    const struct status *why;
    struct text raw;
    uint64_t size; /* of the line; more than raw has: it was too long to keep */
};

bool error_file_write(struct error_file *errors, const struct error_file_entry *entry,
                      struct status *status) MUST_CHECK;
/* Everything on disk. */
bool error_file_sync(struct error_file *errors, struct status *status) MUST_CHECK;

#endif
