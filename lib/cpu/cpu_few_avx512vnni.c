/* Products of few rows: blocks go from the panel to the product without a stop in scratch. The
 * numbers are those of the expansion, and integer sums have no order, so the bits are the tile's.
 *
 * Even and odd pairs of columns have sums of their own, so that one row does not wait for its own
 * results. */
#if defined(__x86_64__)

#include "cpu/cpu_words_avx512vnni.h"

#include "cpu/cpu_load_avx512vnni.h"

/* Up to four rows' sums of a group. */
struct sums {
    __m512i a0, a1, a2, a3, b0, b1, b2, b3;
};

#define ALL_ROWS(ROW) ROW(0) ROW(1) ROW(2) ROW(3)

/* _mm512_dpwssd_epi32, for which gcc 12 copies each accumulator */
#define MULTIPLY_PAIRS(sums, x, w) __asm__("vpdpwssd %2, %1, %0" : "+v"(sums) : "v"(x), "v"(w))

/* The k-th pair of columns from x on; `rows` and `k` are constants in every caller. */
INLINE void add_pair(const int rows, struct sums *s, const int32_t *x, size_t stride,
                     const size_t k, __m512i w)
{
#define ROW(r)                                                                                     \
    if (rows > r) {                                                                                \
        const __m512i e = _mm512_set1_epi32(x[r * stride + k]);                                    \
                                                                                                   \
        if (k % 2)                                                                                 \
            MULTIPLY_PAIRS(s->b##r, e, w);                                                         \
        else                                                                                       \
            MULTIPLY_PAIRS(s->a##r, e, w);                                                         \
    }
    ALL_ROWS(ROW)
#undef ROW
}

INLINE void add_4_bit(const int rows, struct sums *s, const int32_t *x, size_t stride,
                      const uint8_t *p, __m512 inv, bool has_m)
{
    const __m512 f = _mm512_mul_ps(load_f16(p), inv);
    const __m512i d = twice(_mm512_mul_ps(f, _mm512_set1_ps(D_UNITS_4)));
    const __m512i m = twice(has_m ? _mm512_mul_ps(load_f16(p + 2 * PANEL_ROWS), inv)
                                  : _mm512_mul_ps(f, _mm512_set1_ps(-8.0f)));

    p += (has_m ? 4 : 2) * PANEL_ROWS;
    for (int j = 0; j < QUANT_BLOCK / 8; j++, p += 4 * PANEL_ROWS, x += 4) {
        const __m512i v = _mm512_loadu_si512(p);

        add_pair(rows, s, x, stride, 0, from_nibbles(_mm512_slli_epi16(v, 11), d, m));
        add_pair(rows, s, x, stride, 1, from_nibbles(_mm512_slli_epi16(v, 7), d, m));
        add_pair(rows, s, x, stride, 2, from_nibbles(_mm512_slli_epi16(v, 3), d, m));
        add_pair(rows, s, x, stride, 3, from_nibbles(_mm512_srli_epi16(v, 1), d, m));
    }
}

INLINE void add_8_bit(const int rows, struct sums *s, const int32_t *x, size_t stride,
                      const uint8_t *p, __m512 inv)
{
    const __m512i high = _mm512_set1_epi16((short)0xFF00);
    const __m512 f = _mm512_mul_ps(load_f16(p), inv);
    const __m512i d = twice(_mm512_mul_ps(f, _mm512_set1_ps(D_UNITS_8)));

    p += 2 * PANEL_ROWS;
    for (int j = 0; j < QUANT_BLOCK / 4; j++, p += 4 * PANEL_ROWS, x += 2) {
        const __m512i v = _mm512_loadu_si512(p);

        add_pair(rows, s, x, stride, 0, from_bytes(_mm512_slli_epi16(v, 8), d));
        add_pair(rows, s, x, stride, 1, from_bytes(_mm512_and_si512(v, high), d));
    }
}

INLINE __m512 add_group(__m512 y, __m512i products, __m512 scales, float scale)
{
    const __m512 p = _mm512_mul_ps(_mm512_cvtepi32_ps(products), scales);

    return _mm512_fmadd_ps(p, _mm512_set1_ps(scale), y);
}

/* One panel. */
INLINE void few(const int rows, const enum dtype dtype, float *y, size_t y_stride, __mmask16 mask,
                const struct word_rows *x, const uint8_t *p, const float *w_scales, size_t n_blocks)
{
    const size_t size = (dtype == DTYPE_Q8_0 ? 34 : dtype == DTYPE_Q4_1 ? 20 : 18) * PANEL_ROWS;
    const int32_t *pairs = x->pairs;
    const float *scales = x->scales;
    const __m512i none = _mm512_setzero_si512();
    __m512 y0 = _mm512_setzero_ps(), y1 = y0, y2 = y0, y3 = y0;

    while (n_blocks > 0) {
        const size_t n = n_blocks < WORD_GROUP / QUANT_BLOCK ? n_blocks : WORD_GROUP / QUANT_BLOCK;
        const __m512 s = _mm512_loadu_ps(w_scales), inv = inverse(s);
        struct sums sums = {none, none, none, none, none, none, none, none};

        for (size_t b = 0; b < n; b++, p += size, pairs += QUANT_BLOCK / 2) {
            if (dtype == DTYPE_Q8_0)
                add_8_bit(rows, &sums, pairs, x->stride, p, inv);
            else
                add_4_bit(rows, &sums, pairs, x->stride, p, inv, dtype == DTYPE_Q4_1);
        }
#define ROW(r)                                                                                     \
    if (rows > r)                                                                                  \
        y##r = add_group(y##r, _mm512_add_epi32(sums.a##r, sums.b##r), s, scales[r]);
        ALL_ROWS(ROW)
#undef ROW
        scales += x->scale_stride;
        w_scales += PANEL_ROWS;
        n_blocks -= n;
    }
#define ROW(r)                                                                                     \
    if (rows > r)                                                                                  \
        _mm512_mask_storeu_ps(y + r * y_stride, mask, y##r);
    ALL_ROWS(ROW)
#undef ROW
}

typedef void few_function(float *y, size_t y_stride, __mmask16 mask, const struct word_rows *x,
                          const uint8_t *p, const float *w_scales, size_t n_blocks);

#define FEW(type, rows)                                                                            \
    static void few_##type##_##rows(float *y, size_t y_stride, __mmask16 mask,                     \
                                    const struct word_rows *x, const uint8_t *p,                   \
                                    const float *w_scales, size_t n_blocks)                        \
    {                                                                                              \
        few(rows, DTYPE_##type, y, y_stride, mask, x, p, w_scales, n_blocks);                      \
    }
#define ALL(type) FEW(type, 1) FEW(type, 2) FEW(type, 3) FEW(type, 4)
ALL(Q4_1)
ALL(Q4_0)
ALL(Q8_0)

#define ROWS(type)                                                                                 \
    {                                                                                              \
        NULL, few_##type##_1, few_##type##_2, few_##type##_3, few_##type##_4                       \
    }

void few_avx512vnni_multiply(float *y, const struct word_rows *x, int n_rows,
                             const struct matrix *matrix, size_t panel, size_t end)
{
    static few_function *const functions[DTYPE_COUNT][WORD_FEW_ROWS + 1] = {
        [DTYPE_Q4_1] = ROWS(Q4_1), [DTYPE_Q4_0] = ROWS(Q4_0), [DTYPE_Q8_0] = ROWS(Q8_0)};
    const size_t groups = word_groups(matrix->cols);

    for (; panel < end; panel++) {
        const size_t left = matrix->rows - panel * PANEL_ROWS;
        const unsigned all = 0xFFFF, some = (1u << left % PANEL_ROWS) - 1;
        const __mmask16 mask = (__mmask16)(left < PANEL_ROWS ? some : all);

        functions[matrix->dtype][n_rows](
            y + panel * PANEL_ROWS, matrix->rows, mask, x, cpu_matrix_at(matrix, panel, 0),
            matrix->scales + panel * groups * PANEL_ROWS, matrix->cols / QUANT_BLOCK);
    }
}

#else
typedef int cpu_few_avx512vnni_is_empty_here; /* ISO C wants a declaration */
#endif
