/* How much the comparison of two models would move with other records of the same kind: a paired
 * Poisson bootstrap (Hanley and MacGibbon 2006).
 *
 * In each of 1,000 replicates a record counts a Poisson(1) number of times, for both models alike.
 * That number is a function of the record's key and the replicate alone (Philox), and sums are
 * exact: the intervals are the same for any order of records and any shards.
 */
#ifndef RUN_BOOTSTRAP_H
#define RUN_BOOTSTRAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/exact_sum.h"

enum { BOOTSTRAP_REPLICATES = 1000, BOOTSTRAP_LEGS = 2 };

/* A mean and its two parts, for the base and for the adapter. */
struct bootstrap_mean {
    struct exact_sum sums[BOOTSTRAP_LEGS];
    uint64_t weight;
};

enum bootstrap_kind {
    BOOTSTRAP_CARD,  /* sum of L * loss, over the sum of L */
    BOOTSTRAP_TOKEN, /* sum of nll, over the number of targets */
    BOOTSTRAP_KINDS
};

struct bootstrap {
    struct bootstrap_mean means[BOOTSTRAP_REPLICATES][BOOTSTRAP_KINDS];
};

/* What a record adds to each mean before it is weighted: sum += value[leg] * times, weight += n. */
struct bootstrap_term {
    double value[BOOTSTRAP_LEGS];
    uint64_t times, n;
};

struct bootstrap *bootstrap_new(void); /* some 2.3 MiB; free() ends it */
void bootstrap_add(struct bootstrap *bootstrap, uint64_t key,
                   const struct bootstrap_term terms[BOOTSTRAP_KINDS]);
void bootstrap_merge(struct bootstrap *bootstrap, const struct bootstrap *other);

/* How often the record of this key counts in this replicate. */
unsigned bootstrap_weight(uint64_t key, unsigned replicate);

enum bootstrap_statistic {
    BOOTSTRAP_DIFFERENCE,  /* perplexity with the adapter, less that of the base */
    BOOTSTRAP_IMPROVEMENT, /* of the perplexity, in percent of the base's */
};

/* 95 %: of the replicates' values the 2.5th and the 97.5th percentile (as far from either end).
 * False: no replicate has a value, or one of the two is not finite. */
bool bootstrap_interval(const struct bootstrap *bootstrap, enum bootstrap_kind kind,
                        enum bootstrap_statistic statistic, double interval[2]);

#endif
