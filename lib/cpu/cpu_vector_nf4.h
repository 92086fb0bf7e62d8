/* NF4 panels to floats, written once for both vector widths: a table in registers gives the value
 * of each code, its run's absmax multiplies it, and it is rounded as the view says. The bits are
 * those of cpu_matrix_row. */
#ifndef CPU_CPU_VECTOR_NF4_H
#define CPU_CPU_VECTOR_NF4_H

#include "cpu/cpu_matrix.h"
#include "cpu/cpu_vector.h"

#if defined(__AVX2__)

/* Sixteen floats to be looked up. */
struct nf4_values {
    vec low;
#if !defined(__AVX512F__)
    vec high;
#endif
};

INLINE struct nf4_values nf4_load_values(const float values[NF4_CODES])
{
#if defined(__AVX512F__)
    return (struct nf4_values){_mm512_loadu_ps(values)};
#else
    return (struct nf4_values){_mm256_loadu_ps(values), _mm256_loadu_ps(values + LANES)};
#endif
}

/* Those that the lowest four bits of each word name; other bits do not matter. */
INLINE vec nf4_look_up(struct nf4_values values, vec_integers words)
{
#if defined(__AVX512F__)
    return _mm512_permutexvar_ps(words, values.low);
#else
    return _mm256_blendv_ps(_mm256_permutevar8x32_ps(values.low, words),
                            _mm256_permutevar8x32_ps(values.high, words),
                            _mm256_castsi256_ps(_mm256_slli_epi32(words, 28)));
#endif
}

/* To the nearest float that has 16 bits, of two the even one. */
INLINE vec nf4_round(vec v, const enum dtype to)
{
    vec_integers bits;

    if (to == DTYPE_F16)
        return VEC(cvtph_ps)(VEC(cvtps_ph)(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    if (to != DTYPE_BF16)
        return v;
    bits = VEC(castps_si512)(v);
    bits = VEC(add_epi32)(VEC(add_epi32)(bits, VEC(set1_epi32)(0x7FFF)),
                          VEC(and_si512)(VEC(srli_epi32)(bits, 16), VEC(set1_epi32)(1)));
    return VEC(castsi512_ps)(VEC(and_si512)(bits, VEC(set1_epi32)((int)0xFFFF0000)));
}

/* LANES outputs of 32 columns at p. */
INLINE void nf4_expand_block(float *w, const uint8_t *p, struct nf4_values values, vec absmax,
                             const enum dtype to)
{
    for (int j = 0; j < QUANT_BLOCK / 8; j++, p += 4 * PANEL_ROWS) {
        vec_integers words = vec_load_integers(p), odd = VEC(srli_epi32)(words, 16);

        for (int k = 0; k < 8; k += 2, w += 2 * (size_t)PANEL_ROWS) {
            VEC(store_ps)
            (w, nf4_round(VEC(mul_ps)(nf4_look_up(values, words), absmax), to));
            VEC(store_ps)
            (w + PANEL_ROWS, nf4_round(VEC(mul_ps)(nf4_look_up(values, odd), absmax), to));
            words = VEC(srli_epi32)(words, 4);
            odd = VEC(srli_epi32)(odd, 4);
        }
    }
}

INLINE void nf4_expand_to(float *w, const struct matrix *m, size_t panel, size_t first, size_t n,
                          const enum dtype to)
{
    const struct nf4_values values = nf4_load_values(m->nf4.values);

    for (size_t k = first; k < first + n; k += QUANT_BLOCK) {
        const uint8_t *p = cpu_matrix_at(m, panel, k);
        const float *absmax = cpu_matrix_absmax(m, panel, k);

        for (size_t lane = 0; lane < PANEL_ROWS; lane += LANES)
            nf4_expand_block(w + lane, p + 4 * lane, values, VEC(loadu_ps)(absmax + lane), to);
        w += (size_t)QUANT_BLOCK * PANEL_ROWS;
    }
}

/* cpu_kernels.expand of NF4 */
static void nf4_expand(float *w, const struct matrix *m, size_t panel, size_t first, size_t n)
{
    if (m->nf4.rounds_to == DTYPE_F16)
        nf4_expand_to(w, m, panel, first, n, DTYPE_F16);
    else if (m->nf4.rounds_to == DTYPE_BF16)
        nf4_expand_to(w, m, panel, first, n, DTYPE_BF16);
    else
        nf4_expand_to(w, m, panel, first, n, DTYPE_F32);
}

#endif /* __AVX2__ */
#endif
