/* Floats side by side, as wide as the file that includes this is compiled for: 16 with AVX-512, 8
 * with AVX2. Empty without either.
 *
 * A `n` beside a pointer or a vector is how many of its lanes count: all of them when n >= LANES.
 */
#ifndef CPU_CPU_VECTOR_H
#define CPU_CPU_VECTOR_H

#if defined(__AVX2__)

#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))

/* The order of a sum is the source's: what _mm512_reduce_add_ps does is up to the compiler. */
INLINE float vec_sum_8(__m256 v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));

    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    s = _mm_add_ss(s, _mm_movehdup_ps(s));
    return _mm_cvtss_f32(s);
}

INLINE float vec_max_8(__m256 v)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));

    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    s = _mm_max_ss(s, _mm_movehdup_ps(s));
    return _mm_cvtss_f32(s);
}

#if defined(__AVX512F__)

typedef __m512 vec;
typedef __m512d vec_double;
typedef __m512i vec_integers;
enum { LANES = 16 };
#define VEC(operation) _mm512_##operation

INLINE __mmask16 vec_mask(size_t n)
{
    return (__mmask16)(n >= LANES ? 0xFFFF : (1 << n) - 1);
}

/* The first n lanes of v, the others of `rest`. */
INLINE vec vec_first(vec v, size_t n, vec rest)
{
    return _mm512_mask_blend_ps(vec_mask(n), rest, v);
}

/* The first n floats at p, the others of `rest`; nothing behind p + n is read. */
INLINE vec vec_load_or(const float *p, size_t n, vec rest)
{
    return _mm512_mask_loadu_ps(rest, vec_mask(n), p);
}

INLINE vec vec_load(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps(vec_mask(n), p);
}

INLINE void vec_store(float *p, size_t n, vec v)
{
    _mm512_mask_storeu_ps(p, vec_mask(n), v);
}

/* Lane by lane: a < b ? x : y. */
INLINE vec vec_if_less(vec a, vec b, vec x, vec y)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x);
}

INLINE vec vec_round(vec v)
{
    return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

INLINE float vec_sum(vec v)
{
    return vec_sum_8(_mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1)));
}

INLINE vec_integers vec_load_integers(const void *p)
{
    return _mm512_loadu_si512(p);
}

INLINE void vec_store_integers(void *p, vec_integers v)
{
    _mm512_storeu_si512(p, v);
}

INLINE float vec_max(vec v)
{
    return vec_max_8(_mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1)));
}

/* Lane by lane: a is a NaN ? x : y. */
INLINE vec vec_if_nan(vec a, vec x, vec y)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q), y, x);
}

INLINE vec vec_load_f16(const void *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256(p));
}

INLINE vec vec_load_bf16(const void *p)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(p)), 16));
}

INLINE vec_integers vec_load_int8(const void *p)
{
    return _mm512_cvtepi8_epi32(_mm_loadu_si128(p));
}

INLINE vec_integers vec_load_uint8(const void *p)
{
    return _mm512_cvtepu8_epi32(_mm_loadu_si128(p));
}

/* The same 16 bytes in each 128 bits. */
INLINE vec_integers vec_repeat(__m128i bytes)
{
    return _mm512_broadcast_i32x4(bytes);
}

/* Lanes [first, end) of v, the others of `rest`. */
INLINE vec vec_between(vec v, int first, int end, vec rest)
{
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __mmask16 from = _mm512_cmpge_epi32_mask(lane, _mm512_set1_epi32(first));

    return _mm512_mask_blend_ps(_mm512_mask_cmplt_epi32_mask(from, lane, _mm512_set1_epi32(end)),
                                rest, v);
}

/* All lanes, rounded. */
INLINE void vec_store_words(int16_t *p, vec v)
{
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32(v)));
}

INLINE vec_double vec_low_doubles(vec v)
{
    return _mm512_cvtps_pd(_mm512_castps512_ps256(v));
}

INLINE vec_double vec_high_doubles(vec v)
{
    return _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1));
}

#else

typedef __m256 vec;
typedef __m256d vec_double;
typedef __m256i vec_integers;
enum { LANES = 8 };
#define VEC(operation) _mm256_##operation
/* names that AVX has with its width in them */
#define _mm256_castsi512_ps _mm256_castsi256_ps
#define _mm256_castps_si512 _mm256_castps_si256
#define _mm256_and_si512 _mm256_and_si256
#define _mm256_or_si512 _mm256_or_si256
#define _mm256_setzero_si512 _mm256_setzero_si256

