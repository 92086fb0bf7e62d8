/* What attention in words does beside its products, written once for both widths of vectors. Empty
 * in a file that is compiled for neither.
 *
 * A softmax takes four rows at a time, so that none waits for its own maximum and sums. */
#ifndef CPU_CPU_VECTOR_ATTENTION_H
#define CPU_CPU_VECTOR_ATTENTION_H

#include <stdbool.h>

#include "cpu/cpu_vector.h"
#include "cpu/cpu_words.h"

#if defined(__AVX2__)

enum { SOFTMAX_ROWS = 4, TOKEN_VECTORS = WORD_TOKENS / LANES };

/* Scales below it count as zeros: see cpu_words.h. */
#define LEAST_WORD_SCALE 0x1p-120f

static float vector_round_values(int16_t *q, const float *x, size_t n)
{
    const vec sign = VEC(set1_ps)(-0.0f);
    vec most = VEC(setzero_ps)(), strange = most, inv;
    float scale;

    for (size_t i = 0; i < n; i += LANES) {
        const vec v = vec_load(x + i, n - i);

        most = VEC(max_ps)(most, VEC(andnot_ps)(sign, v));
        strange = VEC(fmadd_ps)(v, VEC(setzero_ps)(), strange); /* NaN unless v is finite */
    }
    scale = vec_max(most) * (1.0f / VALUE_MOST) + vec_sum(strange);
    if (scale < LEAST_WORD_SCALE)
        scale = 0;
    inv = VEC(set1_ps)(scale == 0.0f ? 0.0f : 1.0f / scale);
    for (size_t i = 0; i < n; i += LANES)
        vec_store_words(q + i, VEC(mul_ps)(vec_load(x + i, n - i), inv));
    return scale;
}

/* e^x for x <= 88: x = n ln 2 + r, |r| <= ln 2 / 2, e^r of degree 5 fitted to a relative error of
 * 1.1e-7, 1 at 0. Below -87.31 the result is 0; a NaN (without payload) and infinity
 * give NaN. */
INLINE vec exp_of_weight(vec x)
{
    const vec shift = VEC(set1_ps)(0x1.8p+23f); /* brings n to the lowest bits */
    const vec shifted = VEC(fmadd_ps)(x, VEC(set1_ps)(0x1.715476p+0f), shift);
    const vec n = VEC(sub_ps)(shifted, shift);
    const vec r = VEC(fnmadd_ps)(n, VEC(set1_ps)(0x1.62e43p-1f), x);
    const vec_integers power = VEC(slli_epi32)(VEC(castps_si512)(shifted), 23);
    vec p = VEC(set1_ps)(0x1.10625p-7f);

    p = VEC(fmadd_ps)(p, r, VEC(set1_ps)(0x1.572a64p-5f));
    p = VEC(fmadd_ps)(p, r, VEC(set1_ps)(0x1.5557bp-3f));
    p = VEC(fmadd_ps)(p, r, VEC(set1_ps)(0x1.fffdfcp-2f));
    p = VEC(fmadd_ps)(p, r, VEC(set1_ps)(1.0f));
    p = VEC(fmadd_ps)(p, r, VEC(set1_ps)(1.0f));
    p = VEC(castsi512_ps)(VEC(add_epi32)(VEC(castps_si512)(p), power));
    return vec_if_less(x, VEC(set1_ps)(-0x1.5d4p+6f), VEC(setzero_ps)(), p);
}

INLINE bool sees_all(const struct token_span *seen)
{
    return seen->first == 0 && seen->end == WORD_TOKENS;
}

/* The i-th vector of what a row has of a block, `rest` for tokens that it does not see. */
INLINE vec load_seen(const float *of_tokens, int i, const struct token_span *seen, const bool all,
                     vec rest)
{
    const vec v = VEC(load_ps)(of_tokens + i * LANES);

    return all ? v : vec_between(v, seen->first - i * LANES, seen->end - i * LANES, rest);
}

INLINE vec greatest_score(const float *scores, const struct token_span *seen, const bool all)
{
    const vec none = VEC(set1_ps)(-INFINITY);
    vec most = none;

    for (int i = 0; i < TOKEN_VECTORS; i++)
        most = VEC(max_ps)(most, load_seen(scores, i, seen, all, none));
    return most;
}

/* Lanes of a row's sums: of its softmax, of its weights, and the greatest weight. */
struct weight_lanes {
    vec sum, weights, most;
};

