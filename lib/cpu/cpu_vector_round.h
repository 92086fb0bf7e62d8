/* Floats and panels to pairs of 16-bit numbers (cpu_words.h), written once for both vector widths,
 * and with the same bits on both. */
#ifndef CPU_CPU_VECTOR_ROUND_H
#define CPU_CPU_VECTOR_ROUND_H

#include "cpu/cpu_vector_codes_words.h"
#include "cpu/cpu_vector_nf4_words.h"
#include "cpu/cpu_vector_words.h"

#if defined(__AVX2__)

/* Norms whose square is out of these bounds, or near them, are taken from the largest element. */
#define LEAST_SQUARE 0x1p-100f
#define MOST_SQUARE 0x1p+120f
#define LEAST_SCALE 0x1p-120f

#define ROOT_GROUP 8.0f /* sqrt(WORD_GROUP) */
_Static_assert(WORD_GROUP == 64, "ROOT_GROUP is its root");

/* Scales of the groups whose sums of squares and largest elements these are. */
INLINE vec scales_of(vec squares, vec most, vec least)
{
    const vec zero = VEC(setzero_ps)(), bound = VEC(mul_ps)(most, VEC(set1_ps)(ROOT_GROUP));
    vec norm = VEC(sqrt_ps)(squares), s;

    norm = vec_if_less(VEC(set1_ps)(LEAST_SQUARE), squares, norm, bound);
    norm = vec_if_less(squares, VEC(set1_ps)(MOST_SQUARE), norm, bound);
    s = VEC(mul_ps)(norm, VEC(set1_ps)(1.0f / WORD_NORM));
    s = VEC(max_ps)(s, VEC(mul_ps)(most, VEC(set1_ps)(1.0f / WORD_MOST)));
    s = VEC(max_ps)(s, least);
    s = vec_if_less(s, VEC(set1_ps)(LEAST_SCALE), zero, s);
    return vec_if_nan(squares, squares, s); /* a NaN among the elements is one among the squares */
}

/* Sixteen numbers of a row side by side: what one vector of 512 bits holds, or two of 256. */
struct sixteen {
    vec low;
#if !defined(__AVX512F__)
    vec high;
#endif
};

/* The first n of those at x, zeros behind them. */
INLINE struct sixteen load_sixteen(const float *x, size_t n)
{
#if defined(__AVX512F__)
    return (struct sixteen){vec_load(x, n)};
#else
    return (struct sixteen){vec_load(x, n),
                            n > LANES ? vec_load(x + LANES, n - LANES) : VEC(setzero_ps)()};
#endif
}

/* Their squares are added to 16 sums, their sizes are looked for the largest. */
INLINE void add_sizes(struct sixteen *squares, vec *most, struct sixteen x)
{
    squares->low = VEC(fmadd_ps)(x.low, x.low, squares->low);
    *most = VEC(max_ps)(*most, vec_abs(x.low));
#if !defined(__AVX512F__)
    squares->high = VEC(fmadd_ps)(x.high, x.high, squares->high);
    *most = VEC(max_ps)(*most, vec_abs(x.high));
#endif
}

/* In one order for both widths: lane i and i + 8 first. */
INLINE float sum_sixteen(struct sixteen x)
{
#if defined(__AVX512F__)
    return vec_sum(x.low);
#else
    return vec_sum(VEC(add_ps)(x.low, x.high));
#endif
}

/* Rounded to eight pairs; what is out of range (not finite) to an end of it. */
INLINE __m256i sixteen_to_pairs(struct sixteen x, vec inv)
{
    const vec_integers low = VEC(cvtps_epi32)(VEC(mul_ps)(x.low, inv));
#if defined(__AVX512F__)
    return _mm512_cvtsepi32_epi16(low);
#else
    const vec_integers high = VEC(cvtps_epi32)(VEC(mul_ps)(x.high, inv));

    return _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xD8);
#endif
}

