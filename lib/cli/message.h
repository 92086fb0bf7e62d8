/* What a program says on standard error: lines for people, or with --log-format json an object a
 * line: {"time","tool","level","message"}, and of a failed record "file","line","column","code",
 * "member" (formats/README.md). Never text of a record.
 */
#ifndef CLI_MESSAGE_H
#define CLI_MESSAGE_H

#include <stddef.h>

#include "base/buf.h"
#include "base/status.h"

enum message_format { MESSAGE_TEXT, MESSAGE_JSON };
enum message_level { MESSAGE_INFO, MESSAGE_WARNING, MESSAGE_ERROR };

extern int message_format; /* enum message_format, of --log-format */

/* The name in front of all that follows; not copied. */
void message_tool(const char *name);

void message(enum message_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same for each line of a text. */
void message_lines(enum message_level level, const struct buf *lines);

/* A record failed. number 0: it is no line of a file. */
void message_record(const char *file, size_t number, const struct status *why);

/* `members`, of --stats or alike, as JSON; `text` as a line. */
void message_members(const struct buf *members, struct text text);

#endif
