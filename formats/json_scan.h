/* Where things stand in a line of JSON, and why it is none.
 *
 * jansson makes the tree of a record; it does not tell where in the line a member stands, refuses
 * numbers that are legal JSON but fit no C type, and quotes the text in its messages. This walk
 * over the same bytes answers with offsets, limits and reasons that show nothing of the text.
 */
#ifndef FORMATS_JSON_SCAN_H
#define FORMATS_JSON_SCAN_H

#include "base/status.h"
#include "base/text.h"

/* A member of the outermost object: offsets into the text. */
struct json_span {
    size_t name, name_end;   /* the name with its quotes */
    size_t value, value_end; /* the value without spaces round it */
};

/* Zeroed = valid and empty. */
struct json_scan {
    struct json_span *spans; /* ours: the members of the outermost object in their order */
    size_t n_spans, spans_cap;
    size_t *wide; /* ours: offsets of numbers that fit neither int64_t nor a finite double */
    size_t n_wide, wide_cap;
};

/* The text, which must have a zero byte behind it, holds one JSON object nested at most max_depth
 * deep (the object itself counts). False: STATUS_INPUT with kind ("json", "object", "utf8", "nul",
 * "surrogate", "depth", "blank") and column; spans then are those of the members found before.
 * Names that occur twice are not noticed. */
bool json_scan_object(struct json_scan *scan, struct text text, int max_depth,
                      struct status *status) MUST_CHECK;
void json_scan_release(struct json_scan *scan);

/* The end of the number that starts at `at` in a valid text. */
size_t json_scan_number_end(struct text text, size_t at);

#endif
