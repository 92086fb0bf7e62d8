/* Where falling scores break off: METEORA's rule, as its released code computes it.
 *
 * Scores s_1 >= ... >= s_n, steps d_i = s_i - s_(i+1) for i = 1..n-1; steps below 1e-9 count as 0.
 *   n = 0       none
 *   n <= 2      all
 *   n >= 4      mu, sigma = mean and population standard deviation of the steps; where sigma > 0,
 *               k = the first i with (d_i - mu) / sigma > 1
 *   otherwise   (n = 3, or no such i) k = the first i, of 1..n-2, where d_(i+1) - d_i is largest
 * The first k are kept. The second rule finds the cliff behind item k + 1 and yet keeps k: so does
 * the released code. n = 3 never takes the first rule: its two z values are +-1 but for rounding.
 * All sums are doubles, in the order of i; two calls with the same scores give the same k.
 */
#ifndef RANK_ELBOW_H
#define RANK_ELBOW_H

#include <stddef.h>

/* How many of the n scores, which are finite and fall, are kept: at least 1 where n > 0. */
size_t elbow_cut(const double *scores, size_t n);

#endif
