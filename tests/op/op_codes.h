/* What elements of ggml's blocks of codes are, read one at a time off the definitions in its
 * ggml-quants.c: a second reader beside the one that packs them. */
#ifndef OP_OP_CODES_H
#define OP_OP_CODES_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/dtype.h"

static inline double op_f16(const uint8_t *p)
{
    const unsigned bits = (unsigned)(p[0] | p[1] << 8), exponent = bits >> 10 & 31u;
    const double fraction = (double)(bits & 1023u);
    const double size = exponent == 31 ? (fraction > 0 ? (double)NAN : (double)INFINITY)
                        : exponent     ? ldexp(1024 + fraction, (int)exponent - 25)
                                       : ldexp(fraction, -24);

    return bits & 0x8000u ? -size : size;
}

static inline bool op_is_codes(enum dtype dtype)
{
    return dtype >= DTYPE_Q5_0 && dtype <= DTYPE_Q6_K;
}

/* Where a block has its factors of 16 bits; -1: it has none. */
struct op_factors {
    int d, m;
};

static inline struct op_factors op_factors_at(enum dtype dtype)
{
    switch (dtype) {
    case DTYPE_Q8_0:
    case DTYPE_Q4_0:
    case DTYPE_Q5_0:
    case DTYPE_IQ4_NL:
        return (struct op_factors){0, -1};
    case DTYPE_Q4_1:
    case DTYPE_Q5_1:
    case DTYPE_Q4_K:
    case DTYPE_Q5_K:
        return (struct op_factors){0, 2};
    case DTYPE_Q2_K:
        return (struct op_factors){80, 82};
    case DTYPE_Q3_K:
        return (struct op_factors){108, -1};
    case DTYPE_Q6_K:
        return (struct op_factors){208, -1};
    default:
        return (struct op_factors){-1, -1};
    }
}

/* One bit of a string of them. */
static inline int op_bit(const uint8_t *bits, size_t i)
{
    return bits[i / 8] >> i % 8 & 1;
}

/* Element j of 32, of a block with nibbles at q. */
static inline int op_nibble(const uint8_t *q, size_t j)
{
    return q[j % 16] >> (j < 16 ? 0 : 4) & 15;
}

/* The j-th of eight scales and of eight minima of q4_K and q5_K. */
static inline void op_scale_and_minimum(const uint8_t *scales, size_t j, int *s, int *t)
{
    if (j < 4) {
        *s = scales[j] & 63;
        *t = scales[j + 4] & 63;
    } else {
        *s = (scales[j + 4] & 15) | (scales[j - 4] >> 6) << 4;
        *t = scales[j + 4] >> 4 | (scales[j] >> 6) << 4;
    }
}

static inline double op_q2_k(const uint8_t *b, size_t j)
{
    const uint8_t *q = b + 16 + 32 * (j / 128);
    const int code = q[j % 32] >> (2 * (j % 128 / 32)) & 3, scale = b[j / 16];

    return op_f16(b + 80) * (scale & 15) * code - op_f16(b + 82) * (scale >> 4);
}

static inline double op_q3_k(const uint8_t *b, size_t j)
{
    const uint8_t *q = b + 32 + 32 * (j / 128), *scales = b + 96;
    const size_t k = j / 16;
    const int low = k < 8 ? scales[k] & 15 : scales[k - 8] >> 4;
    const int scale = (low | (scales[8 + (k & 3)] >> (2 * (k >> 2)) & 3) << 4) - 32;
    const int minus = b[j % 32] & 1 << j / 32 ? 0 : 4;

    return op_f16(b + 108) * scale * ((q[j % 32] >> (2 * (j % 128 / 32)) & 3) - minus);
}

static inline double op_q4_k(const uint8_t *b, size_t j, bool fifth)
{
    const uint8_t *h = b + 16, *q = h + (fifth ? 32 : 0) + 32 * (j / 64);
    int code = j % 64 < 32 ? q[j % 32] & 15 : q[j % 32] >> 4, s, t;

    if (fifth && (h[j % 32] >> j / 32 & 1))
        code += 16;
    op_scale_and_minimum(b + 4, j / 32, &s, &t);
    return op_f16(b) * s * code - op_f16(b + 2) * t;
}

static inline double op_q6_k(const uint8_t *b, size_t j)
{
    const size_t half = j / 128, quarter = j % 128 / 32, l = j % 32;
    const uint8_t *low = b + 64 * half + 32 * (quarter % 2), *high = b + 128 + 32 * half;
    const int code = (quarter < 2 ? low[l] & 15 : low[l] >> 4) | (high[l] >> 2 * quarter & 3) << 4;

    return op_f16(b + 208) * (int8_t)b[192 + j / 16] * (code - 32);
}

/* Element j of a block, exact; rounded to a float it is what the definition's steps give, whose
 * products are all exact in floats. */
static inline double op_code(enum dtype dtype, const uint8_t *b, size_t j)
{
    static const int table[] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                1,    13,   25,  38,  53,  69,  89,  113};

    switch (dtype) {
    case DTYPE_Q5_0:
        return (op_nibble(b + 6, j) + 16 * op_bit(b + 2, j) - 16) * op_f16(b);
    case DTYPE_Q5_1:
        return (op_nibble(b + 8, j) + 16 * op_bit(b + 4, j)) * op_f16(b) + op_f16(b + 2);
    case DTYPE_IQ4_NL:
        return table[op_nibble(b + 2, j)] * op_f16(b);
    case DTYPE_Q2_K:
        return op_q2_k(b, j);
    case DTYPE_Q3_K:
        return op_q3_k(b, j);
    case DTYPE_Q4_K:
        return op_q4_k(b, j, false);
    case DTYPE_Q5_K:
        return op_q4_k(b, j, true);
    default:
        return op_q6_k(b, j);
    }
}

#endif
