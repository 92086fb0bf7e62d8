/* The AVX2 + FMA + F16C set: norms, activations, rope and softmax. Products are in cpu_tile_avx2.c.
 *
 * Sums over a row run in four vectors of eight lanes and are added up in a fixed order. Tails are
 * loaded under a mask and go through the same vector operations. */
#if defined(__x86_64__)

#include "cpu/cpu_kernels.h"

#include <immintrin.h>
#include <math.h>

#include "cpu/cpu_tile_avx2.h"

#define INLINE static inline __attribute__((always_inline))

enum { LANES = 8 };

/* All bits set in the first n <= 8 lanes. */
INLINE __m256i mask_of(size_t n)
{
    static const int32_t edge[2 * LANES] = {-1, -1, -1, -1, -1, -1, -1, -1};

    return _mm256_loadu_si256((const __m256i *)(const void *)(edge + LANES - n));
}

/* The first n lanes of p, zeros behind them; whole vectors when n >= 8. */
INLINE __m256 load_some(const float *p, size_t n)
{
    return n >= LANES ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, mask_of(n));
}

INLINE void store_some(float *p, size_t n, __m256 v)
{
    if (n >= LANES)
        _mm256_storeu_ps(p, v);
    else
        _mm256_maskstore_ps(p, mask_of(n), v);
}

INLINE float sum_lanes(__m256 v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));

    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    s = _mm_add_ss(s, _mm_movehdup_ps(s));
    return _mm_cvtss_f32(s);
}

INLINE float max_lanes(__m256 v)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));

    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    s = _mm_max_ss(s, _mm_movehdup_ps(s));
    return _mm_cvtss_f32(s);
}

/* e^x: x = n ln 2 + r, |r| <= ln 2 / 2, e^r = 1 + r + r^2 P(r) with P of degree 4 fitted to a
 * relative error of 3.1e-9. Off by at most 0.99 units in the last place (every 61st float in the
 * range). Below -87.31 the result is 0 (no subnormals), above 88.367 that of 88.367; NaN stays. */
INLINE __m256 exp_ps(__m256 x)
{
    const __m256 lowest = _mm256_set1_ps(-0x1.5d4p+6f), highest = _mm256_set1_ps(0x1.6178p+6f);
    const __m256 vanished = _mm256_cmp_ps(x, lowest, _CMP_LT_OQ);
    __m256 n, r, p;
    __m256i power;

    x = _mm256_min_ps(highest, _mm256_max_ps(lowest, x)); /* of a NaN: the second operand */
    n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(0x1.715476p+0f)),
                        _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0x1.62e4p-1f), x); /* ln 2, its first 16 bits: exact */
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0x1.7f7d1cp-20f), r); /* the rest of ln 2 */
    p = _mm256_set1_ps(0x1.6a2430p-10f);
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.1239e4p-7f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.5558f2p-5f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.555492p-3f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.fffffcp-2f));
    p = _mm256_fmadd_ps(p, _mm256_mul_ps(r, r), r);
    p = _mm256_add_ps(p, _mm256_set1_ps(1.0f));
    power = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
    p = _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), power));
    return _mm256_andnot_ps(vanished, p);
}

/* erf(x). |x| < 1: x + x P(x^2), P of degree 6 fitted to a relative error of 1.2e-9. Else
 * 1 - e^Q(|x|) with the sign of x, Q of degree 6 fitted to log(erfc) on [0.98, 4] to an error of
 * 1.2e-9; from 4 on erf is 1 in a float. Off by at most 6.6e-8. */
INLINE __m256 erf_ps(__m256 x)
{
    const __m256 sign = _mm256_set1_ps(-0.0f), one = _mm256_set1_ps(1.0f);
    const __m256 a = _mm256_andnot_ps(sign, x), s = _mm256_mul_ps(x, x);
    __m256 small, large, t;

    small = _mm256_set1_ps(7.853858e-05f);
    small = _mm256_fmadd_ps(small, s, _mm256_set1_ps(-0.00080101925f));
    small = _mm256_fmadd_ps(small, s, _mm256_set1_ps(0.0051883277f));
    small = _mm256_fmadd_ps(small, s, _mm256_set1_ps(-0.026853811f));
    small = _mm256_fmadd_ps(small, s, _mm256_set1_ps(0.112835854f));
    small = _mm256_fmadd_ps(small, s, _mm256_set1_ps(-0.37612626f));
    small = _mm256_fmadd_ps(small, s, _mm256_set1_ps(0.12837917f));
    small = _mm256_fmadd_ps(small, x, x);
    t = _mm256_min_ps(_mm256_set1_ps(4.0f), a);
    large = _mm256_set1_ps(0.00018797173f);
    large = _mm256_fmadd_ps(large, t, _mm256_set1_ps(-0.0029640067f));
    large = _mm256_fmadd_ps(large, t, _mm256_set1_ps(0.021906478f));
    large = _mm256_fmadd_ps(large, t, _mm256_set1_ps(-0.10325621f));
    large = _mm256_fmadd_ps(large, t, _mm256_set1_ps(-0.63796496f));
    large = _mm256_fmadd_ps(large, t, _mm256_set1_ps(-1.1272023f));
    large = _mm256_fmadd_ps(large, t, _mm256_set1_ps(-0.000312468f));
    large = _mm256_sub_ps(one, exp_ps(large));
    large = _mm256_or_ps(large, _mm256_and_ps(sign, x));
    return _mm256_blendv_ps(large, small, _mm256_cmp_ps(a, one, _CMP_LT_OQ));
}

