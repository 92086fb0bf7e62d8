/* Sums of doubles without rounding: any order, any grouping, the same bits.
 *
 * A sum is a fixed-point number over the whole range of doubles (a superaccumulator, as Kulisch's
 * and Neal's), in limbs of 32 bits whose carries wait. Rounding happens once, when the value is
 * asked for, to the nearest double, ties to even. Zeroed = 0.
 *
 * Exact for up to 2^62 additions of products below 2^1088; no -0: a sum of nothing but -0 is 0.
 */
#ifndef BASE_EXACT_SUM_H
#define BASE_EXACT_SUM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/text.h"

enum { EXACT_SUM_LIMBS = 70, EXACT_SUM_LOWEST = -1088 };

struct exact_sum {
    int64_t limbs[EXACT_SUM_LIMBS]; /* limb i counts 2^(32 i + EXACT_SUM_LOWEST) */
    uint32_t n_waiting;             /* additions since carries were last moved up; 0: none is */
};

/* += value * times. `value` must be finite. */
void exact_sum_add(struct exact_sum *sum, double value, uint64_t times);
/* += a * b, exact while the product is 0 or between 2^-968 and the largest double. */
void exact_sum_add_product(struct exact_sum *sum, double a, double b);
void exact_sum_merge(struct exact_sum *sum, const struct exact_sum *other);

/* The nearest double; infinite where the sum is beyond the largest one. */
double exact_sum_value(const struct exact_sum *sum);

/* n * squares - sum^2, rounded once: n times the sum of squared distances to the mean of n numbers
 * whose sum is `sum` and whose squares sum to `squares`. */
double exact_sum_spread(const struct exact_sum *sum, const struct exact_sum *squares, uint64_t n);

/* As text: "0", or a hexadecimal number as C and Python's float.fromhex read it, of as many digits
 * as it takes: "-0x1a2bp-64". Equal sums have equal text. */
void exact_sum_write(const struct exact_sum *sum, struct buf *out);
/* Takes what exact_sum_write wrote, and nothing else; false leaves *sum alone. */
bool exact_sum_read(struct text text, struct exact_sum *sum);

#endif
