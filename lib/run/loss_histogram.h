/* How the losses of records are spread: counts in bins of 2^-10 nats, the same for every run, so
 * that shards add up and no order shows. */
#ifndef RUN_LOSS_HISTOGRAM_H
#define RUN_LOSS_HISTOGRAM_H

#include <stdint.h>

enum {
    LOSS_HISTOGRAM_PER_NAT = 1024,
    LOSS_HISTOGRAM_MAX = 32, /* nats: the last bin has all that is not below */
    LOSS_HISTOGRAM_BINS = LOSS_HISTOGRAM_MAX * LOSS_HISTOGRAM_PER_NAT + 1
};

struct loss_histogram {
    uint64_t bins[LOSS_HISTOGRAM_BINS];
};

/* A loss below 0 counts as 0. */
void loss_histogram_add(struct loss_histogram *histogram, double loss);

/* The loss that `percent` of the n counted ones do not exceed (nearest rank), as the middle of its
 * bin: at most 2^-11 off. 0 < percent <= 100, n >= 1 the sum of all bins. */
double loss_histogram_percentile(const struct loss_histogram *histogram, uint64_t n, int percent);

#endif
