/* Panels to floats, and the tile of up to 6 rows by 16 columns: 12 accumulators, two halves of a
 * row of w and one broadcast x make 15 of the 16 registers. Every output has an accumulator lane of
 * its own that takes one fused multiply-add a k, so its bits do not depend on the tile it is in. */
#if defined(__x86_64__)

#include "cpu/cpu_tile_avx2.h"

#include <string.h>

#include "cpu/cpu_load_avx2.h"
#include "cpu/cpu_vector_codes_floats.h"
#include "cpu/cpu_vector_nf4.h"

/* y = x W for one tile. gcc keeps accumulators in registers only when each has a name; `rows` is a
 * constant in every caller, so the conditions vanish. */
INLINE void tile(const int rows, float *y, size_t y_stride, const float *x, size_t x_stride,
                 const float *w, size_t n_k, bool go_on)
{
    __m256 lo0, lo1, lo2, lo3, lo4, lo5, hi0, hi1, hi2, hi3, hi4, hi5, lo, hi, b;
    const float *x3 = x + 3 * x_stride; /* two pointers and one stride address six rows */

#define START(r)                                                                                   \
    lo##r = rows > r && go_on ? _mm256_loadu_ps(y + r * y_stride) : _mm256_setzero_ps();           \
    hi##r = rows > r && go_on ? _mm256_loadu_ps(y + r * y_stride + HALF) : _mm256_setzero_ps()
    START(0);
    START(1);
    START(2);
    START(3);
    START(4);
    START(5);
#undef START

#define ROW(r, at)                                                                                 \
    if (rows > r) {                                                                                \
        b = _mm256_broadcast_ss(at);                                                               \
        lo##r = _mm256_fmadd_ps(b, lo, lo##r);                                                     \
        hi##r = _mm256_fmadd_ps(b, hi, hi##r);                                                     \
    }
#define STEP(k)                                                                                    \
    do {                                                                                           \
        lo = _mm256_load_ps(w + (k)*PANEL_ROWS);                                                   \
        hi = _mm256_load_ps(w + (k)*PANEL_ROWS + HALF);                                            \
        ROW(0, x + (k))                                                                            \
        ROW(1, x + x_stride + (k))                                                                 \
        ROW(2, x + 2 * x_stride + (k))                                                             \
        ROW(3, x3 + (k))                                                                           \
        ROW(4, x3 + x_stride + (k))                                                                \
        ROW(5, x3 + 2 * x_stride + (k))                                                            \
    } while (0)
    for (size_t n = n_k / 2; n > 0; n--) {
        STEP(0); /* twice: of four steps gcc moves loads so far ahead that it spills */
        STEP(1);
        x += 2;
        x3 += 2;
        w += 2 * (size_t)PANEL_ROWS;
        /* else gcc keeps six pointers and runs out of registers for them */
        __asm__("" : "+r"(x), "+r"(x3));
    }
    for (size_t n = n_k % 2; n > 0; n--) {
        STEP(0);
        x++;
        x3++;
        w += PANEL_ROWS;
    }
#undef STEP
#undef ROW

#define STORE(r)                                                                                   \
    if (rows > r) {                                                                                \
        _mm256_storeu_ps(y + r * y_stride, lo##r);                                                 \
        _mm256_storeu_ps(y + r * y_stride + HALF, hi##r);                                          \
    }
    STORE(0)
    STORE(1)
    STORE(2)
    STORE(3)
    STORE(4)
    STORE(5)
#undef STORE
}

typedef void tile_function(float *y, size_t y_stride, const float *x, size_t x_stride,
                           const float *w, size_t n_k, bool go_on);

#define TILE(rows)                                                                                 \
    static void tile_##rows(float *y, size_t y_stride, const float *x, size_t x_stride,            \
                            const float *w, size_t n_k, bool go_on)                                \
    {                                                                                              \
        tile(rows, y, y_stride, x, x_stride, w, n_k, go_on);                                       \
    }
TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)
TILE(6)
#undef TILE

static tile_function *const tiles[TILE_AVX2_ROWS + 1] = {NULL,   tile_1, tile_2, tile_3,
                                                         tile_4, tile_5, tile_6};

/* The last panel of a matrix may have less than 16 columns: by way of a whole tile. */
static void multiply_part(float *y, size_t y_stride, int n_cols, const float *x, size_t x_stride,
                          int n_rows, const float *w, size_t n_k, bool go_on)
{
    float whole[TILE_AVX2_ROWS * PANEL_ROWS] = {0};

    for (int r = 0; go_on && r < n_rows; r++)
        memcpy(whole + r * PANEL_ROWS, y + (size_t)r * y_stride, (size_t)n_cols * sizeof(float));
    tiles[n_rows](whole, PANEL_ROWS, x, x_stride, w, n_k, go_on);
    for (int r = 0; r < n_rows; r++)
        memcpy(y + (size_t)r * y_stride, whole + r * PANEL_ROWS, (size_t)n_cols * sizeof(float));
}

