/* Logits -> token.
 *
 * Greedy takes the highest logit, the lowest id among equals. Otherwise the filters of
 * transformers, in its order: divide by temperature, keep the top_k highest, of these the shortest
 * prefix that holds at least top_p of their mass, of these the ones with at least min_p of the best
 * one's probability; then one uniform number picks from what is left. Candidates stand in the order
 * (logit descending, id ascending), which also breaks ties at the k-th place, and masses are summed
 * in that order in double, so that the token is a function of logits, options and counters alone.
 */
#ifndef RUN_SAMPLER_H
#define RUN_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

struct sampling {
    bool greedy;        /* or temperature 0: the rest is not read */
    double temperature; /* > 0 */
    double top_p;       /* (0, 1]; 1: all */
    double min_p;       /* [0, 1]; 0: all */
    int top_k;          /* 0: all */
    int n_logprobs;     /* alternatives to keep for each token; read by the scheduler */
    uint64_t key;       /* sampler_key */
    uint32_t stream;    /* number of the sample */
};

/* What the seed of a run and the key of a record (record.key) make together. */
uint64_t sampler_key(uint64_t seed, uint64_t record_key);

struct sampler; /* scratch for one thread */
struct sampler *sampler_open(int vocab_size);
void sampler_close(struct sampler *sampler); /* NULL allowed */

/* The token for `position` (its index in the sequence, prompt included) given logits[vocab_size],
 * which must be free of NaN. */
int32_t sampler_next(struct sampler *sampler, const float *logits, const struct sampling *sampling,
                     uint64_t position);

#endif