/* Scores become weights, in place. */
INLINE struct weight_lanes weigh_row(float *scores, const float *token_scales,
                                     const struct token_span *seen, const bool all, float factor,
                                     float max)
{
    const vec none = VEC(set1_ps)(-INFINITY), zero = VEC(setzero_ps)();
    const vec f = VEC(set1_ps)(factor), m = VEC(set1_ps)(max);
    struct weight_lanes lanes = {zero, zero, zero};

    for (int i = 0; i < TOKEN_VECTORS; i++) {
        const vec e = exp_of_weight(VEC(fmsub_ps)(load_seen(scores, i, seen, all, none), f, m));
        const vec weight = VEC(mul_ps)(e, load_seen(token_scales, i, seen, all, zero));

        VEC(store_ps)(scores + i * LANES, weight);
        lanes.sum = VEC(add_ps)(lanes.sum, e);
        lanes.weights = VEC(add_ps)(lanes.weights, weight);
        lanes.most = VEC(max_ps)(lanes.most, weight);
    }
    return lanes;
}

/* Rows [row, row + n) of it, n <= 4; what stands for the others is not kept. */
INLINE void softmax_of_four(const struct word_softmax *s, int row, int n)
{
    const vec zero = VEC(setzero_ps)();
    const struct token_span *seen = s->seen + row;
    float *scores = s->scores + row * WORD_TOKENS;
    const struct weight_lanes nothing = {zero, zero, zero};
    struct weight_lanes l[SOFTMAX_ROWS] = {nothing, nothing, nothing, nothing};
    _Alignas(16) float before[SOFTMAX_ROWS] = {0}, max[SOFTMAX_ROWS], shrink[SOFTMAX_ROWS];
    _Alignas(16) float sums[SOFTMAX_ROWS], scales[SOFTMAX_ROWS], inverses[SOFTMAX_ROWS];
    vec most[SOFTMAX_ROWS] = {zero, zero, zero, zero};
    __m128 m, scale, none;

    for (int r = 0; r < n; r++) {
        before[r] = s->max[row + r];
        most[r] = sees_all(seen + r) ? greatest_score(scores + r * WORD_TOKENS, seen + r, true)
                                     : greatest_score(scores + r * WORD_TOKENS, seen + r, false);
    }
    m = _mm_mul_ps(vec_maxima_of_four(most[0], most[1], most[2], most[3]), _mm_set1_ps(s->factor));
    m = _mm_max_ps(m, _mm_load_ps(before)); /* of a NaN and another the other, unless it was one */
    _mm_store_ps(max, m);
    _mm_store_ps(shrink, _mm_sub_ps(_mm_load_ps(before), m));
    vec_store(shrink, SOFTMAX_ROWS, exp_of_weight(vec_load(shrink, SOFTMAX_ROWS)));
    for (int r = 0; r < n; r++)
        l[r] = sees_all(seen + r) ? weigh_row(scores + r * WORD_TOKENS, s->token_scales, seen + r,
                                              true, s->factor, max[r])
                                  : weigh_row(scores + r * WORD_TOKENS, s->token_scales, seen + r,
                                              false, s->factor, max[r]);
    _mm_store_ps(sums, vec_sums_of_four(l[0].sum, l[1].sum, l[2].sum, l[3].sum));
    scale = _mm_mul_ps(vec_maxima_of_four(l[0].most, l[1].most, l[2].most, l[3].most),
                       _mm_set1_ps(1.0f / WEIGHT_MOST));
    scale = _mm_max_ps(
        scale, _mm_mul_ps(vec_sums_of_four(l[0].weights, l[1].weights, l[2].weights, l[3].weights),
                          _mm_set1_ps(1.0f / WEIGHT_SUM))); /* NaN stays */
    none = _mm_cmplt_ps(scale, _mm_set1_ps(LEAST_WORD_SCALE));
    _mm_store_ps(scales, _mm_andnot_ps(none, scale));
    _mm_store_ps(inverses, _mm_andnot_ps(none, _mm_div_ps(_mm_set1_ps(1.0f), scale)));
    for (int r = 0; r < n; r++) {
        const vec inverse = VEC(set1_ps)(inverses[r]);

        for (int i = 0; i < TOKEN_VECTORS; i++)
            vec_store_words(
                s->weights + (row + r) * WORD_TOKENS + i * LANES,
                VEC(mul_ps)(VEC(load_ps)(scores + r * WORD_TOKENS + i * LANES), inverse));
        s->max[row + r] = max[r];
        s->shrink[row + r] = shrink[r];
        s->sum[row + r] = s->sum[row + r] * shrink[r] + sums[r];
        s->weight_scales[row + r] = scales[r];
    }
}

static void vector_softmax_words(const struct word_softmax *s, int n_rows)
{
    int row = 0;

    for (; n_rows - row >= SOFTMAX_ROWS; row += SOFTMAX_ROWS)
        softmax_of_four(s, row, SOFTMAX_ROWS);
    if (row < n_rows)
        softmax_of_four(s, row, n_rows - row);
}

#endif /* __AVX2__ */
#endif
