/* struct score_totals as a JSON file, exact both ways: what --partial writes and --merge reads.
 *
 * The layout is in formats/README.md. A file may come from anywhere: every number is checked
 * against its range and, where that can be seen, against the others. No text of a record is in it;
 * the ids of the worst ones are.
 */
#ifndef RUN_SCORE_PARTIAL_H
#define RUN_SCORE_PARTIAL_H

#include "base/buf.h"
#include "base/status.h"
#include "base/text.h"
#include "run/score_totals.h"

enum { SCORE_PARTIAL_VERSION = 1 };

/* Appends the file, one line and its end. Equal totals give equal bytes. */
void score_partial_write(struct score_totals *totals, struct buf *out);

/* NULL and STATUS_DATA (or STATUS_NO_INPUT, _IO, _MEMORY) with the file, the member and the reason.
 */
struct score_totals *score_partial_read(const char *path, struct status *status) MUST_CHECK;
/* The same from bytes; the message has no file name. */
struct score_totals *score_partial_parse(struct text bytes, struct status *status) MUST_CHECK;

#endif
