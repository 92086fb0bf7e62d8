/* Training's inner loops, written once for both widths of vectors, as cpu_vector_rows.h has the
 * others. Empty in a file that is compiled for neither. */
#ifndef CPU_CPU_VECTOR_GRADIENT_H
#define CPU_CPU_VECTOR_GRADIENT_H

#include "cpu/cpu_gradient_kernels.h"
#include "cpu/cpu_vector_rows.h"

#if defined(__AVX2__)

/* Eight rows of eight; the halves of rows four apart are loaded into one register. */
INLINE void transpose_8(float *y, size_t y_stride, const float *x, size_t x_stride)
{
    __m256 r[8], s[8];

#define HALVES(i, column)                                                                          \
    _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(x + (i)*x_stride + (column))),        \
                         _mm_loadu_ps(x + ((i) + 4) * x_stride + (column)), 1)
    r[0] = HALVES(0, 0);
    r[1] = HALVES(1, 0);
    r[2] = HALVES(2, 0);
    r[3] = HALVES(3, 0);
    r[4] = HALVES(0, 4);
    r[5] = HALVES(1, 4);
    r[6] = HALVES(2, 4);
    r[7] = HALVES(3, 4);
#undef HALVES
    for (int i = 0; i < 8; i += 4) {
        s[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        s[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
        s[i + 2] = _mm256_unpacklo_ps(r[i + 2], r[i + 3]);
        s[i + 3] = _mm256_unpackhi_ps(r[i + 2], r[i + 3]);
    }
#define STORE(column, low, high, part)                                                             \
    _mm256_storeu_ps(y + (column)*y_stride, _mm256_shuffle_ps(s[low], s[high], part))
    STORE(0, 0, 2, 0x44);
    STORE(1, 0, 2, 0xEE);
    STORE(2, 1, 3, 0x44);
    STORE(3, 1, 3, 0xEE);
    STORE(4, 4, 6, 0x44);
    STORE(5, 4, 6, 0xEE);
    STORE(6, 5, 7, 0x44);
    STORE(7, 5, 7, 0xEE);
#undef STORE
}

static void vector_transpose(float *y, size_t y_stride, const float *x, size_t x_stride)
{
    transpose_8(y, y_stride, x, x_stride);
    transpose_8(y + 8, y_stride, x + 8 * x_stride, x_stride);
    transpose_8(y + 8 * y_stride, y_stride, x + 8, x_stride);
    transpose_8(y + 8 * y_stride + 8, y_stride, x + 8 * x_stride + 8, x_stride);
}

static void vector_widen(float *w, const int32_t *pairs, const float *scales, size_t n)
{
    for (int lane = 0; lane < 16; lane += LANES) {
        const vec scale = VEC(loadu_ps)(scales + lane);

        for (size_t k = 0; k < n; k += 2) {
            const vec_integers both = vec_load_integers(pairs + k * 8 + lane);
            const vec_integers even = VEC(srai_epi32)(VEC(slli_epi32)(both, 16), 16);
            const vec_integers odd = VEC(srai_epi32)(both, 16);

            VEC(storeu_ps)(w + k * 16 + lane, VEC(mul_ps)(VEC(cvtepi32_ps)(even), scale));
            VEC(storeu_ps)(w + (k + 1) * 16 + lane, VEC(mul_ps)(VEC(cvtepi32_ps)(odd), scale));
        }
    }
}

/* ---- dropout ------------------------------------------------------------------------------- */

#if defined(__AVX512F__)
INLINE vec_integers odd_lanes_of(vec_integers even, vec_integers odd)
{
    return _mm512_mask_blend_epi32(0xAAAA, even, odd);
}
#else
#define _mm256_set1_epi64 _mm256_set1_epi64x
#define _mm256_xor_si512 _mm256_xor_si256
INLINE vec_integers odd_lanes_of(vec_integers even, vec_integers odd)
{
    return _mm256_blend_epi32(even, odd, 0xAA);
}
#endif

/* The lanes' products with m: their low and high words. */
INLINE vec_integers multiply_words(vec_integers x, uint32_t m, vec_integers *high)
{
    const vec_integers by = VEC(set1_epi64)((long long)m);
    const vec_integers even = VEC(mul_epu32)(x, by);
    const vec_integers odd = VEC(mul_epu32)(VEC(srli_epi64)(x, 32), by);

    *high = odd_lanes_of(VEC(srli_epi64)(even, 32), odd);
    return odd_lanes_of(even, VEC(slli_epi64)(odd, 32));
}

/* rng_philox of base/rng.h, LANES blocks at once; x: the counters, then the random words. */
INLINE void philox_lanes(vec_integers x[4], uint64_t key)
{
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);

    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
        vec_integers high0, high1;
        const vec_integers low0 = multiply_words(x[0], 0xD2511F53u, &high0);
        const vec_integers low1 = multiply_words(x[2], 0xCD9E8D57u, &high1);

        x[0] = VEC(xor_si512)(VEC(xor_si512)(high1, x[1]), VEC(set1_epi32)((int)k0));
        x[2] = VEC(xor_si512)(VEC(xor_si512)(high0, x[3]), VEC(set1_epi32)((int)k1));
        x[1] = low1;
        x[3] = low0;
    }
}

