/* A list of token ids that grows. Zeroed = valid and empty. */
#ifndef TEXT_TOKENS_H
#define TEXT_TOKENS_H

#include <stddef.h>
#include <stdint.h>

struct tokens {
    int32_t *ids; /* ours; NULL while nothing was pushed */
    size_t n;
    size_t cap;
};

void tokens_push(struct tokens *tokens, int32_t id);
void tokens_reserve(struct tokens *tokens, size_t n); /* room for n more */
void tokens_reset(struct tokens *tokens);             /* empty, capacity kept */
void tokens_release(struct tokens *tokens);

#endif
