/* A template filled with a record's members, but for one: where that one goes is kept as marks, so
 * that it can be put in at several lengths without reading the record again. */
#ifndef TEXT_PROMPT_RENDER_H
#define TEXT_PROMPT_RENDER_H

#include "base/buf.h"
#include "formats/prompt_template.h"
#include "formats/record.h"

struct prompt_text {
    struct buf frame; /* everything but the member left out */
    size_t *marks;    /* offsets in the frame where it goes, ascending */
    size_t n_marks;
};

/* n: what {n} becomes. left_out: the member to leave out; NULL: none.
 * STATUS_INPUT: "missing", "type" or "value" with the member. The caller releases either way. */
bool prompt_render(const struct prompt_template *template, const struct record *record, int n,
                   const char *left_out, struct prompt_text *text,
                   struct status *status) MUST_CHECK;
void prompt_render_release(struct prompt_text *text);

/* Appends the frame with `value` at each mark. */
void prompt_render_fill(const struct prompt_text *text, struct text value, struct buf *out);

/* Appends the member of a record as it stands in a prompt: a string, number or boolean. */
bool prompt_render_member(const struct record *record, const char *name, struct buf *out,
                          struct status *status) MUST_CHECK;

#endif
