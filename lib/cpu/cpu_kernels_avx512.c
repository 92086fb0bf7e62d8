/* The AVX-512 sets: norms, activations, rope and softmax; products are in cpu_tile_avx512.c and
 * cpu_words_avx512vnni.c.
 *
 * The functions and their errors are those of cpu_kernels_avx2.c in vectors of 16. Tails are loaded
 * under a mask and go through the same vector operations. */
#if defined(__x86_64__)

#include "cpu/cpu_kernels.h"

#include <immintrin.h>
#include <math.h>

#include "cpu/cpu_tile_avx512.h"
#include "cpu/cpu_words_avx512vnni.h"

#define INLINE static inline __attribute__((always_inline))

enum { LANES = 16 };

/* The first n <= 16 lanes; all when n is larger. */
INLINE __mmask16 mask_of(size_t n)
{
    return (__mmask16)(n >= LANES ? 0xFFFF : (1 << n) - 1);
}

/* The first n lanes of p, zeros behind them; whole vectors when n >= 16. */
INLINE __m512 load_some(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps(mask_of(n), p);
}

INLINE void store_some(float *p, size_t n, __m512 v)
{
    _mm512_mask_storeu_ps(p, mask_of(n), v);
}

/* As the source says: what reduce_add does is up to the compiler. */
INLINE float sum_lanes(__m512 v)
{
    const __m256 h = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));

    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    s = _mm_add_ss(s, _mm_movehdup_ps(s));
    return _mm_cvtss_f32(s);
}

/* e^x: x = n ln 2 + r, |r| <= ln 2 / 2, e^r = 1 + r + r^2 P(r) with P of degree 4 fitted to a
 * relative error of 3.1e-9. Off by at most 0.99 units in the last place (every 61st float in the
 * range). Below -87.31 the result is 0 (no subnormals), above 88.367 that of 88.367; NaN stays. */
INLINE __m512 exp_ps(__m512 x)
{
    const __m512 lowest = _mm512_set1_ps(-0x1.5d4p+6f), highest = _mm512_set1_ps(0x1.6178p+6f);
    const __mmask16 stays = _mm512_cmp_ps_mask(x, lowest, _CMP_NLT_UQ);
    __m512 n, r, p;
    __m512i power;

    x = _mm512_min_ps(highest, _mm512_max_ps(lowest, x)); /* of a NaN: the second operand */
    n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(0x1.715476p+0f)),
                             _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0x1.62e4p-1f), x); /* ln 2, its first 16 bits: exact */
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0x1.7f7d1cp-20f), r); /* the rest of ln 2 */
    p = _mm512_set1_ps(0x1.6a2430p-10f);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.1239e4p-7f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.5558f2p-5f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.555492p-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.fffffcp-2f));
    p = _mm512_fmadd_ps(p, _mm512_mul_ps(r, r), r);
    p = _mm512_add_ps(p, _mm512_set1_ps(1.0f));
    power = _mm512_slli_epi32(_mm512_cvtps_epi32(n), 23);
    p = _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(p), power));
    return _mm512_maskz_mov_ps(stays, p);
}

/* erf(x). |x| < 1: x + x P(x^2), P of degree 6 fitted to a relative error of 1.2e-9. Else
 * 1 - e^Q(|x|) with the sign of x, Q of degree 6 fitted to log(erfc) on [0.98, 4] to an error of
 * 1.2e-9; from 4 on erf is 1 in a float. Off by at most 6.6e-8. */
INLINE __m512 erf_ps(__m512 x)
{
    const __m512 sign = _mm512_set1_ps(-0.0f), one = _mm512_set1_ps(1.0f);
    const __m512 a = _mm512_andnot_ps(sign, x), s = _mm512_mul_ps(x, x);
    __m512 small, large, t;

    small = _mm512_set1_ps(7.853858e-05f);
    small = _mm512_fmadd_ps(small, s, _mm512_set1_ps(-0.00080101925f));
    small = _mm512_fmadd_ps(small, s, _mm512_set1_ps(0.0051883277f));
    small = _mm512_fmadd_ps(small, s, _mm512_set1_ps(-0.026853811f));
    small = _mm512_fmadd_ps(small, s, _mm512_set1_ps(0.112835854f));
    small = _mm512_fmadd_ps(small, s, _mm512_set1_ps(-0.37612626f));
    small = _mm512_fmadd_ps(small, s, _mm512_set1_ps(0.12837917f));
    small = _mm512_fmadd_ps(small, x, x);
    t = _mm512_min_ps(_mm512_set1_ps(4.0f), a);
    large = _mm512_set1_ps(0.00018797173f);
    large = _mm512_fmadd_ps(large, t, _mm512_set1_ps(-0.0029640067f));
    large = _mm512_fmadd_ps(large, t, _mm512_set1_ps(0.021906478f));
    large = _mm512_fmadd_ps(large, t, _mm512_set1_ps(-0.10325621f));
    large = _mm512_fmadd_ps(large, t, _mm512_set1_ps(-0.63796496f));
    large = _mm512_fmadd_ps(large, t, _mm512_set1_ps(-1.1272023f));
    large = _mm512_fmadd_ps(large, t, _mm512_set1_ps(-0.000312468f));
    large = _mm512_sub_ps(one, exp_ps(large));
    large = _mm512_or_ps(large, _mm512_and_ps(sign, x));
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, one, _CMP_LT_OQ), large, small);
}

