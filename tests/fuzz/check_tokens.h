/* For fuzz targets of tokenizers: what holds for any tokens, whatever the vocabulary. */
#ifndef FUZZ_CHECK_TOKENS_H
#define FUZZ_CHECK_TOKENS_H

#include <stdlib.h>

#include "text/detokenizer.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

static inline void check(bool ok)
{
    if (!ok)
        abort();
}

/* Ids of the vocabulary. */
static inline void check_ids(const struct tokenizer *tokenizer, const struct tokens *tokens)
{
    for (size_t i = 0; i < tokens->n; i++)
        check(tokens->ids[i] >= 0 && tokens->ids[i] < tokenizer_vocab_size(tokenizer));
}

/* Decoded token by token, what is out is whole characters at every step. */
static inline void check_decoded(const struct tokenizer *tokenizer, const struct tokens *tokens)
{
    struct detokenizer d;
    struct buf out = {0};

    detokenizer_init(&d, tokenizer, true);
    for (size_t i = 0; i <= tokens->n; i++) {
        buf_reset(&out);
        if (i < tokens->n)
            detokenizer_push(&d, tokens->ids[i], &out);
        else
            detokenizer_flush(&d, &out);
        check(unicode_is_valid(buf_text(&out)));
    }
    buf_release(&out);
}

#endif