static void avx2_rmsnorm(float *y, const float *x, const float *weight, size_t dim, float eps)
{
    __m256 sums[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                      _mm256_setzero_ps()};
    __m256 factor;
    float mean;

    for (size_t i = 0; i < dim; i += LANES) {
        const __m256 v = load_some(x + i, dim - i);

        sums[i / LANES % 4] = _mm256_fmadd_ps(v, v, sums[i / LANES % 4]);
    }
    mean =
        sum_lanes(_mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3]))) /
        (float)dim;
    factor = _mm256_set1_ps(1.0f / sqrtf(mean + eps));
    for (size_t i = 0; i < dim; i += LANES) {
        const __m256 v = _mm256_mul_ps(load_some(x + i, dim - i), factor);

        store_some(y + i, dim - i, _mm256_mul_ps(v, load_some(weight + i, dim - i)));
    }
}

static void avx2_layernorm(float *y, const float *x, const float *weight, const float *bias,
                           size_t dim, float eps)
{
    __m256 sum = _mm256_setzero_ps(), squares = _mm256_setzero_ps(), mean, factor;

    for (size_t i = 0; i < dim; i += LANES)
        sum = _mm256_add_ps(sum, load_some(x + i, dim - i));
    mean = _mm256_set1_ps(sum_lanes(sum) / (float)dim);
    for (size_t i = 0; i < dim; i += LANES) {
        const __m256 v = _mm256_sub_ps(load_some(x + i, dim - i), mean);
        const __m256 counted =
            dim - i >= LANES ? v : _mm256_and_ps(v, _mm256_castsi256_ps(mask_of(dim - i)));

        squares = _mm256_fmadd_ps(counted, counted, squares);
    }
    factor = _mm256_set1_ps(1.0f / sqrtf(sum_lanes(squares) / (float)dim + eps));
    for (size_t i = 0; i < dim; i += LANES) {
        const __m256 v = _mm256_sub_ps(load_some(x + i, dim - i), mean);
        const __m256 w = _mm256_mul_ps(load_some(weight + i, dim - i), factor);

        store_some(y + i, dim - i, _mm256_fmadd_ps(v, w, load_some(bias + i, dim - i)));
    }
}

static void avx2_add(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i += LANES)
        store_some(y + i, n - i, _mm256_add_ps(load_some(y + i, n - i), load_some(x + i, n - i)));
}

static void avx2_silu_mul(float *y, const float *gate, const float *up, size_t n)
{
    const __m256 one = _mm256_set1_ps(1.0f), sign = _mm256_set1_ps(-0.0f);

    for (size_t i = 0; i < n; i += LANES) {
        const __m256 g = load_some(gate + i, n - i);
        const __m256 e = exp_ps(_mm256_xor_ps(g, sign));
        const __m256 silu = _mm256_div_ps(g, _mm256_add_ps(one, e));

        store_some(y + i, n - i, _mm256_mul_ps(silu, load_some(up + i, n - i)));
    }
}

static void avx2_gelu(float *y, size_t n)
{
    const __m256 half = _mm256_set1_ps(0.5f), root = _mm256_set1_ps(0x1.6a09e6p-1f);

    for (size_t i = 0; i < n; i += LANES) {
        const __m256 v = load_some(y + i, n - i);
        const __m256 h = _mm256_mul_ps(v, half);

        store_some(y + i, n - i, _mm256_fmadd_ps(h, erf_ps(_mm256_mul_ps(v, root)), h));
    }
}

