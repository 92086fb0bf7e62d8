/* Panels of codes to floats, written once for both vector widths. The bits are those of
 * cpu_matrix_row. */
#ifndef CPU_CPU_VECTOR_CODES_FLOATS_H
#define CPU_CPU_VECTOR_CODES_FLOATS_H

#include "cpu/cpu_vector_codes.h"

#if defined(__AVX2__)

/* Byte i of each word times scale, which is made for numbers 2^24 times as large, + offset. */
INLINE vec code_column(vec_integers bytes, const int i, struct code_factors f)
{
    const vec_integers q =
        VEC(and_si512)(vec_shift_left(bytes, 24 - 8 * i), VEC(set1_epi32)((int)0xFF000000));

    return VEC(fmadd_ps)(VEC(cvtepi32_ps)(q), f.scale, f.offset);
}

/* Step `step` of 32 columns of LANES outputs to w[8][16]. */
INLINE void codes_expand_step(const enum dtype dtype, float *w, const uint8_t *part, const int step,
                              struct code_factors f)
{
    const struct code_bytes c = code_bytes_of(dtype, part, step);

    w += 8 * (size_t)step * PANEL_ROWS;
    VEC(store_ps)(w, code_column(c.first, 0, f));
    VEC(store_ps)(w + PANEL_ROWS, code_column(c.first, 2, f));
    VEC(store_ps)(w + 2 * PANEL_ROWS, code_column(c.second, 0, f));
    VEC(store_ps)(w + 3 * PANEL_ROWS, code_column(c.second, 2, f));
    VEC(store_ps)(w + 4 * PANEL_ROWS, code_column(c.first, 1, f));
    VEC(store_ps)(w + 5 * PANEL_ROWS, code_column(c.first, 3, f));
    VEC(store_ps)(w + 6 * PANEL_ROWS, code_column(c.second, 1, f));
    VEC(store_ps)(w + 7 * PANEL_ROWS, code_column(c.second, 3, f));
}

/* The same values as cpu_codes_value: a float's product with a code is exact, so the fused sum
 * rounds once as the definition does, and (q - zero) * scale is q * scale - zero * scale. */
INLINE struct code_factors codes_float_factors(const enum dtype dtype, const uint8_t *block,
                                               size_t k, size_t lane)
{
    struct code_factors f = code_factors_of(dtype, block, k, lane);
    const float down = 0x1p-24f / (float)(1 << code_shift(dtype));

    f.scale = VEC(mul_ps)(f.scale, VEC(set1_ps)(down));
    return f;
}

INLINE void codes_expand_type(const enum dtype dtype, float *w, const struct matrix *m,
                              size_t panel, size_t first, size_t n)
{
    const struct code_form form = cpu_codes_form(dtype);

    for (size_t k = first; k < first + n; k += QUANT_BLOCK, w += (size_t)QUANT_BLOCK * PANEL_ROWS) {
        const uint8_t *block = cpu_codes_at(m, form, panel, k);
        const uint8_t *part = cpu_codes_part(form, block, k);

        for (size_t lane = 0; lane < PANEL_ROWS; lane += LANES) {
            const uint8_t *at = part + 4 * lane;
            struct code_factors f = codes_float_factors(dtype, block, k % form.block, lane);

            codes_expand_step(dtype, w + lane, at, 0, f);
            codes_expand_step(dtype, w + lane, at, 1, f);
            if (form.run < QUANT_BLOCK)
                f = codes_float_factors(dtype, block, k % form.block + form.run, lane);
            codes_expand_step(dtype, w + lane, at, 2, f);
            codes_expand_step(dtype, w + lane, at, 3, f);
        }
    }
}

/* cpu_kernels.expand of codes */
static void codes_expand(float *w, const struct matrix *m, size_t panel, size_t first, size_t n)
{
#define EXPAND(type) codes_expand_type(type, w, m, panel, first, n)
    CODES_BY_TYPE(m->dtype, EXPAND)
#undef EXPAND
}

#endif /* __AVX2__ */
#endif
