/* Blocks of a panel to pairs of 16-bit numbers in registers: what expansion and the products of few
 * rows share. Empty in a file that is not compiled for AVX-512. */
#ifndef CPU_CPU_LOAD_AVX512VNNI_H
#define CPU_CPU_LOAD_AVX512VNNI_H

#if defined(__AVX512BW__)

#include <immintrin.h>
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))

/* What numbers are multiplied with to be in units of s: 0 for none. */
INLINE __m512 inverse(__m512 s)
{
    return _mm512_maskz_div_ps(_mm512_cmp_ps_mask(s, _mm512_setzero_ps(), _CMP_NEQ_UQ),
                               _mm512_set1_ps(1.0f), s);
}

INLINE __m512 load_f16(const uint8_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

/* What a block's factors are multiplied with to be 16-bit numbers themselves: expand_4_bit and
 * expand_q8_0 multiply q times 2^11 or 2^8 with them, and drop 15 bits. */
enum { D_UNITS_4 = 16, D_UNITS_8 = 128 };

/* 16 numbers as both halves of 16 pairs. */
INLINE __m512i twice(__m512 x)
{
    const __m512i q = _mm512_cvtps_epi32(x);

    return _mm512_mask_blend_epi16(0xAAAAAAAA, q, _mm512_slli_epi32(q, 16));
}

/* (q 2^11) d 2^-15 + m for the nibbles of words, by shifts that bring them below the sign. */
INLINE __m512i from_nibbles(__m512i shifted, __m512i d, __m512i m)
{
    const __m512i q = _mm512_and_si512(shifted, _mm512_set1_epi16(0x7800));

    return _mm512_add_epi16(_mm512_mulhrs_epi16(q, d), m);
}

/* (q 2^8) d 2^-15 for bytes that were brought to the top of their halves. */
INLINE __m512i from_bytes(__m512i q, __m512i d)
{
    return _mm512_mulhrs_epi16(q, d);
}

#endif /* __AVX512BW__ */
#endif
