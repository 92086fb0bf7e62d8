/* Products of few rows: weights go from the panel to the multiply-add without a stop in scratch,
 * which would be filled for too little use. The values and the order of each sum are those of
 * expansion and tile, so the bits are, too.
 *
 * One or two rows leave the multiply-add units waiting for their own results: two panels at a time
 * keep them busy. */
#if defined(__x86_64__)

#include <string.h>

#include "cpu/cpu_load_avx2.h"
#include "cpu/cpu_tile_avx2.h"

/* A panel's 16 sums of each row. */
struct sums {
    __m256 lo0, hi0, lo1, hi1, lo2, hi2, lo3, hi3;
};

INLINE struct sums no_sums(void)
{
    const __m256 zero = _mm256_setzero_ps();

    return (struct sums){zero, zero, zero, zero, zero, zero, zero, zero};
}

/* One column: lo and hi are its 16 weights. */
INLINE void add_column(const int rows, struct sums *s, const float *x, size_t x_stride, __m256 lo,
                       __m256 hi)
{
#define ROW(r)                                                                                     \
    if (rows > r) {                                                                                \
        const __m256 b = _mm256_broadcast_ss(x + r * x_stride);                                    \
                                                                                                   \
        s->lo##r = _mm256_fmadd_ps(b, lo, s->lo##r);                                               \
        s->hi##r = _mm256_fmadd_ps(b, hi, s->hi##r);                                               \
    }
    ROW(0)
    ROW(1)
    ROW(2)
    ROW(3)
#undef ROW
}

