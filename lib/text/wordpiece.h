/* WordPiece with BERT's normaliser: text -> words -> longest pieces of a vocabulary.
 *
 *   clean       drop U+0000, U+FFFD and Cc, Cf, Co, Cs but for \t \n \r; white space -> a space
 *   chinese     a space on both sides of each CJK ideograph
 *   accents     canonical decomposition, then without Mn
 *   lower case  full, without context
 *   words       between white space; each punctuation character is one (ASCII 21-2F, 3A-40, 5B-60,
 *               7B-7E or P*); bert_unicode.h says which
 *   pieces      greedy, longest first, with ## inside of a word; a word that cannot be spelled or
 * is too long is one [UNK]
 */
#ifndef TEXT_WORDPIECE_H
#define TEXT_WORDPIECE_H

#include "base/buf.h"
#include "text/tokens.h"
#include "text/trie.h"

struct wordpiece_options {
    bool clean_text;
    bool chinese_chars;
    bool strip_accents;
    bool lowercase;
    size_t max_word; /* code points */
};

/* Zeroed = valid, and every word is id 0. */
struct wordpiece {
    struct trie heads; /* pieces that begin a word */
    struct trie tails; /* pieces within one, without their ## */
    struct wordpiece_options options;
    int32_t unknown_id;
};

/* What one wordpiece_encode at a time needs; kept for the next. Zeroed = valid and empty. */
struct wordpiece_scratch {
    struct buf word;     /* normalised; at most max_word code points are kept */
    size_t n_chars;      /* of the word, those not kept included */
    struct tokens marks; /* code points that wait for their canonical order */
    struct tokens ordered;
};

/* Piece i has id i. */
bool wordpiece_init(struct wordpiece *wordpiece, const struct text *pieces, size_t n,
                    int32_t unknown_id, const struct wordpiece_options *options,
                    struct status *status) MUST_CHECK;
void wordpiece_release(struct wordpiece *wordpiece);
void wordpiece_scratch_release(struct wordpiece_scratch *scratch);

/* Append the ids of `text` to *out; words end where it ends. */
void wordpiece_encode(const struct wordpiece *wordpiece, struct wordpiece_scratch *scratch,
                      struct text text, struct tokens *out);

#endif