static void avx512_rmsnorm(float *y, const float *x, const float *weight, size_t dim, float eps)
{
    __m512 sums[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(),
                      _mm512_setzero_ps()};
    __m512 factor;
    float mean;

    for (size_t i = 0; i < dim; i += LANES) {
        const __m512 v = load_some(x + i, dim - i);

        sums[i / LANES % 4] = _mm512_fmadd_ps(v, v, sums[i / LANES % 4]);
    }
    mean =
        sum_lanes(_mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3]))) /
        (float)dim;
    factor = _mm512_set1_ps(1.0f / sqrtf(mean + eps));
    for (size_t i = 0; i < dim; i += LANES) {
        const __m512 v = _mm512_mul_ps(load_some(x + i, dim - i), factor);

        store_some(y + i, dim - i, _mm512_mul_ps(v, load_some(weight + i, dim - i)));
    }
}

static void avx512_layernorm(float *y, const float *x, const float *weight, const float *bias,
                             size_t dim, float eps)
{
    __m512 sum = _mm512_setzero_ps(), squares = _mm512_setzero_ps(), mean, factor;

    for (size_t i = 0; i < dim; i += LANES)
        sum = _mm512_add_ps(sum, load_some(x + i, dim - i));
    mean = _mm512_set1_ps(sum_lanes(sum) / (float)dim);
    for (size_t i = 0; i < dim; i += LANES) {
        const __m512 v = _mm512_sub_ps(load_some(x + i, dim - i), mean);
        const __m512 counted = _mm512_maskz_mov_ps(mask_of(dim - i), v);

        squares = _mm512_fmadd_ps(counted, counted, squares);
    }
    factor = _mm512_set1_ps(1.0f / sqrtf(sum_lanes(squares) / (float)dim + eps));
    for (size_t i = 0; i < dim; i += LANES) {
        const __m512 v = _mm512_sub_ps(load_some(x + i, dim - i), mean);
        const __m512 w = _mm512_mul_ps(load_some(weight + i, dim - i), factor);

        store_some(y + i, dim - i, _mm512_fmadd_ps(v, w, load_some(bias + i, dim - i)));
    }
}

static void avx512_add(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i += LANES)
        store_some(y + i, n - i, _mm512_add_ps(load_some(y + i, n - i), load_some(x + i, n - i)));
}

static void avx512_silu_mul(float *y, const float *gate, const float *up, size_t n)
{
    const __m512 one = _mm512_set1_ps(1.0f), sign = _mm512_set1_ps(-0.0f);

    for (size_t i = 0; i < n; i += LANES) {
        const __m512 g = load_some(gate + i, n - i);
        const __m512 e = exp_ps(_mm512_xor_ps(g, sign));
        const __m512 silu = _mm512_div_ps(g, _mm512_add_ps(one, e));

        store_some(y + i, n - i, _mm512_mul_ps(silu, load_some(up + i, n - i)));
    }
}

static void avx512_gelu(float *y, size_t n)
{
    const __m512 half = _mm512_set1_ps(0.5f), root = _mm512_set1_ps(0x1.6a09e6p-1f);

    for (size_t i = 0; i < n; i += LANES) {
        const __m512 v = load_some(y + i, n - i);
        const __m512 h = _mm512_mul_ps(v, half);

        store_some(y + i, n - i, _mm512_fmadd_ps(h, erf_ps(_mm512_mul_ps(v, root)), h));
    }
}