INLINE void store_sums(const int rows, float *y, size_t y_stride, const struct sums *s)
{
#define ROW(r)                                                                                     \
    if (rows > r) {                                                                                \
        _mm256_storeu_ps(y + r * y_stride, s->lo##r);                                              \
        _mm256_storeu_ps(y + r * y_stride + HALF, s->hi##r);                                       \
    }
    ROW(0)
    ROW(1)
    ROW(2)
    ROW(3)
#undef ROW
}

/* Eight columns of a 4-bit block. */
INLINE void add_words(const int rows, struct sums *s, const float *x, size_t x_stride,
                      const uint8_t *p, const struct factors *f)
{
    __m256i lo = load_words(p), hi = load_words(p + 4 * HALF);

    for (int k = 0; k < 8; k += 2, x += 2) {
        add_column(rows, s, x, x_stride, nibbles(lo, 0x0F, f->d_lo, f->m_lo),
                   nibbles(hi, 0x0F, f->d_hi, f->m_hi));
        add_column(rows, s, x + 1, x_stride, nibbles(lo, 0xF0000, f->odd_lo, f->m_lo),
                   nibbles(hi, 0xF0000, f->odd_hi, f->m_hi));
        lo = _mm256_srli_epi32(lo, 4);
        hi = _mm256_srli_epi32(hi, 4);
    }
}

/* Eight columns of a Q8_0 block. */
INLINE void add_bytes(const int rows, struct sums *s, const float *x, size_t x_stride,
                      const uint8_t *p, const struct factors *f)
{
    const __m256 down = _mm256_set1_ps(0x1p-24f); /* see load_byte_factors */
    const __m256 d_lo = _mm256_mul_ps(f->d_lo, down), d_hi = _mm256_mul_ps(f->d_hi, down);

    for (int j = 0; j < 8; j += 4, p += 4 * PANEL_ROWS) {
        const __m256i lo = load_words(p), hi = load_words(p + 4 * HALF);

        for (int k = 0; k < 4; k++, x++)
            add_column(rows, s, x, x_stride, byte_of(lo, k, d_lo), byte_of(hi, k, d_hi));
    }
}

/* One panel (q: NULL), or two that lie at p and q. */
INLINE void few_quantised(const int rows, const enum dtype dtype, float *y, size_t y_stride,
                          const float *x, size_t x_stride, size_t n_blocks, const uint8_t *p,
                          const uint8_t *q)
{
    const size_t head = (dtype == DTYPE_Q4_1 ? 4 : 2) * PANEL_ROWS;
    const size_t group = (dtype == DTYPE_Q8_0 ? 8 : 4) * PANEL_ROWS; /* bytes of 8 columns */
    struct sums a = no_sums(), b = no_sums();

    for (; n_blocks > 0; n_blocks--) {
        const struct factors f = load_factors(p, dtype == DTYPE_Q4_1);
        const struct factors g = load_factors(q ? q : p, dtype == DTYPE_Q4_1);

        p += head;
        q = q ? q + head : NULL;
        for (int j = 0; j < QUANT_BLOCK / 8; j++, x += 8, p += group) {
            if (dtype == DTYPE_Q8_0)
                add_bytes(rows, &a, x, x_stride, p, &f);
            else
                add_words(rows, &a, x, x_stride, p, &f);
            if (!q)
                continue;
            if (dtype == DTYPE_Q8_0)
                add_bytes(rows, &b, x, x_stride, q, &g);
            else
                add_words(rows, &b, x, x_stride, q, &g);
            q += group;
        }
    }
    store_sums(rows, y, y_stride, &a);
    if (q)
        store_sums(rows, y + PANEL_ROWS, y_stride, &b);
}

INLINE void few_halves(const int rows, const enum dtype dtype, float *y, size_t y_stride,
                       const float *x, size_t x_stride, size_t n_k, const uint8_t *p)
{
    struct sums a = no_sums();

    for (; n_k > 0; n_k--, x++, p += 2 * PANEL_ROWS) {
        if (dtype == DTYPE_F16)
            add_column(rows, &a, x, x_stride, load_f16(p), load_f16(p + 2 * HALF));
        else
            add_column(rows, &a, x, x_stride, load_bf16(p), load_bf16(p + 2 * HALF));
    }
    store_sums(rows, y, y_stride, &a);
}

typedef void few_function(float *y, size_t y_stride, const float *x, size_t cols, const uint8_t *p,
                          size_t panel_size);

#define QUANTISED(type, rows)                                                                      \
    static void few_##type##_##rows(float *y, size_t y_stride, const float *x, size_t cols,        \
                                    const uint8_t *p, size_t panel_size)                           \
    {                                                                                              \
        if (rows <= TWICE && panel_size > 0)                                                       \
            few_quantised(rows, DTYPE_##type, y, y_stride, x, cols, cols / QUANT_BLOCK, p,         \
                          p + panel_size);                                                         \
        else                                                                                       \
            few_quantised(rows, DTYPE_##type, y, y_stride, x, cols, cols / QUANT_BLOCK, p, NULL);  \
    }
#define HALVES(type, rows)                                                                         \
    static void few_##type##_##rows(float *y, size_t y_stride, const float *x, size_t cols,        \
                                    const uint8_t *p, size_t panel_size)                           \
    {                                                                                              \
        (void)panel_size;                                                                          \
        few_halves(rows, DTYPE_##type, y, y_stride, x, cols, cols, p);                             \
    }
#define ALL(kind, type) kind(type, 1) kind(type, 2) kind(type, 3) kind(type, 4)

/* Rows up to which two panels are taken at a time. */
#define TWICE 2

ALL(QUANTISED, Q4_1)
ALL(QUANTISED, Q4_0)
ALL(QUANTISED, Q8_0)
ALL(HALVES, F16)
ALL(HALVES, BF16)

#define ROWS(type)                                                                                 \
    {                                                                                              \
        NULL, few_##type##_1, few_##type##_2, few_##type##_3, few_##type##_4                       \
    }

static few_function *const functions[DTYPE_COUNT][FEW_ROWS + 1] = {
    [DTYPE_Q4_1] = ROWS(Q4_1), [DTYPE_Q4_0] = ROWS(Q4_0), [DTYPE_Q8_0] = ROWS(Q8_0),
    [DTYPE_F16] = ROWS(F16),   [DTYPE_BF16] = ROWS(BF16),
};

void few_avx2_multiply(float *y, const float *x, int n_rows, const struct matrix *matrix,
                       size_t panel, size_t end)
{
    few_function *multiply = functions[matrix->dtype][n_rows];
    const bool twice = n_rows <= TWICE && dtype_block_elements(matrix->dtype) > 1;
    size_t step;

    for (; panel < end; panel += step) {
        const size_t left = matrix->rows - panel * PANEL_ROWS;
        const uint8_t *p = matrix->data + panel * matrix->panel_size;
        float whole[FEW_ROWS * PANEL_ROWS];

        step = twice && end - panel > 1 && left >= 2 * PANEL_ROWS ? 2 : 1;
        if (left >= step * PANEL_ROWS) {
            multiply(y + panel * PANEL_ROWS, matrix->rows, x, matrix->cols, p,
                     step > 1 ? matrix->panel_size : 0);
            continue;
        }
        multiply(whole, PANEL_ROWS, x, matrix->cols, p, 0);
        for (size_t r = 0; r < (size_t)n_rows; r++)
            memcpy(y + r * matrix->rows + panel * PANEL_ROWS, whole + r * PANEL_ROWS,
                   left * sizeof(float));
    }
}

#else
typedef int cpu_few_avx2_is_empty_here; /* ISO C wants a declaration */
#endif
