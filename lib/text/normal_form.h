/* Unicode's normal forms, as utf8proc has them (Unicode 15.0), in time proportional to the text. */
#ifndef TEXT_NORMAL_FORM_H
#define TEXT_NORMAL_FORM_H

#include "base/buf.h"
#include "text/tokens.h"

enum normal_form { NORMAL_FORM_NFC, NORMAL_FORM_NFD, NORMAL_FORM_NFKC, NORMAL_FORM_NFKD };

/* What one text at a time needs; kept for the next. Zeroed = valid and empty. */
struct normal_form_scratch {
    struct tokens points; /* code points of a stretch */
    struct tokens marks;
};
void normal_form_scratch_release(struct normal_form_scratch *scratch);

/* Append the normal form of a text to *out. A malformed byte stays what it is. */
void normal_form_append(enum normal_form form, struct normal_form_scratch *scratch,
                        struct text text, struct buf *out);

/* Canonical order: marks between two starters, by combining class, equals as they came; `spare` is
 * scratch space. */
void normal_form_order(int32_t *marks, size_t n, struct tokens *spare);

#endif
