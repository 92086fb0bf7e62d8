/* Token ids -> text, one id at a time: what has been appended is always whole UTF-8.
 *
 * Bytes of a character that is not complete yet are held back; bytes that cannot become one turn
 * into U+FFFD, one for each maximal part of a character (Unicode 3.9, "substitution of maximal
 * subparts"), as Python's and Rust's lossy decoders do; of byte tokens (<0xE2>) as the tokenizer's
 * own decoder does it (enum tokenizer_damage). Control tokens are dropped unless shown, and the
 * space that encoding puts in front of a text is, too (enum tokenizer_lead).
 */
#ifndef TEXT_DETOKENIZER_H
#define TEXT_DETOKENIZER_H

#include "base/buf.h"
#include "text/tokenizer.h"

/* TOKENIZER_DAMAGE_RUN decides about a run of byte tokens at its end; about a longer one, in pieces
 * of this size. */
enum { DETOKENIZER_MAX_HELD = 64 };

struct detokenizer {
    const struct tokenizer *tokenizer; /* must outlive this */
    bool show_control;
    bool started;   /* a token was shown: WordPiece words are parted by a space from now on */
    bool lead_over; /* the text has begun: its spaces stay from now on */
    char held[DETOKENIZER_MAX_HELD]; /* the bytes of an incomplete character, or a run of them */
    size_t n_held;
};

void detokenizer_init(struct detokenizer *detokenizer, const struct tokenizer *tokenizer,
                      bool show_control);

/* After init: the text goes on where another ended, so its first space stays. */
void detokenizer_go_on(struct detokenizer *detokenizer);

/* Append what `id` completes to *out. An id outside the vocabulary adds nothing. */
void detokenizer_push(struct detokenizer *detokenizer, int32_t id, struct buf *out);

/* The end: append U+FFFD if a character stayed incomplete, and be as after init. */
void detokenizer_flush(struct detokenizer *detokenizer, struct buf *out);

#endif
