/* What the sets of vectors do row by row and element by element, written once for both widths:
 * norms, activations, rope, softmax. Empty in a file that is compiled for neither.
 *
 * Sums over a row run in vectors that are added up in a fixed order. Tails are loaded under a mask
 * and go through the same operations as whole vectors. */
#ifndef CPU_CPU_VECTOR_ROWS_H
#define CPU_CPU_VECTOR_ROWS_H

#include "cpu/cpu_vector.h"
#include "cpu/cpu_vector_attention.h"

#if defined(__AVX2__)

/* e^x: x = n ln 2 + r, |r| <= ln 2 / 2, e^r = 1 + r + r^2 P(r) with P of degree 4 fitted to a
 * relative error of 3.1e-9. Off by at most 0.99 units in the last place (every 61st float in the
 * range). Below -87.31 the result is 0 (no subnormals), above 88.367 that of 88.367; NaN stays. */
INLINE vec exp_ps(vec x)
{
    const vec lowest = VEC(set1_ps)(-0x1.5d4p+6f), highest = VEC(set1_ps)(0x1.6178p+6f);
    const vec given = x;
    vec n, r, p;
    vec_integers power;

    x = VEC(min_ps)(highest, VEC(max_ps)(lowest, x)); /* of a NaN: the second operand */
    n = vec_round(VEC(mul_ps)(x, VEC(set1_ps)(0x1.715476p+0f)));
    r = VEC(fnmadd_ps)(n, VEC(set1_ps)(0x1.62e4p-1f), x);    /* ln 2, its first 16 bits: exact */
    r = VEC(fnmadd_ps)(n, VEC(set1_ps)(0x1.7f7d1cp-20f), r); /* the rest of ln 2 */
    p = VEC(set1_ps)(0x1.6a2430p-10f);
    p = VEC(fmadd_ps)(p, r, VEC(set1_ps)(0x1.1239e4p-7f));
    p = VEC(fmadd_ps)(p, r, VEC(set1_ps)(0x1.5558f2p-5f));
    p = VEC(fmadd_ps)(p, r, VEC(set1_ps)(0x1.555492p-3f));
    p = VEC(fmadd_ps)(p, r, VEC(set1_ps)(0x1.fffffcp-2f));
    p = VEC(fmadd_ps)(p, VEC(mul_ps)(r, r), r);
    p = VEC(add_ps)(p, VEC(set1_ps)(1.0f));
    power = VEC(slli_epi32)(VEC(cvtps_epi32)(n), 23);
    p = VEC(castsi512_ps)(VEC(add_epi32)(VEC(castps_si512)(p), power));
    return vec_if_less(given, lowest, VEC(setzero_ps)(), p);
}

/* erf(x). |x| < 1: x + x P(x^2), P of degree 6 fitted to a relative error of 1.2e-9. Else
 * 1 - e^Q(|x|) with the sign of x, Q of degree 6 fitted to log(erfc) on [0.98, 4] to an error of
 * 1.2e-9; from 4 on erf is 1 in a float. Off by at most 6.6e-8. */
INLINE vec erf_ps(vec x)
{
    const vec sign = VEC(set1_ps)(-0.0f), one = VEC(set1_ps)(1.0f);
    const vec a = VEC(andnot_ps)(sign, x), s = VEC(mul_ps)(x, x);
    vec small, large, t;

    small = VEC(set1_ps)(7.853858e-05f);
    small = VEC(fmadd_ps)(small, s, VEC(set1_ps)(-0.00080101925f));
    small = VEC(fmadd_ps)(small, s, VEC(set1_ps)(0.0051883277f));
    small = VEC(fmadd_ps)(small, s, VEC(set1_ps)(-0.026853811f));
    small = VEC(fmadd_ps)(small, s, VEC(set1_ps)(0.112835854f));
    small = VEC(fmadd_ps)(small, s, VEC(set1_ps)(-0.37612626f));
    small = VEC(fmadd_ps)(small, s, VEC(set1_ps)(0.12837917f));
    small = VEC(fmadd_ps)(small, x, x);
    t = VEC(min_ps)(VEC(set1_ps)(4.0f), a);
    large = VEC(set1_ps)(0.00018797173f);
    large = VEC(fmadd_ps)(large, t, VEC(set1_ps)(-0.0029640067f));
    large = VEC(fmadd_ps)(large, t, VEC(set1_ps)(0.021906478f));
    large = VEC(fmadd_ps)(large, t, VEC(set1_ps)(-0.10325621f));
    large = VEC(fmadd_ps)(large, t, VEC(set1_ps)(-0.63796496f));
    large = VEC(fmadd_ps)(large, t, VEC(set1_ps)(-1.1272023f));
    large = VEC(fmadd_ps)(large, t, VEC(set1_ps)(-0.000312468f));
    large = VEC(sub_ps)(one, exp_ps(large));
    large = VEC(or_ps)(large, VEC(and_ps)(sign, x));
    return vec_if_less(a, one, small, large);
}

