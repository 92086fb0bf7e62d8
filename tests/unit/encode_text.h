/* Encoding where it must not fail: what only a hostile tokenizer file makes possible. */
#ifndef UNIT_ENCODE_TEXT_H
#define UNIT_ENCODE_TEXT_H

#include <stdio.h>
#include <stdlib.h>

#include "text/tokenizer.h"

static inline void encode_text(const struct tokenizer *tokenizer, struct text text, unsigned flags,
                               struct tokens *out)
{
    struct status status;

    if (!tokenizer_encode(tokenizer, text, flags, out, &status)) {
        fprintf(stderr, "tokenizer_encode: %s\n", status.message);
        abort();
    }
}

#endif
