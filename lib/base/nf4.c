#include "base/nf4.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

const float nf4_codes[NF4_CODES] = {
    -1.0f,
    -0.6961928009986877f,
    -0.5250730514526367f,
    -0.39491748809814453f,
    -0.28444138169288635f,
    -0.18477343022823334f,
    -0.09105003625154495f,
    0.0f,
    0.07958029955625534f,
    0.16093020141124725f,
    0.24611230194568634f,
    0.33791524171829224f,
    0.44070982933044434f,
    0.5626170039176941f,
    0.7229568362236023f,
    1.0f,
};

/* The least divisor, so that a block of zeros has a reciprocal. */
#define LEAST_ABSMAX 1e-38f

static float largest(const float *x, size_t n)
{
    float most = 0;

    for (size_t i = 0; i < n; i++)
        most = fabsf(x[i]) > most || isnan(x[i]) ? fabsf(x[i]) : most;
    return most;
}

/* How many thresholds lie below v: the middles between codes go to the lower one. */
static uint8_t code_of(float v, const float thresholds[NF4_CODES - 1])
{
    unsigned n = 0;

    for (size_t i = 0; i < NF4_CODES - 1; i++)
        n += v > thresholds[i];
    return (uint8_t)n;
}

/* As bitsandbytes: whole blocks by the reciprocal, a short one by division. */
static float scaled(float x, float absmax, float reciprocal, bool whole)
{
    const float v = whole ? x * reciprocal : x / absmax;

    return v > 1 ? 1 : v < -1 ? -1 : v;
}

void nf4_quantise(uint8_t *codes, float *absmax, const float *x, size_t n, size_t block)
{
    float thresholds[NF4_CODES - 1];

    for (size_t i = 0; i < NF4_CODES - 1; i++)
        thresholds[i] = (nf4_codes[i] + nf4_codes[i + 1]) / 2;
    for (size_t first = 0; first < n; first += block) {
        const size_t left = n - first, n_block = left < block ? left : block;
        const float most = largest(x + first, n_block);
        const float divisor = most < LEAST_ABSMAX ? LEAST_ABSMAX : most;
        const float reciprocal = 1 / divisor;
        const bool whole = n_block == block;

        absmax[first / block] = whole ? most : divisor;
        for (size_t i = first; i < first + n_block; i += 2)
            codes[i / 2] =
                (uint8_t)(code_of(scaled(x[i], divisor, reciprocal, whole), thresholds) << 4 |
                          code_of(scaled(x[i + 1], divisor, reciprocal, whole), thresholds));
    }
}

static int compare_floats(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

/* Of steps + 1 numbers from 0.1 to 1, number i, as torch's linspace: from the nearer end, rounded
 * once. */
static float step_of(int i, int steps)
{
    const float step = (1 - 0.1f) / (float)steps;

    return i < (steps + 1) / 2 ? fmaf(step, (float)i, 0.1f) : fmaf(-step, (float)(steps - i), 1);
}

/* For each power of ten, twice as many steps as for the one below: their middles, of both signs;
 * and 0 and 1. All in floats, as torch computes them. */
void nf4_dynamic_map(float map[NF4_MAP])
{
    static const float units[] = {1e-6f, 1e-5f, 1e-4f, 1e-3f, 1e-2f, 1e-1f, 1};
    size_t n = 0;

    for (int i = 0; i < 7; i++) {
        const int steps = 1 << i;

        for (int k = 0; k < steps; k++) {
            const float middle = (step_of(k, steps) + step_of(k + 1, steps)) / 2;

            map[n++] = units[i] * middle;
            map[n++] = -(units[i] * middle);
        }
    }
    map[n++] = 0;
    map[n++] = 1;
    qsort(map, n, sizeof(*map), compare_floats);
}

float nf4_offset(const float *absmax, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)absmax[i];
    return n > 0 ? (float)(sum / (double)n) : 0;
}

/* The place of the value nearest to v, as bitsandbytes' table of 2^16 steps from -1 to 1 has it: v
 * is rounded to a step first. */
static uint8_t place_of(float v, const float map[NF4_MAP])
{
    const int step = (int)((v + 1) * 32767.5f + 0.5f);
    const float rounded = (float)step / 32767.5f - 1;
    size_t low = 0, high = NF4_MAP - 1; /* the first middle that is not below it */

    while (low < high) {
        const size_t middle = (low + high) / 2;

        if ((map[middle] + map[middle + 1]) / 2 < rounded)
            low = middle + 1;
        else
            high = middle;
    }
    return (uint8_t)low;
}

void nf4_compress(uint8_t *q, float *nested, const float *absmax, size_t n, float offset,
                  const float map[NF4_MAP])
{
    for (size_t first = 0; first < n; first += NF4_NESTED_BLOCK) {
        const size_t left = n - first;
        const size_t end = first + (left < NF4_NESTED_BLOCK ? left : NF4_NESTED_BLOCK);
        float most = 0, reciprocal;

        for (size_t i = first; i < end; i++) {
            const float off = fabsf(absmax[i] - offset);

            most = off > most ? off : most;
        }
        nested[first / NF4_NESTED_BLOCK] = most;
        if (most <= 0) {
            memset(q + first, 0, end - first);
            continue;
        }
        reciprocal = 1 / most;
        for (size_t i = first; i < end; i++) {
            const float v = (absmax[i] - offset) * reciprocal;

            q[i] = place_of(v > 1 ? 1 : v < -1 ? -1 : v, map);
        }
    }
}
