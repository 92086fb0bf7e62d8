/* --retry FILE: lines of an --errors file, mended, take the places of the error records that they
 * had become. The input is the earlier run's output.
 *
 * An entry is an object with `line` and `raw`, the mended line; what else it has counts for
 * nothing.
 */
#ifndef CLI_RETRY_H
#define CLI_RETRY_H

#include <stddef.h>

#include "base/status.h"
#include "base/text.h"
#include "formats/record.h"

struct retry;

/* tool: whose error records are meant. max_line: as --max-line. All of the file is kept. NULL:
 * STATUS_NO_INPUT, or STATUS_DATA naming line and reason: no object, no `line` or `raw`, a line
 * twice, lines of several files. */
struct retry *retry_open(const char *path, const char *tool, size_t max_line,
                         struct status *status) MUST_CHECK;

/* Is there a mended line for this error record? Then where it came from, and what it is now; the
 * text lives as long as retry. */
bool retry_take(struct retry *retry, const struct record *failed, size_t *number,
                struct text *mended);

/* Every entry was taken. STATUS_DATA names the first that was not. */
bool retry_all_taken(const struct retry *retry, struct status *status) MUST_CHECK;
void retry_close(struct retry *retry); /* NULL allowed */

#endif