void tile_avx2_multiply(float *y, size_t y_stride, int n_cols, const float *x, size_t x_stride,
                        int n_rows, const float *w, size_t w_stride, size_t n_k, bool go_on)
{
    (void)w_stride;
    if (n_cols == PANEL_ROWS)
        tiles[n_rows](y, y_stride, x, x_stride, w, n_k, go_on);
    else
        multiply_part(y, y_stride, n_cols, x, x_stride, n_rows, w, n_k, go_on);
}

INLINE void expand_4_bit(float *w, const uint8_t *p, size_t n_blocks, bool has_m)
{
    for (; n_blocks > 0; n_blocks--) {
        const struct factors f = load_factors(p, has_m);

        p += (has_m ? 4 : 2) * PANEL_ROWS;
        for (int j = 0; j < QUANT_BLOCK / 8; j++, p += 4 * PANEL_ROWS) {
            __m256i lo = load_words(p), hi = load_words(p + 4 * HALF);

            for (int k = 0; k < 8; k += 2, w += 2 * (size_t)PANEL_ROWS) {
                _mm256_store_ps(w, nibbles(lo, 0x0F, f.d_lo, f.m_lo));
                _mm256_store_ps(w + HALF, nibbles(hi, 0x0F, f.d_hi, f.m_hi));
                _mm256_store_ps(w + PANEL_ROWS, nibbles(lo, 0xF0000, f.odd_lo, f.m_lo));
                _mm256_store_ps(w + PANEL_ROWS + HALF, nibbles(hi, 0xF0000, f.odd_hi, f.m_hi));
                lo = _mm256_srli_epi32(lo, 4);
                hi = _mm256_srli_epi32(hi, 4);
            }
        }
    }
}

static void expand_q8_0(float *w, const uint8_t *p, size_t n_blocks)
{
    for (; n_blocks > 0; n_blocks--) {
        const __m256 d_lo = load_byte_factors(p), d_hi = load_byte_factors(p + 2 * HALF);

        p += 2 * PANEL_ROWS;
        for (int j = 0; j < QUANT_BLOCK / 4; j++, p += 4 * PANEL_ROWS) {
            const __m256i lo = load_words(p), hi = load_words(p + 4 * HALF);

            for (int k = 0; k < 4; k++, w += PANEL_ROWS) {
                _mm256_store_ps(w, byte_of(lo, k, d_lo));
                _mm256_store_ps(w + HALF, byte_of(hi, k, d_hi));
            }
        }
    }
}

static void expand_f16(float *w, const uint8_t *p, size_t n)
{
    for (; n > 0; n--, p += 2 * PANEL_ROWS, w += PANEL_ROWS) {
        _mm256_store_ps(w, load_f16(p));
        _mm256_store_ps(w + HALF, load_f16(p + 2 * HALF));
    }
}

static void expand_bf16(float *w, const uint8_t *p, size_t n)
{
    for (; n > 0; n--, p += 2 * PANEL_ROWS, w += PANEL_ROWS) {
        _mm256_store_ps(w, load_bf16(p));
        _mm256_store_ps(w + HALF, load_bf16(p + 2 * HALF));
    }
}

void tile_avx2_expand(float *w, const struct matrix *matrix, size_t panel, size_t first, size_t n)
{
    const uint8_t *p;

    if (cpu_codes_are(matrix->dtype)) {
        codes_expand(w, matrix, panel, first, n);
        return;
    }
    p = cpu_matrix_at(matrix, panel, first);
    switch (matrix->dtype) {
    case DTYPE_NF4:
        nf4_expand(w, matrix, panel, first, n);
        break;
    case DTYPE_Q4_1:
        expand_4_bit(w, p, n / QUANT_BLOCK, true);
        break;
    case DTYPE_Q4_0:
        expand_4_bit(w, p, n / QUANT_BLOCK, false);
        break;
    case DTYPE_Q8_0:
        expand_q8_0(w, p, n / QUANT_BLOCK);
        break;
    case DTYPE_F16:
        expand_f16(w, p, n);
        break;
    case DTYPE_BF16:
        expand_bf16(w, p, n);
        break;
    default: /* F32 panels are multiplied where they lie */
        break;
    }
}

#else
typedef int cpu_tile_avx2_is_empty_here; /* ISO C wants a declaration */
#endif
