#include "model/bert_pass.h"

#include <stdlib.h>

#include "base/memory.h"

void bert_pass_init(struct bert_pass *pass, int max_tokens)
{
    *pass =
        (struct bert_pass){.max_rows = max_tokens > BERT_PASS_ROWS ? max_tokens : BERT_PASS_ROWS};
    pass->tokens = memory_zeroed((size_t)pass->max_rows, sizeof(*pass->tokens));
    pass->positions = memory_zeroed((size_t)pass->max_rows, sizeof(*pass->positions));
    pass->types = memory_zeroed((size_t)pass->max_rows, sizeof(*pass->types));
}

void bert_pass_release(struct bert_pass *pass)
{
    free(pass->tokens);
    free(pass->positions);
    free(pass->types);
    *pass = (struct bert_pass){0};
}

bool bert_pass_fits(const struct bert_pass *pass, size_t n)
{
    return pass->n_segments < BERT_PASS_TEXTS && n <= (size_t)(pass->max_rows - pass->n_rows);
}

void bert_pass_add(struct bert_pass *pass, const struct tokens *tokens, const struct tokens *types)
{
    const int n = (int)tokens->n;

    pass->segments[pass->n_segments] = (struct segment){pass->n_segments, pass->n_rows, n, 0, -1};
    pass->n_segments++;
    for (int i = 0; i < n; i++) {
        const int row = pass->n_rows++;

        pass->tokens[row] = tokens->ids[i];
        pass->positions[row] = i;
        pass->types[row] = types ? types->ids[i] : 0;
    }
}

struct batch bert_pass_batch(const struct bert_pass *pass)
{
    return (struct batch){
        .n_rows = pass->n_rows,
        .tokens = pass->tokens,
        .positions = pass->positions,
        .types = pass->types,
        .n_segments = pass->n_segments,
        .segments = pass->segments,
    };
}

void bert_pass_clear(struct bert_pass *pass)
{
    pass->n_rows = 0;
    pass->n_segments = 0;
}
