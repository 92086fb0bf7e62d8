/* Compact JSON of our own -> JSON for people: a member or item a line, two spaces a level, as
 * Python's json.dump(indent=2) lays it out. Strings and numbers stay as they are spelled. */
#ifndef FORMATS_JSON_INDENT_H
#define FORMATS_JSON_INDENT_H

#include "base/buf.h"
#include "base/text.h"

/* Appends it with a line end. `json` must be valid and without space between its values. */
void json_indent(struct text json, struct buf *out);

#endif
