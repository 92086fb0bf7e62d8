/* BERT's normaliser: text -> text.
 *
 *   clean       drop U+0000, U+FFFD and Cc, Cf, Co, Cs but for \t \n \r; white space -> a space
 *   chinese     a space on both sides of each CJK ideograph
 *   accents     canonical decomposition, then without Mn
 *   lower case  full, without context
 *
 * A malformed byte becomes U+FFFD, or goes with it.
 */
#ifndef TEXT_BERT_NORMALIZER_H
#define TEXT_BERT_NORMALIZER_H

#include "base/buf.h"
#include "text/tokens.h"

struct bert_normalizer {
    bool clean_text;
    bool chinese_chars;
    bool strip_accents;
    bool lowercase;
};

struct bert_known;

/* What one text at a time needs; kept for the next. Zeroed = valid and empty. */
struct bert_normalizer_scratch {
    struct tokens marks; /* code points that wait for their canonical order */
    struct tokens ordered;
    struct bert_known *known;           /* ours: what characters beyond ASCII became */
    struct bert_normalizer known_under; /* these options */
};
void bert_normalizer_scratch_release(struct bert_normalizer_scratch *scratch);

void bert_normalizer_append(const struct bert_normalizer *options,
                            struct bert_normalizer_scratch *scratch, struct text text,
                            struct buf *out);

#endif
