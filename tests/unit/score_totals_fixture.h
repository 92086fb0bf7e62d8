/* For the tests of totals: records as they are drawn, and totals of them. */
#ifndef UNIT_SCORE_TOTALS_FIXTURE_H
#define UNIT_SCORE_TOTALS_FIXTURE_H

#include <stdio.h>

#include "base/hash.h"
#include "draw.h"
#include "run/score_partial.h"
#include "run/score_summary.h"

static const struct score_protocol fixture_compare = {
    .model = "small@0123456789abcdef",
    .adapters = "lora@fedcba9876543210",
    .tokenizer = "tokenizer.json",
    .kernels = "scalar",
    .truncate = "head",
    .max_length = 1024,
    .compare = true,
};

/* Record i of some run, drawn from its number alone; some have a reason, or no region but one. */
static inline void fixture_result(uint64_t i, struct score_result results[2])
{
    struct draw draw = {i};
    const bool framed = draw_below(&draw, 4) > 0;

    results[0] = results[1] = (struct score_result){.truncated = draw_below(&draw, 5) ? 0 : 3};
    if (i % 29 == 3) {
        results[1].reason = i % 2 ? "the model computed no number" : "there is no token";
        return;
    }
    results[0].n_ids = results[1].n_ids = 1;
    for (int r = 0; r < SCORE_REGIONS; r++) {
        const size_t n = framed == (r != SCORE_PLAIN) ? draw_below(&draw, 90) + 1 : 0;

        for (int leg = 0; leg < 2; leg++) {
            results[leg].tokens[r] = n;
            results[leg].bytes[r] = 4 * n;
            results[leg].n_ids += n;
            results[leg].nll[r] = (double)n * (double)draw_below(&draw, 1000000) / 250000;
            results[leg].seconds += (double)(n + draw_below(&draw, 10)) / 1000;
        }
    }
}

static inline void fixture_add(struct score_totals *totals, uint64_t i)
{
    struct score_result results[2];
    char id[32];
    const int len = snprintf(id, sizeof(id), "\"q%llu\"", (unsigned long long)i);
    /* every seventh has no id: its key is that of its line */
    const struct text text = {id, i % 7 ? (size_t)len : 0};

    fixture_result(i, results);
    score_totals_add(totals, hash64(id, (size_t)len), text, results);
}

#endif
