/* WordPiece: normalised text -> words -> longest pieces of a vocabulary.
 *
 *   words       between white space; each punctuation character is one (ASCII 21-2F, 3A-40, 5B-60,
 *               7B-7E or P*); bert_unicode.h says which
 *   pieces      greedy, longest first, with ## inside of a word; a word that cannot be spelled or
 *               is too long is one [UNK]
 */
#ifndef TEXT_WORDPIECE_H
#define TEXT_WORDPIECE_H

#include "text/tokens.h"
#include "text/trie.h"

/* Zeroed = valid, and every word is id 0. */
struct wordpiece {
    struct trie heads;  /* pieces that begin a word */
    struct trie tails;  /* pieces within one, without their ## */
    int32_t ascii[128]; /* a word of one such character */
    int32_t unknown_id;
    size_t max_word; /* code points */
};

/* Piece i has id i; `prefix` (##) marks those that go on within a word. */
bool wordpiece_init(struct wordpiece *wordpiece, const struct text *pieces, size_t n,
                    struct text prefix, int32_t unknown_id, size_t max_word,
                    struct status *status) MUST_CHECK;
void wordpiece_release(struct wordpiece *wordpiece);

/* Append the ids of `text` to *out; words end where it ends. */
void wordpiece_encode(const struct wordpiece *wordpiece, struct text text, struct tokens *out);

#endif