static void vector_round(int32_t *pairs, float *scales, size_t scale_stride, const float *x,
                         size_t n)
{
    for (; n > 0; scales += scale_stride) {
        const size_t n_group = n < WORD_GROUP ? n : WORD_GROUP;
        struct sixteen squares = load_sixteen(x, 0);
        vec most = VEC(setzero_ps)(), s, inv;

        for (size_t i = 0; i < n_group; i += 16)
            add_sizes(&squares, &most, load_sixteen(x + i, n_group - i));
        s = scales_of(VEC(set1_ps)(sum_sixteen(squares)), VEC(set1_ps)(vec_max(most)),
                      VEC(setzero_ps)());
        inv = inverse(s);
        *scales = VEC(cvtss_f32)(s);
        for (size_t i = 0; i < n_group; i += 16, pairs += 8) {
            const __m256i q = sixteen_to_pairs(load_sixteen(x + i, n_group - i), inv);

            _mm256_storeu_si256((__m256i *)(void *)pairs, q);
        }
        x += n_group;
        n -= n_group;
    }
}

/* The least scales for which the factors of LANES outputs of these blocks fit 16 bits. */
static vec least_for_factors(const uint8_t *p, enum dtype dtype, size_t n_blocks)
{
    const vec units = VEC(set1_ps)(dtype == DTYPE_Q8_0 ? D_UNITS_8 : D_UNITS_4);
    vec most = VEC(setzero_ps)();

    for (; n_blocks > 0; n_blocks--, p += dtype_block_bytes(dtype) * PANEL_ROWS) {
        most = VEC(max_ps)(most, vec_abs(VEC(mul_ps)(vec_load_f16(p), units)));
        if (dtype == DTYPE_Q4_1)
            most = VEC(max_ps)(most, vec_abs(vec_load_f16(p + 2 * PANEL_ROWS)));
    }
    return VEC(mul_ps)(most, VEC(set1_ps)(1.0f / WORD_MOST));
}

typedef void expand_to_floats(float *w, const struct matrix *matrix, size_t panel, size_t first,
                              size_t n);

/* cpu_words.measure; expand: of the set's float kernels. */
INLINE void vector_measure(float *scales, const struct matrix *matrix, size_t panel, float *scratch,
                           expand_to_floats *expand)
{
    const bool codes = cpu_codes_are(matrix->dtype);
    const bool blocks = dtype_block_elements(matrix->dtype) > 1 && !codes;

    if (matrix->dtype == DTYPE_NF4) {
        nf4_measure(scales, matrix, panel);
        return;
    }
    for (size_t k = 0; k < matrix->cols; k += WORD_GROUP, scales += PANEL_ROWS) {
        const size_t n = matrix->cols - k < WORD_GROUP ? matrix->cols - k : WORD_GROUP;
        const uint8_t *at = codes ? NULL : cpu_matrix_at(matrix, panel, k);
        const float *w = scratch;

        if (matrix->dtype == DTYPE_F32)
            w = (const float *)(const void *)at;
        else
            expand(scratch, matrix, panel, k, n);
        for (size_t lane = 0; lane < PANEL_ROWS; lane += LANES) {
            vec squares = VEC(setzero_ps)(), most = squares, least = squares;

            for (size_t i = 0; i < n; i++) {
                const vec v = VEC(loadu_ps)(w + i * PANEL_ROWS + lane);

                squares = VEC(fmadd_ps)(v, v, squares);
                most = VEC(max_ps)(most, vec_abs(v));
            }
            if (codes)
                least = codes_least(matrix, panel, k, n, lane);
            else if (blocks)
                least = least_for_factors(at + 2 * lane, matrix->dtype, n / QUANT_BLOCK);
            VEC(storeu_ps)(scales + lane, scales_of(squares, most, least));
        }
    }
}

/* Outputs [lane, lane + LANES) of blocks that begin at p, to w on. */
INLINE void expand_4_bit(int32_t *w, const uint8_t *p, size_t lane, vec inv, size_t n_blocks,
                         bool has_m)
{
    for (w += lane; n_blocks > 0; n_blocks--) {
        const struct pair_factors f = factors_4_bit(p + 2 * lane, inv, has_m);

        p += (has_m ? 4 : 2) * PANEL_ROWS;
        for (int j = 0; j < QUANT_BLOCK / 8; j++, p += 4 * PANEL_ROWS, w += 4 * PANEL_ROWS) {
            const vec_integers v = vec_load_integers(p + 4 * lane);

            vec_store_integers(w, from_nibbles(v, 0, f));
            vec_store_integers(w + PANEL_ROWS, from_nibbles(v, 1, f));
            vec_store_integers(w + 2 * PANEL_ROWS, from_nibbles(v, 2, f));
            vec_store_integers(w + 3 * PANEL_ROWS, from_nibbles(v, 3, f));
        }
    }
}

