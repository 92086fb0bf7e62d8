#include "text/tokens.h"

#include <stdlib.h>

#include "base/memory.h"

void tokens_reserve(struct tokens *tokens, size_t n)
{
    size_t cap = tokens->cap ? tokens->cap : 64;

    if (n <= tokens->cap - tokens->n)
        return;
    while (cap - tokens->n < n)
        cap *= 2;
    tokens->ids = memory_resize(tokens->ids, cap, sizeof(*tokens->ids));
    tokens->cap = cap;
}

void tokens_push(struct tokens *tokens, int32_t id)
{
    if (tokens->n == tokens->cap)
        tokens_reserve(tokens, 1);
    tokens->ids[tokens->n++] = id;
}

void tokens_reset(struct tokens *tokens)
{
    tokens->n = 0;
}

void tokens_release(struct tokens *tokens)
{
    free(tokens->ids);
    *tokens = (struct tokens){0};
}