/* What the elements of a group are multiplied by: the scale, or 0 where they are dropped. */
INLINE void drop_factors(float factors[DROP_GROUP], const struct drop_row *row, uint32_t group)
{
    const vec_integers low = VEC(set1_epi32)(0xFFFF);
    const vec_integers limit = VEC(set1_epi32)((int)row->drop_below);
    const vec scale = VEC(set1_ps)(row->scale);

    for (int lane = 0; lane < 16; lane += LANES) {
        static const int32_t count[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
        vec_integers x[4] = {
            VEC(add_epi32)(vec_load_integers(count + lane), VEC(set1_epi32)((int)(group * 16))),
            VEC(set1_epi32)((int)row->position), VEC(set1_epi32)((int)row->module),
            VEC(setzero_si512)()};

        philox_lanes(x, row->key);
        for (int j = 0; j < 8; j++) {
            const vec_integers bits =
                j % 2 ? VEC(srli_epi32)(x[j / 2], 16) : VEC(and_si512)(x[j / 2], low);

            VEC(storeu_ps)
            (factors + 16 * j + lane, vec_if_less(VEC(cvtepi32_ps)(bits), VEC(cvtepi32_ps)(limit),
                                                  VEC(setzero_ps)(), scale));
        }
    }
}

static void vector_drop(float *y, const float *x, const struct drop_row *row, size_t first,
                        size_t n, bool add)
{
    float factors[DROP_GROUP];

    for (size_t i = 0; i < n; i += LANES) {
        vec kept;

        if (i % DROP_GROUP == 0)
            drop_factors(factors, row, (uint32_t)((first + i) / DROP_GROUP));
        kept = VEC(mul_ps)(vec_load(x + i, n - i), VEC(loadu_ps)(factors + i % DROP_GROUP));
        vec_store(y + i, n - i, add ? VEC(add_ps)(vec_load(y + i, n - i), kept) : kept);
    }
}

/* ---- rows ---------------------------------------------------------------------------------- */

static void vector_rmsnorm_backward(float *dx, const float *dy, const float *x, const float *weight,
                                    size_t dim, float eps)
{
    vec squares = VEC(setzero_ps)(), inner = squares, factor, slope;
    float r;

    for (size_t i = 0; i < dim; i += LANES) {
        const vec v = vec_load(x + i, dim - i);
        const vec g = VEC(mul_ps)(vec_load(dy + i, dim - i), vec_load(weight + i, dim - i));

        squares = VEC(fmadd_ps)(v, v, squares);
        inner = VEC(fmadd_ps)(g, v, inner);
    }
    r = 1.0f / sqrtf(vec_sum(squares) / (float)dim + eps);
    factor = VEC(set1_ps)(r);
    slope = VEC(set1_ps)(vec_sum(inner) * r * r * r / (float)dim);
    for (size_t i = 0; i < dim; i += LANES) {
        const vec g = VEC(mul_ps)(vec_load(dy + i, dim - i), vec_load(weight + i, dim - i));
        const vec part = VEC(fnmadd_ps)(vec_load(x + i, dim - i), slope, VEC(mul_ps)(g, factor));

        vec_store(dx + i, dim - i, VEC(add_ps)(vec_load(dx + i, dim - i), part));
    }
}

static void vector_silu_mul_backward(float *gate, float *up, const float *dy, size_t n)
{
    const vec one = VEC(set1_ps)(1.0f), sign = VEC(set1_ps)(-0.0f);

    for (size_t i = 0; i < n; i += LANES) {
        const vec g = vec_load(gate + i, n - i), u = vec_load(up + i, n - i);
        const vec s = VEC(div_ps)(one, VEC(add_ps)(one, exp_ps(VEC(xor_ps)(g, sign))));
        const vec slope = VEC(mul_ps)(vec_load(dy + i, n - i), s);
        const vec bend = VEC(fmadd_ps)(g, VEC(sub_ps)(one, s), one);

        vec_store(gate + i, n - i, VEC(mul_ps)(VEC(mul_ps)(slope, u), bend));
        vec_store(up + i, n - i, VEC(mul_ps)(slope, g));
    }
}

static void vector_rope_backward(float *x, const float *cosine, const float *sine, size_t half)
{
    for (size_t i = 0; i < half; i += LANES) {
        const size_t n = half - i;
        const vec a = vec_load(x + i, n), b = vec_load(x + half + i, n);
        const vec c = vec_load(cosine + i, n), s = vec_load(sine + i, n);

        vec_store(x + i, n, VEC(fmadd_ps)(a, c, VEC(mul_ps)(b, s)));
        vec_store(x + half + i, n, VEC(fmsub_ps)(b, c, VEC(mul_ps)(a, s)));
    }
}

/* LANES columns side by side. */
static void vector_softmax(float *scores, size_t n, float factor, float *lse)
{
    const vec f = VEC(set1_ps)(factor);

    for (int c = 0; c < ATTENTION_QUERIES; c += LANES, scores += LANES) {
        vec max = VEC(set1_ps)(-INFINITY), sum = VEC(setzero_ps)(), part;
        float of_lanes[LANES];

        for (size_t i = 0; i < n; i++)
            max = VEC(max_ps)(VEC(mul_ps)(VEC(loadu_ps)(scores + i * ATTENTION_QUERIES), f), max);
        for (size_t i = 0; i < n; i++) {
            float *at = scores + i * ATTENTION_QUERIES;
            const vec e = exp_ps(VEC(sub_ps)(VEC(mul_ps)(VEC(loadu_ps)(at), f), max));

            VEC(storeu_ps)(at, e);
            sum = VEC(add_ps)(sum, e);
        }
        part = VEC(div_ps)(VEC(set1_ps)(1.0f), sum);
        for (size_t i = 0; i < n; i++) {
            float *at = scores + i * ATTENTION_QUERIES;

            VEC(storeu_ps)(at, VEC(mul_ps)(VEC(loadu_ps)(at), part));
        }
        VEC(storeu_ps)(lse + c, max);
        VEC(storeu_ps)(of_lanes, sum);
        for (int i = 0; i < LANES; i++)
            lse[c + i] += (float)log((double)of_lanes[i]);
    }
}

static void vector_softmax_backward(float *scores, float *dw, size_t n, float factor,
                                    const float *lse, const float *inner)
{
    const vec f = VEC(set1_ps)(factor);

    for (size_t i = 0; i < n * ATTENTION_QUERIES; i += LANES) {
        const size_t c = i % ATTENTION_QUERIES;
        const vec scaled = VEC(mul_ps)(VEC(loadu_ps)(scores + i), f);
        const vec w = exp_ps(VEC(sub_ps)(scaled, VEC(loadu_ps)(lse + c)));
        const vec slope = VEC(sub_ps)(VEC(loadu_ps)(dw + i), VEC(loadu_ps)(inner + c));

        VEC(storeu_ps)(scores + i, w);
        VEC(storeu_ps)(dw + i, VEC(mul_ps)(VEC(mul_ps)(w, slope), f));
    }
}

static void vector_exp_less(float *y, const float *x, float lse, float weight, size_t n)
{
    const vec less = VEC(set1_ps)(lse), w = VEC(set1_ps)(weight);

    for (size_t i = 0; i < n; i += LANES)
        vec_store(y + i, n - i, VEC(mul_ps)(exp_ps(VEC(sub_ps)(vec_load(x + i, n - i), less)), w));
}

static float vector_dot(const float *a, const float *b, size_t n)
{
    vec sum = VEC(setzero_ps)();

    for (size_t i = 0; i < n; i += LANES)
        sum = VEC(fmadd_ps)(vec_load(a + i, n - i), vec_load(b + i, n - i), sum);
    return vec_sum(sum);
}

static const struct cpu_gradient_kernels vector_gradient = {
    .transpose = vector_transpose,
    .widen = vector_widen,
    .drop = vector_drop,
    .rmsnorm = vector_rmsnorm_backward,
    .silu_mul = vector_silu_mul_backward,
    .rope = vector_rope_backward,
    .softmax = vector_softmax,
    .softmax_backward = vector_softmax_backward,
    .exp_less = vector_exp_less,
    .dot = vector_dot,
};

#endif /* __AVX2__ */
#endif
