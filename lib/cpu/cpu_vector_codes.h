/* Panels of codes (cpu_codes.h) to floats and to pairs of 16-bit numbers (cpu_words.h), written
 * once for both vector widths, and with the same bits on both.
 *
 * `dtype` is a constant in every caller: a type's form is one, too, and what it has not vanishes.
 */
#ifndef CPU_CPU_VECTOR_CODES_H
#define CPU_CPU_VECTOR_CODES_H

#include "cpu/cpu_codes.h"
#include "cpu/cpu_vector.h"

#if defined(__AVX2__)

/* By a constant number of bits, to the right if it is below 0. A switch, since without optimisation
 * a constant of the caller is none here. */
INLINE vec_integers vec_shift_left(vec_integers v, const int n)
{
#define LEFT(n)                                                                                    \
    case n:                                                                                        \
        return VEC(slli_epi32)(v, n)
#define RIGHT(n)                                                                                   \
    case -n:                                                                                       \
        return VEC(srli_epi32)(v, n)
    switch (n) {
        LEFT(1);
        LEFT(2);
        LEFT(3);
        LEFT(4);
        LEFT(5);
        LEFT(6);
        LEFT(8);
        LEFT(16);
        LEFT(24);
        RIGHT(1);
        RIGHT(2);
        RIGHT(3);
        RIGHT(4);
        RIGHT(5);
        RIGHT(6);
    default:
        return v;
    }
#undef LEFT
#undef RIGHT
}

/* Codes of eight columns of LANES outputs, a byte each: of columns 0, 4, 1, 5 and 2, 6, 3, 7. Those
 * of blocks of 32 are shifted up to below the byte's sign, or are the table's numbers. */
struct code_bytes {
    vec_integers first, second;
};

/* How far codes are shifted up. */
INLINE int code_shift(const enum dtype dtype)
{
    const struct code_form f = cpu_codes_form(dtype);

    return f.has_table || cpu_codes_are_exact(f) ? 0 : 7 - f.low - f.high;
}

/* Bits of a plane for step 0 <= step < 4 of 32 columns, `to` bits up in their bytes. */
INLINE struct code_bytes code_plane(const uint8_t *plane, const int bits, const int step,
                                    const int to)
{
    const int steps = 4 / bits, from = 2 * bits * (step % steps);
    const vec_integers v = vec_load_integers(plane + step / steps * 4 * PANEL_ROWS);
    const vec_integers mask = VEC(set1_epi8)((char)(((1 << bits) - 1) << to));

    return (struct code_bytes){
        VEC(and_si512)(vec_shift_left(v, to - from), mask),
        VEC(and_si512)(vec_shift_left(v, to - from - bits), mask),
    };
}

/* part: the bits of 32 columns, of the first of LANES outputs. */
INLINE struct code_bytes code_bytes_of(const enum dtype dtype, const uint8_t *part, const int step)
{
    const struct code_form f = cpu_codes_form(dtype);
    const int shift = code_shift(dtype);
    struct code_bytes c = code_plane(part, f.low, step, shift), high;

    if (f.high > 0) {
        high =
            code_plane(part + f.low * (QUANT_BLOCK / 8) * PANEL_ROWS, f.high, step, shift + f.low);
        c.first = VEC(or_si512)(c.first, high.first);
        c.second = VEC(or_si512)(c.second, high.second);
    }
    if (f.has_table) {
        const vec_integers table = vec_repeat(_mm_setr_epi8(CODE_TABLE));

        c.first = VEC(shuffle_epi8)(table, c.first);
        c.second = VEC(shuffle_epi8)(table, c.second);
    }
    return c;
}

/* What codes are multiplied with, and what is added. */
struct code_factors {
    vec scale, offset;
};

/* A block's own, of the outputs [lane, lane + LANES): what its runs' are counted in. */
INLINE struct code_factors code_block_factors(const enum dtype dtype, const uint8_t *block,
                                              size_t lane)
{
    const bool has_m = cpu_codes_form(dtype).has_m;

    return (struct code_factors){
        vec_load_f16(block + 2 * lane),
        has_m ? vec_load_f16(block + 2 * (PANEL_ROWS + lane)) : VEC(setzero_ps)(),
    };
}

/* Those of the run that begins with column k of a block, in the same units. */
INLINE struct code_factors code_run_factors(const enum dtype dtype, const uint8_t *block, size_t k,
                                            size_t lane, struct code_factors units)
{
    const struct code_form f = cpu_codes_form(dtype);
    const uint8_t *run =
        block + cpu_codes_factor_bytes(f) + k / f.run * cpu_codes_run_bytes(f) + lane;
    struct code_factors y = units;
    vec_integers s, t;

    if (f.scales == CODE_SCALES_SIGNED) {
        y.scale = VEC(mul_ps)(units.scale, VEC(cvtepi32_ps)(vec_load_int8(run)));
    } else if (f.scales != CODE_SCALES_NONE) {
        s = vec_load_uint8(run);
        if (f.scales == CODE_SCALES_TWO) {
            t = vec_load_uint8(run + PANEL_ROWS);
        } else {
            t = VEC(srli_epi32)(s, 4);
            s = VEC(and_si512)(s, VEC(set1_epi32)(15));
        }
        y.scale = VEC(mul_ps)(units.scale, VEC(cvtepi32_ps)(s));
        y.offset =
            VEC(mul_ps)(units.offset, VEC(cvtepi32_ps)(VEC(sub_epi32)(VEC(setzero_si512)(), t)));
    }
    if (f.zero > 0)
        y.offset = VEC(mul_ps)(y.scale, VEC(set1_ps)((float)-f.zero));
    return y;
}

/* As floats: products of factors are exact in them. */
INLINE struct code_factors code_factors_of(const enum dtype dtype, const uint8_t *block, size_t k,
                                           size_t lane)
{
    return code_run_factors(dtype, block, k, lane, code_block_factors(dtype, block, lane));
}

/* The function of a type, of those that FUNCTION(type) calls. */
#define CODES_BY_TYPE(dtype, FUNCTION)                                                             \
    switch (dtype) {                                                                               \
    case DTYPE_Q5_0:                                                                               \
        FUNCTION(DTYPE_Q5_0);                                                                      \
        break;                                                                                     \
    case DTYPE_Q5_1:                                                                               \
        FUNCTION(DTYPE_Q5_1);                                                                      \
        break;                                                                                     \
    case DTYPE_IQ4_NL:                                                                             \
        FUNCTION(DTYPE_IQ4_NL);                                                                    \
        break;                                                                                     \
    case DTYPE_Q2_K:                                                                               \
        FUNCTION(DTYPE_Q2_K);                                                                      \
        break;                                                                                     \
    case DTYPE_Q3_K:                                                                               \
        FUNCTION(DTYPE_Q3_K);                                                                      \
        break;                                                                                     \
    case DTYPE_Q4_K:                                                                               \
        FUNCTION(DTYPE_Q4_K);                                                                      \
        break;                                                                                     \
    case DTYPE_Q5_K:                                                                               \
        FUNCTION(DTYPE_Q5_K);                                                                      \
        break;                                                                                     \
    default:                                                                                       \
        FUNCTION(DTYPE_Q6_K);                                                                      \
        break;                                                                                     \
    }

#endif /* __AVX2__ */
#endif
