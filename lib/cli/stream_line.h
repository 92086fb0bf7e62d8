/* From a line of the input to the record of a job. */
#ifndef CLI_STREAM_LINE_H
#define CLI_STREAM_LINE_H

#include "base/status.h"
#include "cli/stream.h"
#include "formats/jsonl.h"

/* text_member: the line is plain text, which becomes this member of a record; NULL: it is a record.
 * False: STATUS_INPUT with its kind and column, or what record_parse gives. */
bool stream_line_parse(struct job *job, const struct line *line, const char *text_member,
                       struct status *status) MUST_CHECK;

#endif
