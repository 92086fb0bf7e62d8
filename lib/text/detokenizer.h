/* Token ids -> text, one id at a time: what has been appended is always whole UTF-8.
 *
 * Bytes of a character that is not complete yet are held back; bytes that cannot become one turn
 * into U+FFFD, one for each maximal part of a character (Unicode 3.9, "substitution of maximal
 * subparts"), as Python's and Rust's lossy decoders do. Control tokens are dropped unless shown.
 */
#ifndef TEXT_DETOKENIZER_H
#define TEXT_DETOKENIZER_H

#include "base/buf.h"
#include "text/tokenizer.h"

struct detokenizer {
    const struct tokenizer *tokenizer; /* must outlive this */
    bool show_control;
    bool started;  /* a token was shown: WordPiece words are parted by a space from now on */
    char held[4];  /* the bytes of an incomplete character */
    size_t n_held; /* 0..3 */
};

void detokenizer_init(struct detokenizer *detokenizer, const struct tokenizer *tokenizer,
                      bool show_control);

/* Append what `id` completes to *out. An id outside the vocabulary adds nothing. */
void detokenizer_push(struct detokenizer *detokenizer, int32_t id, struct buf *out);

/* The end: append U+FFFD if a character stayed incomplete, and be as after init. */
void detokenizer_flush(struct detokenizer *detokenizer, struct buf *out);

#endif