INLINE void expand_q8_0(int32_t *w, const uint8_t *p, size_t lane, vec inv, size_t n_blocks)
{
    for (w += lane; n_blocks > 0; n_blocks--) {
        const vec_integers d = factors_8_bit(p + 2 * lane, inv);

        p += 2 * PANEL_ROWS;
        for (int j = 0; j < QUANT_BLOCK / 4; j++, p += 4 * PANEL_ROWS, w += 2 * PANEL_ROWS) {
            const vec_integers v = vec_load_integers(p + 4 * lane);

            vec_store_integers(w, from_bytes(v, 0, d));
            vec_store_integers(w + PANEL_ROWS, from_bytes(v, 1, d));
        }
    }
}

/* Column k of LANES outputs as floats. */
INLINE vec load_column(enum dtype dtype, const uint8_t *p, size_t k, size_t lane)
{
    const size_t at = k * PANEL_ROWS + lane;

    switch (dtype) {
    case DTYPE_F16:
        return vec_load_f16(p + 2 * at);
    case DTYPE_BF16:
        return vec_load_bf16(p + 2 * at);
    default:
        return VEC(loadu_ps)((const float *)(const void *)p + at);
    }
}

INLINE void expand_plain(int32_t *w, enum dtype dtype, const uint8_t *p, size_t lane, vec inv,
                         size_t n)
{
    w += lane;
    for (size_t k = 0; k < n; k += 2, w += PANEL_ROWS) {
        const vec a = load_column(dtype, p, k, lane);
        const vec b = k + 1 < n ? load_column(dtype, p, k + 1, lane) : VEC(setzero_ps)();

        vec_store_integers(w, vec_pairs(VEC(cvtps_epi32)(VEC(mul_ps)(a, inv)),
                                        VEC(cvtps_epi32)(VEC(mul_ps)(b, inv))));
    }
}

/* Outputs [lane, lane + LANES) of a group that begins at p. */
INLINE void expand_group(int32_t *w, enum dtype dtype, const uint8_t *p, size_t lane, vec inv,
                         size_t n)
{
    switch (dtype) {
    case DTYPE_Q4_1:
        expand_4_bit(w, p, lane, inv, n / QUANT_BLOCK, true);
        break;
    case DTYPE_Q4_0:
        expand_4_bit(w, p, lane, inv, n / QUANT_BLOCK, false);
        break;
    case DTYPE_Q8_0:
        expand_q8_0(w, p, lane, inv, n / QUANT_BLOCK);
        break;
    case DTYPE_F16:
        expand_plain(w, DTYPE_F16, p, lane, inv, n);
        break;
    case DTYPE_BF16:
        expand_plain(w, DTYPE_BF16, p, lane, inv, n);
        break;
    default:
        expand_plain(w, DTYPE_F32, p, lane, inv, n);
    }
}

static void vector_expand(int32_t *w, const struct matrix *matrix, const float *scales,
                          size_t panel, size_t first, size_t n)
{
    if (matrix->dtype == DTYPE_NF4) {
        nf4_expand_words(w, matrix, scales, panel, first, n);
        return;
    }
    if (cpu_codes_are(matrix->dtype)) {
        codes_expand_words(w, matrix, scales, panel, first, n);
        return;
    }
    while (n > 0) {
        const size_t n_group = n < WORD_GROUP ? n : WORD_GROUP;
        const uint8_t *p = cpu_matrix_at(matrix, panel, first);

        for (size_t lane = 0; lane < PANEL_ROWS; lane += LANES)
            expand_group(w, matrix->dtype, p, lane, inverse(VEC(loadu_ps)(scales + lane)), n_group);
        w += (n_group + 1) / 2 * PANEL_ROWS;
        scales += PANEL_ROWS;
        first += n_group;
        n -= n_group;
    }
}

#endif /* __AVX2__ */
#endif
