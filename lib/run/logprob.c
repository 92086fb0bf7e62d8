/* A vocabulary's worth of exponentials for each token: they are computed LANES at a time, in loops
 * that every compiler turns into vectors (comparisons are of integers: those of floats might trap),
 * and summed in as many doubles, one order for all. */
#include "run/logprob.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/float16.h"

enum { LANES = 16 };

#define MAGNITUDE 0x7FFFFFFFu    /* all bits of a float but its sign */
#define INFINITY_BITS 0x7F800000 /* NaN has a greater magnitude */

/* Integers in the order of the floats: NaN beyond the infinities of its sign. */
static inline int32_t order_of(float x)
{
    const uint32_t bits = float_to_bits(x);

    return (int32_t)(bits ^ (0u - (bits >> 31)) >> 1);
}

static int32_t highest(const float *logits, int n)
{
    int32_t lanes[LANES], max = INT32_MIN;
    int i = 0;

    for (int lane = 0; lane < LANES; lane++)
        lanes[lane] = INT32_MIN;
    for (; i + LANES <= n; i += LANES) {
        for (int lane = 0; lane < LANES; lane++) {
            const int32_t order = order_of(logits[i + lane]);

            lanes[lane] = order > lanes[lane] ? order : lanes[lane];
        }
    }
    for (; i < n; i++)
        max = order_of(logits[i]) > max ? order_of(logits[i]) : max;
    for (int lane = 0; lane < LANES; lane++)
        max = lanes[lane] > max ? lanes[lane] : max;
    return max;
}

/* exp(-x) for x >= 0 given as bits without sign, within 2e-7 of itself; as at 87 beyond that, which
 * is 1e-38, and for NaN.
 *
 * -x = n ln 2 + r, |r| <= ln 2 / 2; 2^n goes into the exponent's bits, exp(r) is its Taylor series.
 * Adding 1.5 * 2^23 rounds to a whole number, which then stands in the low bits. */
static inline float exp_negative(int32_t magnitude)
{
    const int32_t limit = 0x42AE0000; /* 87.0f */
    const int32_t clamped = magnitude < limit ? magnitude : limit;
    const float x = -float_from_bits((uint32_t)clamped);
    const float round = 0x1.8p23f;
    const float shifted = x * 0x1.715476p0f + round; /* 1 / ln 2 */
    const float n = shifted - round;
    const float r = x - n * 0x1.62e4p-1f - n * 0x1.7f7d1cp-20f; /* ln 2 in two parts */
    const float power = float_from_bits((float_to_bits(shifted) << 23) + (127u << 23));
    float series = 1.0f / 120 + r * (1.0f / 720);

    series = 1.0f / 6 + r * (1.0f / 24 + r * series);
    series = 1.0f + r * (1.0f + r * (0.5f + r * series));
    return series * power;
}

/* The sum of exp(logits - max); false if one of them is NaN. */
static bool sum_exp(const float *logits, int n, float max, double *sum)
{
    double lanes[LANES] = {0}, total = 0;
    int32_t worst[LANES] = {0}, all_worst = 0; /* greatest magnitude */
    int i = 0;

    for (; i + LANES <= n; i += LANES) {
        float terms[LANES];

        for (int lane = 0; lane < LANES; lane++) {
            const int32_t magnitude = (int32_t)(float_to_bits(logits[i + lane] - max) & MAGNITUDE);

            worst[lane] = magnitude > worst[lane] ? magnitude : worst[lane];
            terms[lane] = exp_negative(magnitude);
        }
        for (int lane = 0; lane < LANES; lane++)
            lanes[lane] += (double)terms[lane];
    }
    for (; i < n; i++) {
        const int32_t magnitude = (int32_t)(float_to_bits(logits[i] - max) & MAGNITUDE);

        all_worst = magnitude > all_worst ? magnitude : all_worst;
        total += (double)exp_negative(magnitude);
    }
    for (int lane = 0; lane < LANES; lane++) {
        all_worst = worst[lane] > all_worst ? worst[lane] : all_worst;
        total += lanes[lane];
    }
    *sum = total;
    return all_worst <= INFINITY_BITS;
}

double logprob_normalizer(const float *logits, int n)
{
    const int32_t order = highest(logits, n);
    const float max = float_from_bits((uint32_t)order ^ (0u - ((uint32_t)order >> 31)) >> 1);
    double sum;

    if (!isfinite(max) || !sum_exp(logits, n, max, &sum))
        return (double)NAN;
    return (double)max + log(sum);
}
