/* The best of a row of logits, without sorting the rest.
 *
 * Order: logit descending, id ascending among equals. Logits must be free of NaN.
 */
#ifndef RUN_CANDIDATES_H
#define RUN_CANDIDATES_H

#include <stdint.h>

struct candidate {
    float logit;
    int32_t id;
};

/* The one best id: the lowest id among equals. n >= 1. */
int32_t candidates_first(const float *logits, int n);

/* Fills best[0 .. k) with the k best, best first; returns how many that are: the smaller of k and
 * n. */
int candidates_best(const float *logits, int n, int k, struct candidate *best);

/* The place of an id in that order, from 1. */
int candidates_rank(const float *logits, int n, int32_t id);

#endif
