/* Tokens that are looked for in a text before anything else, and how much white space they take
 * with them: as Hugging Face's tokenizers does it.
 *
 * The leftmost token is found, the longest of those. A `single_word` one counts only where no word
 * character stands beside it (what it covers is then passed over); `lstrip` takes the white space
 * before it, `rstrip` that behind it.
 */
#ifndef TEXT_ADDED_TOKENS_H
#define TEXT_ADDED_TOKENS_H

#include <stdbool.h>

#include "text/trie.h"

enum { ADDED_SINGLE_WORD = 1, ADDED_LSTRIP = 2, ADDED_RSTRIP = 4 };

struct added_token {
    struct text content; /* not empty */
    int32_t id;
    unsigned flags; /* ADDED_* */
};

/* Zeroed = valid and empty. */
struct added_tokens {
    struct trie trie;           /* content -> place in tokens */
    struct added_token *tokens; /* ours; their contents are not kept */
    bool first[256];            /* does a token begin with this byte? */
    bool second[256];           /* may this be its second, or behind one of one byte? */
};

/* Of equal contents the first counts. */
bool added_tokens_init(struct added_tokens *added, const struct added_token *tokens, size_t n,
                       struct status *status) MUST_CHECK;
void added_tokens_release(struct added_tokens *added);

/* A walk over the tokens in a text. Zeroed = at its beginning. */
struct added_walk {
    size_t scan;                   /* where the search goes on */
    size_t done;                   /* where the text that is not in a token yet begins */
    size_t space_begin, space_end; /* white space that was measured last */
};

/* The next token: its id, and the text before it, which may be empty. -1: there is none, and
 * *before is the rest of the text. */
int32_t added_tokens_next(const struct added_tokens *added, struct text text,
                          struct added_walk *walk, struct text *before);

#endif
