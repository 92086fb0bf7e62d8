/* A text cut into passages of so many tokens, at the borders of sentences.
 *
 * A passage is as many sentences as fit. A sentence that does not fit alone is cut between words, a
 * word that does not between characters. White space between passages belongs to none; all else
 * belongs to one, and with an overlap the last sentences of a passage also begin the next.
 */
#ifndef TEXT_CHUNK_H
#define TEXT_CHUNK_H

#include "text/tokenizer.h"

enum { CHUNK_MIN_TOKENS = 16 }; /* so that any character fits */

struct chunk_options {
    const struct tokenizer *tokenizer;
    unsigned flags;    /* of the encoding: TOKENIZER_SPECIAL counts special tokens */
    size_t max_tokens; /* of a passage, at least CHUNK_MIN_TOKENS; room for special tokens */
    size_t overlap; /* tokens of whole sentences that a passage shares with the one before, at most;
                     * without special tokens */
};

struct chunk {
    size_t begin, end; /* bytes */
    size_t n_tokens;   /* at most max_tokens */
};

struct chunks {
    struct chunk *items; /* ours, [n]; in order */
    size_t n, cap;
};

void chunks_release(struct chunks *chunks);

/* Fill *chunks (emptied first). STATUS_INPUT: as tokenizer_encode. */
bool chunk_text(const struct chunk_options *options, struct text text, struct chunks *chunks,
                struct status *status) MUST_CHECK;

#endif
