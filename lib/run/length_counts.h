/* How long records are: how many there are of each number of tokens. */
#ifndef RUN_LENGTH_COUNTS_H
#define RUN_LENGTH_COUNTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Lengths from here on count as one. */
enum { LENGTH_COUNTS_MAX = 1 << 20 };

/* Zeroed = valid and empty. */
struct length_counts {
    uint64_t *bins; /* [n_bins] ours, by length */
    size_t n_bins;
    uint64_t n, sum;
    size_t greatest;
};

void length_counts_add(struct length_counts *counts, size_t length);

/* The length that `percent` of the records do not exceed (nearest rank). 0 < percent <= 100, and
 * there is a record. */
size_t length_counts_percentile(const struct length_counts *counts, int percent);

/* Appends {"total","least","p50","p90","p99","greatest","histogram":[{"to","records"}]}, bins up to
 * powers of two; without a record {"total":0}. */
void length_counts_write(const struct length_counts *counts, struct buf *out);
void length_counts_release(struct length_counts *counts);

#endif
