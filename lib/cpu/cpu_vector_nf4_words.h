/* NF4 panels to pairs of 16-bit numbers (cpu_words.h), written once for both vector widths, and
 * with the same bits on both.
 *
 * A group's scale is its absmax / NF4_WORDS, so a code is one of 16 numbers whatever the group: a
 * table in registers makes pairs of codes pairs of numbers, and nothing is multiplied. A number is
 * off by half a unit: 8.7e-5 of the absmax. The rounding of weights to 16 bits that a view asks for
 * is left out: it is 2^-9 or 2^-12 of a weight, random, beside the 4 bits that the weight has.
 *
 * Where runs are shorter than a group, its scale is that of the largest of two, and the numbers of
 * the other are multiplied by the ratio. */
#ifndef CPU_CPU_VECTOR_NF4_WORDS_H
#define CPU_CPU_VECTOR_NF4_WORDS_H

#include "cpu/cpu_vector_words.h"

#if defined(__AVX2__)

/* Sixteen 16-bit numbers to be looked up. */
struct nf4_numbers {
    vec_integers low; /* 16 bits each, or their lower halves */
#if !defined(__AVX512F__)
    vec_integers high;
#endif
};

/* Pairs 0 to 3 of eight columns. */
struct nf4_pairs {
    vec_integers p0, p1, p2, p3;
};

INLINE struct nf4_numbers nf4_load_numbers(const int16_t words[NF4_CODES])
{
    const __m256i all = _mm256_loadu_si256((const __m256i *)(const void *)words);
#if defined(__AVX512F__)
    return (struct nf4_numbers){_mm512_broadcast_i64x4(all)};
#else
    /* bytes of the sixteen, the lower ones and the upper ones, in both halves */
    const __m256i low = _mm256_and_si256(all, _mm256_set1_epi16(0xFF));
    const __m256i high = _mm256_srli_epi16(all, 8);

    return (struct nf4_numbers){
        _mm256_permute4x64_epi64(_mm256_packus_epi16(low, low), 0x88),
        _mm256_permute4x64_epi64(_mm256_packus_epi16(high, high), 0x88),
    };
#endif
}

#if !defined(__AVX512F__)
/* Of bytes with a code in each, the pairs of bytes 0 and 2 and of bytes 1 and 3. */
INLINE void nf4_two_pairs(struct nf4_numbers numbers, __m256i codes, __m256i *even, __m256i *odd)
{
    const __m256i low = _mm256_shuffle_epi8(numbers.low, codes);
    const __m256i high = _mm256_shuffle_epi8(numbers.high, codes);
    const __m256i lower = _mm256_set1_epi16(0xFF);

    *even = _mm256_or_si256(_mm256_and_si256(low, lower), _mm256_slli_epi16(high, 8));
    *odd = _mm256_or_si256(_mm256_srli_epi16(low, 8), _mm256_andnot_si256(lower, high));
}
#endif

INLINE struct nf4_pairs nf4_pairs_of(struct nf4_numbers numbers, vec_integers words)
{
    struct nf4_pairs p;
#if defined(__AVX512F__)
    /* five bits name one of twice sixteen: the fifth, of the next code, does not matter */
    p.p0 = _mm512_permutexvar_epi16(words, numbers.low);
    p.p1 = _mm512_permutexvar_epi16(_mm512_srli_epi16(words, 4), numbers.low);
    p.p2 = _mm512_permutexvar_epi16(_mm512_srli_epi16(words, 8), numbers.low);
    p.p3 = _mm512_permutexvar_epi16(_mm512_srli_epi16(words, 12), numbers.low);
#else
    const __m256i codes = _mm256_set1_epi8(15);

    nf4_two_pairs(numbers, _mm256_and_si256(words, codes), &p.p0, &p.p2);
    nf4_two_pairs(numbers, _mm256_and_si256(_mm256_srli_epi16(words, 4), codes), &p.p1, &p.p3);
#endif
    return p;
}

/* What the numbers of LANES outputs are multiplied with, in units of 2^-15, where a group has
 * several runs; `scales`: the group's. */
INLINE vec_integers nf4_ratio(const struct matrix *m, size_t panel, size_t k, size_t lane,
                              const float *scales)
{
    const vec absmax = VEC(loadu_ps)(cpu_matrix_absmax(m, panel, k) + lane);
    const vec units = VEC(mul_ps)(absmax, inverse(VEC(loadu_ps)(scales + lane)));

    return twice(VEC(mul_ps)(units, VEC(set1_ps)(32767.0f / NF4_WORDS)));
}

INLINE struct nf4_pairs nf4_multiply(struct nf4_pairs p, vec_integers ratio)
{
    return (struct nf4_pairs){VEC(mulhrs_epi16)(p.p0, ratio), VEC(mulhrs_epi16)(p.p1, ratio),
                              VEC(mulhrs_epi16)(p.p2, ratio), VEC(mulhrs_epi16)(p.p3, ratio)};
}

/* cpu_words.measure of NF4 */
static inline void nf4_measure(float *scales, const struct matrix *m, size_t panel)
{
    for (size_t k = 0; k < m->cols; k += WORD_GROUP, scales += PANEL_ROWS) {
        const float *a = cpu_matrix_absmax(m, panel, k);
        const bool part = m->nf4.run < WORD_GROUP;
        const float *b = part && k + m->nf4.run < m->cols ? a + PANEL_ROWS : a;

        for (size_t i = 0; i < PANEL_ROWS; i++) /* of double quantisation, one may be below 0 */
            scales[i] = (part ? fmaxf(fabsf(a[i]), fabsf(b[i])) : a[i]) * (1 / NF4_WORDS);
    }
}

/* Columns [first, first + n) of one run, of LANES outputs. */
INLINE void nf4_expand_lanes(int32_t *w, const struct matrix *m, const float *scales, size_t panel,
                             size_t first, size_t lane, struct nf4_numbers numbers)
{
    const bool part = m->nf4.run < WORD_GROUP;
    const vec_integers ratio =
        part ? nf4_ratio(m, panel, first, lane, scales) : VEC(setzero_si512)();
    const uint8_t *p = cpu_matrix_at(m, panel, first) + 4 * lane;

    w += lane;
    for (int j = 0; j < QUANT_BLOCK / 8; j++, p += 4 * PANEL_ROWS, w += 4 * PANEL_ROWS) {
        struct nf4_pairs y = nf4_pairs_of(numbers, vec_load_integers(p));

        if (part)
            y = nf4_multiply(y, ratio);
        vec_store_integers(w, y.p0);
        vec_store_integers(w + PANEL_ROWS, y.p1);
        vec_store_integers(w + 2 * PANEL_ROWS, y.p2);
        vec_store_integers(w + 3 * PANEL_ROWS, y.p3);
    }
}

/* cpu_words.expand of NF4 */
static inline void nf4_expand_words(int32_t *w, const struct matrix *m, const float *scales,
                                    size_t panel, size_t first, size_t n)
{
    const struct nf4_numbers numbers = nf4_load_numbers(m->nf4.words);

    for (size_t k = 0; k < n; k += QUANT_BLOCK, w += QUANT_BLOCK / 2 * PANEL_ROWS) {
        for (size_t lane = 0; lane < PANEL_ROWS; lane += LANES)
            nf4_expand_lanes(w, m, scales + k / WORD_GROUP * PANEL_ROWS, panel, first + k, lane,
                             numbers);
    }
}

#endif /* __AVX2__ */
#endif