static void avx2_scale(float *y, const float *x, float factor, size_t n)
{
    const __m256 f = _mm256_set1_ps(factor);

    for (size_t i = 0; i < n; i += LANES)
        store_some(y + i, n - i, _mm256_mul_ps(load_some(x + i, n - i), f));
}

static void avx2_rope(float *x, const float *cosine, const float *sine, size_t half)
{
    for (size_t i = 0; i < half; i += LANES) {
        const size_t n = half - i;
        const __m256 a = load_some(x + i, n), b = load_some(x + half + i, n);
        const __m256 c = load_some(cosine + i, n), s = load_some(sine + i, n);

        store_some(x + i, n, _mm256_fmsub_ps(a, c, _mm256_mul_ps(b, s)));
        store_some(x + half + i, n, _mm256_fmadd_ps(b, c, _mm256_mul_ps(a, s)));
    }
}

static float avx2_softmax_block(float *scores, int n_seen, float factor, float *max, float *sum)
{
    const size_t n = (size_t)n_seen;
    const __m256 f = _mm256_set1_ps(factor), none = _mm256_set1_ps(-INFINITY);
    __m256 highest = _mm256_set1_ps(*max), total = _mm256_setzero_ps(), m;
    float shrink;

    for (size_t i = 0; i < n; i += LANES) {
        const __m256 s = _mm256_mul_ps(load_some(scores + i, n - i), f);
        const __m256 seen =
            n - i >= LANES ? s : _mm256_blendv_ps(none, s, _mm256_castsi256_ps(mask_of(n - i)));

        store_some(scores + i, n - i, s);
        highest = _mm256_max_ps(highest, seen);
    }
    m = _mm256_set1_ps(max_lanes(highest));
    shrink = _mm256_cvtss_f32(exp_ps(_mm256_sub_ps(_mm256_set1_ps(*max), m)));
    for (size_t i = 0; i < n; i += LANES) {
        const __m256 e = exp_ps(_mm256_sub_ps(load_some(scores + i, n - i), m));
        const __m256 seen =
            n - i >= LANES ? e : _mm256_and_ps(e, _mm256_castsi256_ps(mask_of(n - i)));

        store_some(scores + i, n - i, seen);
        total = _mm256_add_ps(total, seen);
    }
    *max = _mm256_cvtss_f32(m);
    *sum = *sum * shrink + sum_lanes(total);
    return shrink;
}

/* Terms are floats, off by a unit in the last place at most; their sums are doubles. */
static double avx2_log_sum_exp(const float *x, size_t n)
{
    __m256 highest = _mm256_set1_ps(-INFINITY), max;
    __m256d low = _mm256_setzero_pd(), high = _mm256_setzero_pd();
    float tail[LANES];
    double sums[4];
    size_t i;

    for (i = 0; i < LANES; i++)
        tail[i] = i < n % LANES ? x[n - n % LANES + i] : -INFINITY;
    for (i = 0; i + LANES <= n; i += LANES)
        highest = _mm256_max_ps(_mm256_loadu_ps(x + i), highest); /* of a NaN: the second one */
    max = _mm256_set1_ps(max_lanes(_mm256_max_ps(_mm256_loadu_ps(tail), highest)));
    for (i = 0; i < n; i += LANES) {
        const __m256 v = i + LANES <= n ? _mm256_loadu_ps(x + i) : _mm256_loadu_ps(tail);
        const __m256 e = exp_ps(_mm256_sub_ps(v, max));

        low = _mm256_add_pd(low, _mm256_cvtps_pd(_mm256_castps256_ps128(e)));
        high = _mm256_add_pd(high, _mm256_cvtps_pd(_mm256_extractf128_ps(e, 1)));
    }
    _mm256_storeu_pd(sums, _mm256_add_pd(low, high));
    return (double)_mm256_cvtss_f32(max) + log((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

const struct cpu_kernels cpu_kernels_avx2 = {
    .name = "avx2",
    .chunk = 384,
    .tile_rows = TILE_AVX2_ROWS,
    .tile_panels = 1,
    .expand = tile_avx2_expand,
    .tile = tile_avx2_multiply,
    .few_rows = FEW_ROWS,
    .few = few_avx2_multiply,
    .rmsnorm = avx2_rmsnorm,
    .layernorm = avx2_layernorm,
    .add = avx2_add,
    .silu_mul = avx2_silu_mul,
    .gelu = avx2_gelu,
    .scale = avx2_scale,
    .rope = avx2_rope,
    .softmax_block = avx2_softmax_block,
    .log_sum_exp = avx2_log_sum_exp,
};

#else
typedef int cpu_kernels_avx2_is_empty_here; /* ISO C wants a declaration */
#endif
