/* Text -> the terms that lexical matching counts.
 *
 * A word is a longest run of letters, marks and numbers (Unicode categories L*, M*, N*), each code
 * point put in lower case; words of a short stop list of English are dropped; the others lose a
 * plural s by the S-stemmer (Harman, JASIS 1991, "How effective is suffixing?"), words of more than
 * three code points only: ies -> y (not after a, e), es -> e (not after a, e, o), s -> none (not
 * after u, s); the first rule whose ending fits decides. tests/golden/bm25.py says the same.
 */
#ifndef RANK_TERMS_H
#define RANK_TERMS_H

#include <stddef.h>

#include "base/buf.h"

struct terms {
    struct buf bytes; /* the terms, UTF-8, one behind the other */
    size_t *ends;     /* ours; term i is bytes[ends[i - 1], ends[i]) */
    size_t n;
    size_t cap;
};

/* The terms of valid UTF-8 in the order of the text, repeats included; replaces what was there. */
void terms_split(struct terms *terms, struct text text);

struct text terms_at(const struct terms *terms, size_t i); /* into terms, until the next split */
void terms_release(struct terms *terms);

#endif
