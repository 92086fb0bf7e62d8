/* Panels of codes to pairs of 16-bit numbers (cpu_words.h), written once for both vector widths,
 * and with the same bits on both.
 *
 * Of blocks of 256 columns: a code times an integer, its run's scale in units of the group's, plus
 * another integer. Of blocks of 32: a code at the top of its 16 bits times a factor of 15 bits,
 * rounded, plus an offset.
 *
 * Of the scale of a group a byte is kept, so that scales take an eighth of a bit a weight: see
 * cpu_words.h. */
#ifndef CPU_CPU_VECTOR_CODES_WORDS_H
#define CPU_CPU_VECTOR_CODES_WORDS_H

#include "cpu/cpu_vector_codes.h"
#include "cpu/cpu_vector_words.h"

#if defined(__AVX2__)

/* The scales that a group's bytes e stand for; block: the one that it is in, or begins with. */
INLINE vec code_scales(const enum dtype dtype, const uint8_t *block, const uint8_t *e, size_t lane)
{
    const vec_integers bits = vec_load_uint8(e + lane);
    vec power;

    if (!cpu_codes_are_exact(cpu_codes_form(dtype)))
        return VEC(castsi512_ps)(VEC(slli_epi32)(bits, 23));
    /* of halvings 127 - e is the larger one: the exponent of 2^-e */
    power = VEC(castsi512_ps)(
        VEC(slli_epi32)(VEC(max_epi32)(bits, VEC(sub_epi32)(VEC(set1_epi32)(127), bits)), 23));
    return vec_if_less(VEC(cvtepi32_ps)(bits), VEC(set1_ps)(WORD_LEAST_POWER),
                       VEC(mul_ps)(vec_abs(vec_load_f16(block + 2 * lane)), power), power);
}

INLINE vec code_inverse(const enum dtype dtype, vec scales)
{
    return cpu_codes_are_exact(cpu_codes_form(dtype)) ? inverse(scales) : inverse_of_power(scales);
}

/* The pairs of columns (0, 1) to (6, 7) of eight. */
struct code_pairs {
    vec_integers p0, p1, p2, p3;
};

/* ---- blocks of 32 -------------------------------------------------------------------------- */

/* What factors are multiplied with to be 16-bit numbers themselves: codes are shifted up by 8 bits
 * more than in their bytes, and 15 are dropped. */
INLINE float code_units(const enum dtype dtype)
{
    return (float)(1 << (7 - code_shift(dtype)));
}

INLINE struct pair_factors code_pair_factors(const enum dtype dtype, const uint8_t *block,
                                             size_t lane, vec inv)
{
    const struct code_factors f = code_factors_of(dtype, block, 0, lane);

    return (struct pair_factors){
        twice(VEC(mul_ps)(VEC(mul_ps)(f.scale, inv), VEC(set1_ps)(code_units(dtype)))),
        twice(VEC(mul_ps)(f.offset, inv)),
    };
}

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

/* ---- blocks of 256 ------------------------------------------------------------------------- */

/* What the factors of a group's block are in units of its scales. Where these are d times a power
 * of two, the first is that power, but for rounding. */
INLINE struct code_factors code_group_factors(const enum dtype dtype, const uint8_t *block,
                                              size_t lane, vec inv)
{
    const struct code_factors f = code_block_factors(dtype, block, lane);

    return (struct code_factors){VEC(mul_ps)(f.scale, inv), VEC(mul_ps)(f.offset, inv)};
}

/* A run's, rounded: 32 bits each, or as both halves of pairs. */
INLINE struct pair_factors code_integers(const enum dtype dtype, const uint8_t *block, size_t k,
                                         size_t lane, struct code_factors units)
{
    const struct code_factors f = code_run_factors(dtype, block, k, lane, units);

    return (struct pair_factors){VEC(cvtps_epi32)(f.scale), VEC(cvtps_epi32)(f.offset)};
}

INLINE struct code_pairs code_plain_pairs(const enum dtype dtype, const uint8_t *part,
                                          const int step)
{
    const struct code_bytes c = code_bytes_of(dtype, part, step);
    const vec_integers lower = VEC(set1_epi16)(0xFF);

    return (struct code_pairs){
        VEC(and_si512)(c.first, lower),
        VEC(and_si512)(c.second, lower),
        VEC(srli_epi16)(c.first, 8),
        VEC(srli_epi16)(c.second, 8),
    };
}