static void vector_rmsnorm(float *y, const float *x, const float *weight, size_t dim, float eps)
{
    vec sums[4] = {VEC(setzero_ps)(), VEC(setzero_ps)(), VEC(setzero_ps)(), VEC(setzero_ps)()};
    vec factor;
    float mean;

    for (size_t i = 0; i < dim; i += LANES) {
        const vec v = vec_load(x + i, dim - i);

        sums[i / LANES % 4] = VEC(fmadd_ps)(v, v, sums[i / LANES % 4]);
    }
    mean = vec_sum(VEC(add_ps)(VEC(add_ps)(sums[0], sums[1]), VEC(add_ps)(sums[2], sums[3]))) /
           (float)dim;
    factor = VEC(set1_ps)(1.0f / sqrtf(mean + eps));
    for (size_t i = 0; i < dim; i += LANES) {
        const vec v = VEC(mul_ps)(vec_load(x + i, dim - i), factor);

        vec_store(y + i, dim - i, VEC(mul_ps)(v, vec_load(weight + i, dim - i)));
    }
}

static void vector_layernorm(float *y, const float *x, const float *weight, const float *bias,
                             size_t dim, float eps)
{
    vec sum = VEC(setzero_ps)(), squares = VEC(setzero_ps)(), mean, factor;

    for (size_t i = 0; i < dim; i += LANES)
        sum = VEC(add_ps)(sum, vec_load(x + i, dim - i));
    mean = VEC(set1_ps)(vec_sum(sum) / (float)dim);
    for (size_t i = 0; i < dim; i += LANES) {
        const vec v = VEC(sub_ps)(vec_load(x + i, dim - i), mean);
        const vec counted = vec_first(v, dim - i, VEC(setzero_ps)());

        squares = VEC(fmadd_ps)(counted, counted, squares);
    }
    factor = VEC(set1_ps)(1.0f / sqrtf(vec_sum(squares) / (float)dim + eps));
    for (size_t i = 0; i < dim; i += LANES) {
        const vec v = VEC(sub_ps)(vec_load(x + i, dim - i), mean);
        const vec w = VEC(mul_ps)(vec_load(weight + i, dim - i), factor);

        vec_store(y + i, dim - i, VEC(fmadd_ps)(v, w, vec_load(bias + i, dim - i)));
    }
}

static void vector_add(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i += LANES)
        vec_store(y + i, n - i, VEC(add_ps)(vec_load(y + i, n - i), vec_load(x + i, n - i)));
}

static void vector_silu_mul(float *y, const float *gate, const float *up, size_t n)
{
    const vec one = VEC(set1_ps)(1.0f), sign = VEC(set1_ps)(-0.0f);

    for (size_t i = 0; i < n; i += LANES) {
        const vec g = vec_load(gate + i, n - i);
        const vec e = exp_ps(VEC(xor_ps)(g, sign));
        const vec silu = VEC(div_ps)(g, VEC(add_ps)(one, e));

        vec_store(y + i, n - i, VEC(mul_ps)(silu, vec_load(up + i, n - i)));
    }
}

static void vector_gelu(float *y, size_t n)
{
    const vec half = VEC(set1_ps)(0.5f), root = VEC(set1_ps)(0x1.6a09e6p-1f);

    for (size_t i = 0; i < n; i += LANES) {
        const vec v = vec_load(y + i, n - i);
        const vec h = VEC(mul_ps)(v, half);

        vec_store(y + i, n - i, VEC(fmadd_ps)(h, erf_ps(VEC(mul_ps)(v, root)), h));
    }
}

