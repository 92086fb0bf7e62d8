/* Pairs of 16-bit numbers in registers, written once for both vector widths: blocks of a panel to
 * pairs, and products of pairs. What expansion, tiles and the products of few rows share.
 *
 * A vector holds LANES outputs: a panel is one (AVX-512) or two of them. */
#ifndef CPU_CPU_VECTOR_WORDS_H
#define CPU_CPU_VECTOR_WORDS_H

#include "cpu/cpu_vector.h"
#include "cpu/cpu_words.h"

#if defined(__AVX2__)

/* sums += the products of both halves of w and x. In assembly, since gcc 12 copies each accumulator
 * around _mm512_dpwssd_epi32, and computes products of 256 bits so far ahead of their sums that it
 * runs out of registers.
 *
 * The sum of a pair's products is at most 2 (WORD_MOST + 2)^2 < 2^31: vpmaddwd does not wrap. */
#if defined(__AVX512VNNI__)
#define MULTIPLY_PAIRS(sums, x, w) __asm__("vpdpwssd %2, %1, %0" : "+v"(sums) : "v"(x), "v"(w))
#else
#define MULTIPLY_PAIRS(sums, x, w)                                                                 \
    do {                                                                                           \
        __m256i product_;                                                                          \
                                                                                                   \
        __asm__("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0"                                         \
                : "+x"(sums), "=&x"(product_)                                                      \
                : "x"(x), "x"(w));                                                                 \
    } while (0)
#endif

/* The line of y will be written when a tile is done. In assembly: compilers fetch it to be read
 * only, unless told of a feature that every CPU with AVX2 has or ignores. */
INLINE void ask_to_write(float *y)
{
    __asm__ volatile("prefetchw %0" : : "m"(*y));
}

/* Fetches a group's share of what comes next, for the second-level cache; where it goes on. */
INLINE const uint8_t *ask_ahead(const uint8_t *at, size_t n_lines)
{
    for (; n_lines > 0; n_lines--, at += 64)
        __builtin_prefetch(at, 0, 2);
    return at;
}

/* Lane by lane the lower halves of both, the first one's below. */
INLINE vec_integers vec_pairs(vec_integers first, vec_integers second)
{
#if defined(__AVX512F__)
    return _mm512_mask_blend_epi16(0xAAAAAAAA, first, _mm512_slli_epi32(second, 16));
#else
    return _mm256_blend_epi16(first, _mm256_slli_epi32(second, 16), 0xAA);
#endif
}

/* What numbers are multiplied with to be in units of s: 0 for none. */
INLINE vec inverse(vec s)
{
    const vec zero = VEC(setzero_ps)();

    return vec_if_less(zero, s, VEC(div_ps)(VEC(set1_ps)(1.0f), s), zero);
}

/* The same of powers of two below 2^127; a huge number for none. */
INLINE vec inverse_of_power(vec s)
{
    const vec_integers bits = VEC(castps_si512)(s);

    return VEC(castsi512_ps)(VEC(sub_epi32)(VEC(set1_epi32)(254 << 23), bits));
}

/* What a block's factors are multiplied with to be 16-bit numbers themselves: from_nibbles and
 * from_bytes multiply q times 2^11 or 2^8 with them, and drop 15 bits. */
enum { D_UNITS_4 = 16, D_UNITS_8 = 128 };

/* Rounded numbers as both halves of pairs. */
INLINE vec_integers twice(vec x)
{
    const vec_integers q = VEC(cvtps_epi32)(x);

    return vec_pairs(q, q);
}

/* What pairs of a block's numbers are multiplied with, and what is added. */
struct pair_factors {
    vec_integers d, m;
};

/* Of a 4-bit block's factors at p, those of LANES outputs; inv: of their scales. */
INLINE struct pair_factors factors_4_bit(const uint8_t *p, vec inv, bool has_m)
{
    const vec f = VEC(mul_ps)(vec_load_f16(p), inv);

    return (struct pair_factors){
        twice(VEC(mul_ps)(f, VEC(set1_ps)(D_UNITS_4))),
        twice(has_m ? VEC(mul_ps)(vec_load_f16(p + 2 * PANEL_ROWS), inv)
                    : VEC(mul_ps)(f, VEC(set1_ps)(-8.0f))),
    };
}

INLINE vec_integers factors_8_bit(const uint8_t *p, vec inv)
{
    const vec f = VEC(mul_ps)(vec_load_f16(p), inv);

    return twice(VEC(mul_ps)(f, VEC(set1_ps)(D_UNITS_8)));
}

/* The k-th pair of columns of eight in a word: (q 2^11) d 2^-15 for its nibbles, by shifts that
 * bring them below the sign. */
INLINE vec_integers nibble_products(vec_integers words, const int k, vec_integers d)
{
    const vec_integers shifted = k == 0   ? VEC(slli_epi16)(words, 11)
                                 : k == 1 ? VEC(slli_epi16)(words, 7)
                                 : k == 2 ? VEC(slli_epi16)(words, 3)
                                          : VEC(srli_epi16)(words, 1);
    const vec_integers q = VEC(and_si512)(shifted, VEC(set1_epi16)(0x7800));

    return VEC(mulhrs_epi16)(q, d);
}

/* The same, + m. */
INLINE vec_integers from_nibbles(vec_integers words, const int k, struct pair_factors f)
{
    return VEC(add_epi16)(nibble_products(words, k, f.d), f.m);
}

/* The k-th pair of columns of four in a word: (q 2^8) d 2^-15 for its bytes. */
INLINE vec_integers from_bytes(vec_integers words, const int k, vec_integers d)
{
    const vec_integers q =
        k == 0 ? VEC(slli_epi16)(words, 8) : VEC(and_si512)(words, VEC(set1_epi16)((short)0xFF00));

    return VEC(mulhrs_epi16)(q, d);
}

#endif /* __AVX2__ */
#endif