/* -------------------------------------------------------------------------------------------- */

/* f: as both halves of pairs */
INLINE struct code_pairs code_pairs_of(const enum dtype dtype, const uint8_t *part, const int step,
                                       struct pair_factors f)
{
    const struct code_form form = cpu_codes_form(dtype);
    struct code_pairs p;

    if (cpu_codes_are_exact(form)) {
        p = code_plain_pairs(dtype, part, step);
        p.p0 = VEC(mullo_epi16)(p.p0, f.d);
        p.p1 = VEC(mullo_epi16)(p.p1, f.d);
        p.p2 = VEC(mullo_epi16)(p.p2, f.d);
        p.p3 = VEC(mullo_epi16)(p.p3, f.d);
    } else {
        p = code_products_of(dtype, part, step, f.d);
    }
    if (form.has_table)
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

/* As both halves of pairs, of the run with column k of a block. */
INLINE struct pair_factors code_expand_factors(const enum dtype dtype, const uint8_t *block,
                                               size_t k, size_t lane, vec inv)
{
    struct pair_factors f;

    if (!cpu_codes_are_exact(cpu_codes_form(dtype)))
        return code_pair_factors(dtype, block, lane, inv);
    f = code_integers(dtype, block, k, lane, code_group_factors(dtype, block, lane, inv));
    return (struct pair_factors){vec_pairs(f.d, f.d), vec_pairs(f.m, f.m)};
}

/* Columns from k on of LANES outputs: 32 of them. */
INLINE void codes_expand_words_part(const enum dtype dtype, int32_t *w, const struct matrix *m,
                                    size_t panel, size_t k, size_t lane, vec inv)
{
    const struct code_form form = cpu_codes_form(dtype);
    const uint8_t *block = cpu_codes_at(m, form, panel, k);
    const uint8_t *part = cpu_codes_part(form, block, k) + 4 * lane;
    struct pair_factors f = code_expand_factors(dtype, block, k % form.block, lane, inv);

    w += lane;
    codes_store_pairs(w, 0, code_pairs_of(dtype, part, 0, f));
    codes_store_pairs(w, 1, code_pairs_of(dtype, part, 1, f));
    if (form.run < QUANT_BLOCK)
        f = code_expand_factors(dtype, block, k % form.block + form.run, lane, inv);
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
                                    code_inverse(dtype, VEC(loadu_ps)(group + lane)));
    }
}

/* cpu_words.expand of codes */
static void codes_expand_words(int32_t *w, const struct matrix *m, const float *scales,
                               size_t panel, size_t first, size_t n){
#define EXPAND(type) codes_expand_words_type(type, w, m, scales, panel, first, n)
    CODES_BY_TYPE(m->dtype, EXPAND)
#undef EXPAND
}

INLINE void codes_scales_type(const enum dtype dtype, float *scales, const struct matrix *m,
                              size_t panel, size_t first, size_t n)
{
    const uint8_t *e =
        m->scale_bytes + (panel * word_groups(m->cols) + first / WORD_GROUP) * PANEL_ROWS;

    for (const size_t end = first + n; first < end; first += WORD_GROUP, e += PANEL_ROWS) {
        const uint8_t *block = cpu_codes_at(m, cpu_codes_form(dtype), panel, first);

        for (size_t lane = 0; lane < PANEL_ROWS; lane += LANES, scales += LANES)
            VEC(storeu_ps)(scales, code_scales(dtype, block, e, lane));
    }
}

/* cpu_words.scales */
static void codes_scales(float *scales, const struct matrix *m, size_t panel, size_t first,
                         size_t n){
#define SCALES(type) codes_scales_type(type, scales, m, panel, first, n)
    CODES_BY_TYPE(m->dtype, SCALES)
#undef SCALES
}

/* The least scale for which the factors of the blocks of 32 from column k on, n columns of LANES
 * outputs, fit 16 bits. Those of others do where their numbers do. */
INLINE vec codes_least_type(const enum dtype dtype, const struct matrix *m, size_t panel, size_t k,
                            size_t n, size_t lane)
{
    const struct code_form form = cpu_codes_form(dtype);
    vec most = VEC(setzero_ps)();

    if (cpu_codes_are_exact(form))
        return most;
    for (const size_t end = k + n; k < end; k += form.run) {
        const struct code_factors f =
            code_factors_of(dtype, cpu_codes_at(m, form, panel, k), 0, lane);
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