static void vector_scale(float *y, const float *x, float factor, size_t n)
{
    const vec f = VEC(set1_ps)(factor);

    for (size_t i = 0; i < n; i += LANES)
        vec_store(y + i, n - i, VEC(mul_ps)(vec_load(x + i, n - i), f));
}

static void vector_rope(float *x, const float *cosine, const float *sine, size_t half)
{
    for (size_t i = 0; i < half; i += LANES) {
        const size_t n = half - i;
        const vec a = vec_load(x + i, n), b = vec_load(x + half + i, n);
        const vec c = vec_load(cosine + i, n), s = vec_load(sine + i, n);

        vec_store(x + i, n, VEC(fmsub_ps)(a, c, VEC(mul_ps)(b, s)));
        vec_store(x + half + i, n, VEC(fmadd_ps)(b, c, VEC(mul_ps)(a, s)));
    }
}

static float vector_softmax_block(float *scores, int n_seen, float factor, float *max, float *sum)
{
    const size_t n = (size_t)n_seen;
    const vec f = VEC(set1_ps)(factor), none = VEC(set1_ps)(-INFINITY);
    vec highest = VEC(set1_ps)(*max), total = VEC(setzero_ps)(), m;
    float shrink;

    for (size_t i = 0; i < n; i += LANES) {
        const vec s = VEC(mul_ps)(vec_load(scores + i, n - i), f);
        const vec seen = vec_first(s, n - i, none);

        vec_store(scores + i, n - i, s);
        highest = VEC(max_ps)(highest, seen);
    }
    m = VEC(set1_ps)(vec_max(highest));
    shrink = VEC(cvtss_f32)(exp_ps(VEC(sub_ps)(VEC(set1_ps)(*max), m)));
    for (size_t i = 0; i < n; i += LANES) {
        const vec e = exp_ps(VEC(sub_ps)(vec_load(scores + i, n - i), m));
        const vec seen = vec_first(e, n - i, VEC(setzero_ps)());

        vec_store(scores + i, n - i, seen);
        total = VEC(add_ps)(total, seen);
    }
    *max = VEC(cvtss_f32)(m);
    *sum = *sum * shrink + vec_sum(total);
    return shrink;
}

/* Terms are floats, off by a unit in the last place at most; their sums are doubles. */
static double vector_log_sum_exp(const float *x, size_t n)
{
    const vec none = VEC(set1_ps)(-INFINITY);
    vec highest = none, max;
    vec_double low = VEC(setzero_pd)(), high = VEC(setzero_pd)();
    double sums[LANES / 2];

    for (size_t i = 0; i < n; i += LANES)
        highest = VEC(max_ps)(vec_load_or(x + i, n - i, none), highest);
    /* of a NaN and another that is the other: it shows in the sum */
    max = VEC(set1_ps)(vec_max(highest));
    for (size_t i = 0; i < n; i += LANES) {
        const vec e = exp_ps(VEC(sub_ps)(vec_load_or(x + i, n - i, none), max));

        low = VEC(add_pd)(low, vec_low_doubles(e));
        high = VEC(add_pd)(high, vec_high_doubles(e));
    }
    VEC(storeu_pd)(sums, VEC(add_pd)(low, high));
    for (int left = LANES / 4; left > 0; left /= 2) { /* neighbours, then pairs of them */
        for (int i = 0; i < left; i++)
            sums[i] = sums[2 * i] + sums[2 * i + 1];
    }
    return (double)VEC(cvtss_f32)(max) + log(sums[0]);
}

/* The members of struct cpu_kernels that are here. */
#define VECTOR_ROWS                                                                                \
    .rmsnorm = vector_rmsnorm, .layernorm = vector_layernorm, .add = vector_add,                   \
    .silu_mul = vector_silu_mul, .gelu = vector_gelu, .scale = vector_scale, .rope = vector_rope,  \
    .softmax_block = vector_softmax_block, .round_values = vector_round_values,                    \
    .softmax_words = vector_softmax_words, .log_sum_exp = vector_log_sum_exp

#endif /* __AVX2__ */
#endif
