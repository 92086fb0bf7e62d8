/* What scoring gave for one record and one leg (the model with its adapter, or the base alone).
 *
 * A text in the form that the rationale model was fine-tuned on (run/score_frame.h) has its targets
 * in three regions. Of other texts all targets are SCORE_PLAIN, but where the record itself names
 * its completion (`completion`, `continuation`), those of the completion are SCORE_COMPLETION.
 *
 * Sums run over the targets in their order. The record's own `nll` is one such sum; the sum of its
 * regions may differ from it in the last digit.
 */
#ifndef RUN_SCORE_RESULT_H
#define RUN_SCORE_RESULT_H

#include <stddef.h>

enum score_region {
    SCORE_TEMPLATE,   /* headings and instruction */
    SCORE_QUERY,      /* what stands under "### Query:" */
    SCORE_COMPLETION, /* what stands under "### Response:" */
    SCORE_PLAIN,      /* of a text without such a frame */
    SCORE_REGIONS
};

struct score_result {
    size_t n_ids;                 /* of the record, as much as --max-length left: the card's L */
    double nll[SCORE_REGIONS];    /* nats; finite */
    size_t tokens[SCORE_REGIONS]; /* targets */
    size_t bytes[SCORE_REGIONS];  /* of the targets; 0 without a tokenizer */
    size_t truncated;             /* tokens that were cut */
    double seconds;     /* of computing: over all records of a leg, these sum up to its time */
    const char *reason; /* NULL; or why nothing was scored (or the loss has no number), and then
                           nll is 0 throughout */
};

static inline double score_result_nll(const struct score_result *r)
{
    double sum = 0;

    for (int i = 0; i < SCORE_REGIONS; i++)
        sum += r->nll[i];
    return sum;
}

static inline size_t score_result_tokens(const struct score_result *r)
{
    size_t sum = 0;

    for (int i = 0; i < SCORE_REGIONS; i++)
        sum += r->tokens[i];
    return sum;
}

static inline size_t score_result_bytes(const struct score_result *r)
{
    size_t sum = 0;

    for (int i = 0; i < SCORE_REGIONS; i++)
        sum += r->bytes[i];
    return sum;
}

#endif
