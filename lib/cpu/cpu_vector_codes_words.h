/* Panels of codes to pairs of 16-bit numbers (cpu_words.h), written once for both vector widths,
 * and with the same bits on both: a code at the top of its 16 bits times a factor of 15 bits,
 * rounded, plus an offset.
 *
 * The scale of a group is a power of two, of which a byte is kept, so that scales take an eighth of
 * a bit a weight: see cpu_words.h. */
#ifndef CPU_CPU_VECTOR_CODES_WORDS_H
#define CPU_CPU_VECTOR_CODES_WORDS_H

#include "cpu/cpu_vector_codes.h"
#include "cpu/cpu_vector_words.h"

#if defined(__AVX2__)

/* What factors are multiplied with to be 16-bit numbers themselves: codes are shifted up by 8 bits
 * more than in their bytes, and 15 are dropped. */
INLINE float code_units(const enum dtype dtype)
{
    return (float)(1 << (7 - code_shift(dtype)));
}

INLINE struct pair_factors code_pair_factors(const enum dtype dtype, const uint8_t *block, size_t k,
                                             size_t lane, vec inv)
{
    const struct code_factors f = code_factors_of(dtype, block, k, lane);

    return (struct pair_factors){
        twice(VEC(mul_ps)(VEC(mul_ps)(f.scale, inv), VEC(set1_ps)(code_units(dtype)))),
        twice(VEC(mul_ps)(f.offset, inv)),
    };
}

/* The pairs of columns (0, 1) to (6, 7) of eight. */
struct code_pairs {
    vec_integers p0, p1, p2, p3;
};

/* Codes times d, without the offset. */
INLINE struct code_pairs code_products_of(const enum dtype dtype, const uint8_t *part,
                                          const int step, vec_integers d)
{
    const struct code_bytes c = code_bytes_of(dtype, part, step);
    const vec_integers upper = VEC(set1_epi16)((short)0xFF00);

    return (struct code_pairs){
        VEC(mulhrs_epi16)(VEC(slli_epi16)(c.first, 8), d),
        VEC(mulhrs_epi16)(VEC(slli_epi16)(c.second, 8), d),
        VEC(mulhrs_epi16)(VEC(and_si512)(c.first, upper), d),
        VEC(mulhrs_epi16)(VEC(and_si512)(c.second, upper), d),
    };
}

INLINE struct code_pairs code_pairs_of(const enum dtype dtype, const uint8_t *part, const int step,
                                       struct pair_factors f)
{
    const struct code_pairs p = code_products_of(dtype, part, step, f.d);

    if (cpu_codes_form(dtype).has_table)
        return p;
    return (struct code_pairs){
        VEC(add_epi16)(p.p0, f.m),
        VEC(add_epi16)(p.p1, f.m),
        VEC(add_epi16)(p.p2, f.m),
        VEC(add_epi16)(p.p3, f.m),
    };
}

INLINE void codes_store_pairs(int32_t *w, const int step, struct code_pairs p)
{
    w += 4 * (size_t)step * PANEL_ROWS;
    vec_store_integers(w, p.p0);
    vec_store_integers(w + PANEL_ROWS, p.p1);
    vec_store_integers(w + 2 * PANEL_ROWS, p.p2);
    vec_store_integers(w + 3 * PANEL_ROWS, p.p3);
}

/* Columns from k on of LANES outputs: 32 of them. */
INLINE void codes_expand_words_part(const enum dtype dtype, int32_t *w, const struct matrix *m,
                                    size_t panel, size_t k, size_t lane, vec inv)
{
    const struct code_form form = cpu_codes_form(dtype);
    const uint8_t *block = cpu_codes_at(m, form, panel, k);
    const uint8_t *part = cpu_codes_part(form, block, k) + 4 * lane;
    struct pair_factors f = code_pair_factors(dtype, block, k % form.block, lane, inv);

    w += lane;
    codes_store_pairs(w, 0, code_pairs_of(dtype, part, 0, f));
    codes_store_pairs(w, 1, code_pairs_of(dtype, part, 1, f));
    if (form.run < QUANT_BLOCK)
        f = code_pair_factors(dtype, block, k % form.block + form.run, lane, inv);
    codes_store_pairs(w, 2, code_pairs_of(dtype, part, 2, f));
    codes_store_pairs(w, 3, code_pairs_of(dtype, part, 3, f));
}

INLINE void codes_expand_words_type(const enum dtype dtype, int32_t *w, const struct matrix *m,
                                    const float *scales, size_t panel, size_t first, size_t n)
{
    for (size_t i = 0; i < n; i += QUANT_BLOCK, w += QUANT_BLOCK / 2 * PANEL_ROWS) {
        const float *group = scales + i / WORD_GROUP * PANEL_ROWS;

        for (size_t lane = 0; lane < PANEL_ROWS; lane += LANES)
            codes_expand_words_part(dtype, w, m, panel, first + i, lane,
                                    inverse_of_power(VEC(loadu_ps)(group + lane)));
    }
}

/* cpu_words.expand of codes */
static void codes_expand_words(int32_t *w, const struct matrix *m, const float *scales,
                               size_t panel, size_t first, size_t n){
#define EXPAND(type) codes_expand_words_type(type, w, m, scales, panel, first, n)
    CODES_BY_TYPE(m->dtype, EXPAND)
#undef EXPAND
}

/* The least scale for which the factors of the runs from column k on, n columns of LANES outputs,
 * fit 16 bits. */
INLINE vec codes_least_type(const enum dtype dtype, const struct matrix *m, size_t panel, size_t k,
                            size_t n, size_t lane)
{
    const struct code_form form = cpu_codes_form(dtype);
    vec most = VEC(setzero_ps)();

    for (const size_t end = k + n; k < end; k += form.run) {
        const struct code_factors f =
            code_factors_of(dtype, cpu_codes_at(m, form, panel, k), k % form.block, lane);
        const vec units = VEC(mul_ps)(f.scale, VEC(set1_ps)(code_units(dtype)));

        most = VEC(max_ps)(most, VEC(max_ps)(vec_abs(units), vec_abs(f.offset)));
    }
    return VEC(mul_ps)(most, VEC(set1_ps)(1.0f / WORD_MOST));
}

static vec codes_least(const struct matrix *m, size_t panel, size_t k, size_t n, size_t lane)
{
#define LEAST(type) return codes_least_type(type, m, panel, k, n, lane)
    CODES_BY_TYPE(m->dtype, LEAST)
#undef LEAST
}

#endif /* __AVX2__ */
#endif