static void avx512_scale(float *y, const float *x, float factor, size_t n)
{
    const __m512 f = _mm512_set1_ps(factor);

    for (size_t i = 0; i < n; i += LANES)
        store_some(y + i, n - i, _mm512_mul_ps(load_some(x + i, n - i), f));
}

static void avx512_rope(float *x, const float *cosine, const float *sine, size_t half)
{
    for (size_t i = 0; i < half; i += LANES) {
        const size_t n = half - i;
        const __m512 a = load_some(x + i, n), b = load_some(x + half + i, n);
        const __m512 c = load_some(cosine + i, n), s = load_some(sine + i, n);

        store_some(x + i, n, _mm512_fmsub_ps(a, c, _mm512_mul_ps(b, s)));
        store_some(x + half + i, n, _mm512_fmadd_ps(b, c, _mm512_mul_ps(a, s)));
    }
}

static float avx512_softmax_block(float *scores, int n_seen, float factor, float *max, float *sum)
{
    const size_t n = (size_t)n_seen;
    const __m512 f = _mm512_set1_ps(factor);
    __m512 highest = _mm512_set1_ps(*max), total = _mm512_setzero_ps(), m;
    float shrink;

    for (size_t i = 0; i < n; i += LANES) {
        const __m512 s = _mm512_mul_ps(load_some(scores + i, n - i), f);

        store_some(scores + i, n - i, s);
        highest = _mm512_mask_max_ps(highest, mask_of(n - i), highest, s);
    }
    m = _mm512_set1_ps(_mm512_reduce_max_ps(highest));
    shrink = _mm512_cvtss_f32(exp_ps(_mm512_sub_ps(_mm512_set1_ps(*max), m)));
    for (size_t i = 0; i < n; i += LANES) {
        const __m512 e = exp_ps(_mm512_sub_ps(load_some(scores + i, n - i), m));

        store_some(scores + i, n - i, e);
        total = _mm512_mask_add_ps(total, mask_of(n - i), total, e);
    }
    *max = _mm512_cvtss_f32(m);
    *sum = *sum * shrink + sum_lanes(total);
    return shrink;
}

/* Terms are floats, off by a unit in the last place at most; their sums are doubles. */
static double avx512_log_sum_exp(const float *x, size_t n)
{
    const __m512 none = _mm512_set1_ps(-INFINITY);
    __m512 highest = none, max;
    __m512d low = _mm512_setzero_pd(), high = _mm512_setzero_pd();
    double sums[8];

    for (size_t i = 0; i < n; i += LANES)
        highest = _mm512_max_ps(_mm512_mask_loadu_ps(none, mask_of(n - i), x + i), highest);
    /* of a NaN and another that is the other: it shows in the sum */
    max = _mm512_set1_ps(_mm512_reduce_max_ps(highest));
    for (size_t i = 0; i < n; i += LANES) {
        const __m512 v = _mm512_mask_loadu_ps(none, mask_of(n - i), x + i);
        const __m512 e = exp_ps(_mm512_sub_ps(v, max));

        low = _mm512_add_pd(low, _mm512_cvtps_pd(_mm512_castps512_ps256(e)));
        high = _mm512_add_pd(high, _mm512_cvtps_pd(_mm512_extractf32x8_ps(e, 1)));
    }
    _mm512_storeu_pd(sums, _mm512_add_pd(low, high));
    return (double)_mm512_cvtss_f32(max) + log(((sums[0] + sums[1]) + (sums[2] + sums[3])) +
                                               ((sums[4] + sums[5]) + (sums[6] + sums[7])));
}

/* What both sets have: only linear layers differ. */
#define COMMON                                                                                     \
    .chunk = 256, .tile_rows = TILE_AVX512_ROWS, .tile_panels = TILE_AVX512_PANELS,                \
    .expand = tile_avx512_expand, .tile = tile_avx512_multiply, .rmsnorm = avx512_rmsnorm,         \
    .layernorm = avx512_layernorm, .add = avx512_add, .silu_mul = avx512_silu_mul,                 \
    .gelu = avx512_gelu, .scale = avx512_scale, .rope = avx512_rope,                               \
    .softmax_block = avx512_softmax_block, .log_sum_exp = avx512_log_sum_exp

const struct cpu_kernels cpu_kernels_avx512 = {.name = "avx512", COMMON};
const struct cpu_kernels cpu_kernels_avx512_vnni = {
    .name = "avx512-vnni", COMMON, .words = &words_avx512vnni};

#else
typedef int cpu_kernels_avx512_is_empty_here; /* ISO C wants a declaration */
#endif
