/* Weights of a panel to floats in registers: what the AVX2 set's products share. Empty in a file
 * that is not compiled for AVX2. */
#ifndef CPU_CPU_LOAD_AVX2_H
#define CPU_CPU_LOAD_AVX2_H

#if defined(__AVX2__)

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>

#include "cpu/cpu_matrix.h"

#define INLINE static inline __attribute__((always_inline))

enum { HALF = PANEL_ROWS / 2 };

INLINE __m256 load_f16(const uint8_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}

INLINE __m256 load_i8(const uint8_t *p)
{
    const __m128i q = _mm_loadl_epi64((const __m128i *)(const void *)p);

    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(q));
}

INLINE __m256 load_bf16(const uint8_t *p)
{
    const __m128i h = _mm_loadu_si128((const __m128i *)(const void *)p);

    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}

INLINE __m256i load_words(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

/* What both halves of a panel multiply a block's numbers with, and add. */
struct factors {
    __m256 d_lo, d_hi;     /* for the low four bits of a byte */
    __m256 d16_lo, d16_hi; /* for its high four, which are read 16 times too large: exact */
    __m256 m_lo, m_hi;
};

/* The 4-bit products q * d are exact in a float (4 + 11 bits), so the fused q * d + m rounds once
 * as the definition's two steps do. Q4_0's (q - 8) * d is q * d - 8 d, where all steps are exact.
 */
INLINE struct factors load_factors(const uint8_t *p, bool has_m)
{
    const __m256 sixteenth = _mm256_set1_ps(1.0f / 16), minus8 = _mm256_set1_ps(-8.0f);
    struct factors f = {.d_lo = load_f16(p), .d_hi = load_f16(p + 2 * HALF)};

    f.d16_lo = _mm256_mul_ps(f.d_lo, sixteenth);
    f.d16_hi = _mm256_mul_ps(f.d_hi, sixteenth);
    p += 2 * PANEL_ROWS;
    f.m_lo = has_m ? load_f16(p) : _mm256_mul_ps(f.d_lo, minus8);
    f.m_hi = has_m ? load_f16(p + 2 * HALF) : _mm256_mul_ps(f.d_hi, minus8);
    return f;
}

INLINE __m256 nibbles(__m256i words, int mask, __m256 d, __m256 m)
{
    const __m256i q = _mm256_and_si256(words, _mm256_set1_epi32(mask));

    return _mm256_fmadd_ps(_mm256_cvtepi32_ps(q), d, m);
}

#endif /* __AVX2__ */
#endif
