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
    __m256 d_lo, d_hi;     /* for the low half of a word */
    __m256 odd_lo, odd_hi; /* for its high half, which is read 2^16 times too large: exact */
    __m256 m_lo, m_hi;
};

/* The 4-bit products q * d are exact in a float (4 + 11 bits), so the fused q * d + m rounds once
 * as the definition's two steps do. Q4_0's (q - 8) * d is q * d - 8 d, where all steps are exact.
 */
INLINE struct factors load_factors(const uint8_t *p, bool has_m)
{
    const __m256 down = _mm256_set1_ps(0x1p-16f), minus8 = _mm256_set1_ps(-8.0f);
    struct factors f = {.d_lo = load_f16(p), .d_hi = load_f16(p + 2 * HALF)};

    f.odd_lo = _mm256_mul_ps(f.d_lo, down);
    f.odd_hi = _mm256_mul_ps(f.d_hi, down);
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

/* Q8_0's d for numbers at the top of their words, read 2^24 times too large: exact. */
INLINE __m256 load_byte_factors(const uint8_t *p)
{
    return _mm256_mul_ps(load_f16(p), _mm256_set1_ps(0x1p-24f));
}

/* Column k of four, 0 <= k < 4, of eight words. */
INLINE __m256 byte_of(__m256i words, const int k, __m256 d)
{
    const int up = k == 0 ? 24 : k == 1 ? 8 : k == 2 ? 16 : 0;
    const __m256i q =
        _mm256_and_si256(_mm256_slli_epi32(words, up), _mm256_set1_epi32((int)0xFF000000));

    return _mm256_mul_ps(_mm256_cvtepi32_ps(q), d);
}

#endif /* __AVX2__ */
#endif