INLINE __m256i vec_mask(size_t n)
{
    static const int32_t edge[2 * LANES] = {-1, -1, -1, -1, -1, -1, -1, -1};

    return _mm256_loadu_si256((const __m256i *)(const void *)(edge + LANES - n));
}

INLINE vec vec_first(vec v, size_t n, vec rest)
{
    return n >= LANES ? v : _mm256_blendv_ps(rest, v, _mm256_castsi256_ps(vec_mask(n)));
}

INLINE vec vec_load(const float *p, size_t n)
{
    return n >= LANES ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, vec_mask(n));
}

INLINE vec vec_load_or(const float *p, size_t n, vec rest)
{
    return vec_first(vec_load(p, n), n, rest);
}

INLINE void vec_store(float *p, size_t n, vec v)
{
    if (n >= LANES)
        _mm256_storeu_ps(p, v);
    else
        _mm256_maskstore_ps(p, vec_mask(n), v);
}

INLINE vec vec_if_less(vec a, vec b, vec x, vec y)
{
    return _mm256_blendv_ps(y, x, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
}

INLINE vec vec_round(vec v)
{
    return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

INLINE float vec_sum(vec v)
{
    return vec_sum_8(v);
}

INLINE vec_integers vec_load_integers(const void *p)
{
    return _mm256_loadu_si256(p);
}

INLINE void vec_store_integers(void *p, vec_integers v)
{
    _mm256_storeu_si256(p, v);
}

INLINE float vec_max(vec v)
{
    return vec_max_8(v);
}

INLINE vec vec_if_nan(vec a, vec x, vec y)
{
    return _mm256_blendv_ps(y, x, _mm256_cmp_ps(a, a, _CMP_UNORD_Q));
}

INLINE vec vec_load_f16(const void *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128(p));
}

INLINE vec vec_load_bf16(const void *p)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(p)), 16));
}

INLINE vec_integers vec_load_int8(const void *p)
{
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64(p));
}

INLINE vec_integers vec_load_uint8(const void *p)
{
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64(p));
}

INLINE vec_integers vec_repeat(__m128i bytes)
{
    return _mm256_broadcastsi128_si256(bytes);
}

INLINE vec vec_between(vec v, int first, int end, vec rest)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i before = _mm256_cmpgt_epi32(_mm256_set1_epi32(first), lane);
    const __m256i within =
        _mm256_andnot_si256(before, _mm256_cmpgt_epi32(_mm256_set1_epi32(end), lane));

    return _mm256_blendv_ps(rest, v, _mm256_castsi256_ps(within));
}

INLINE void vec_store_words(int16_t *p, vec v)
{
    const __m256i q = _mm256_cvtps_epi32(v);

    _mm_storeu_si128((__m128i *)(void *)p,
                     _mm_packs_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1)));
}

INLINE vec_double vec_low_doubles(vec v)
{
    return _mm256_cvtps_pd(_mm256_castps256_ps128(v));
}

INLINE vec_double vec_high_doubles(vec v)
{
    return _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1));
}

#endif /* __AVX512F__ */

INLINE vec vec_abs(vec v)
{
    return VEC(andnot_ps)(VEC(set1_ps)(-0.0f), v);
}

/* Two halves of four lanes that belong to four rows, or two of them. */
#if defined(__AVX512F__)
#define FOLD(OPERATION, v)                                                                         \
    _mm256_##OPERATION(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1))
#else
#define FOLD(OPERATION, v) (v)
#endif
/* Four rows' sums or maxima at once; each row's lanes come together in the same order. */
#define OF_FOUR(name, OPERATION)                                                                   \
    INLINE __m128 name(vec a, vec b, vec c, vec d)                                                 \
    {                                                                                              \
        const vec ab = VEC(OPERATION)(VEC(unpacklo_ps)(a, b), VEC(unpackhi_ps)(a, b));             \
        const vec cd = VEC(OPERATION)(VEC(unpacklo_ps)(c, d), VEC(unpackhi_ps)(c, d));             \
        const vec_double x = VEC(castps_pd)(ab), y = VEC(castps_pd)(cd);                           \
        const vec abcd = VEC(OPERATION)(VEC(castpd_ps)(VEC(unpacklo_pd)(x, y)),                    \
                                        VEC(castpd_ps)(VEC(unpackhi_pd)(x, y)));                   \
        const __m256 half = FOLD(OPERATION, abcd);                                                 \
                                                                                                   \
        return _mm_##OPERATION(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));      \
    }
OF_FOUR(vec_sums_of_four, add_ps)
OF_FOUR(vec_maxima_of_four, max_ps)
#undef OF_FOUR
#undef FOLD
#endif /* __AVX2__ */
#endif
