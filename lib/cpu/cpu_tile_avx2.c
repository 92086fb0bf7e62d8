/* Panels to floats, and the tile of up to 6 rows by 16 columns: 12 accumulators, two halves of a
 * row of w and one broadcast x make 15 of the 16 registers. Every output has an accumulator lane of
 * its own that takes one fused multiply-add a k, so its bits do not depend on the tile it is in. */
#if defined(__x86_64__)

#include "cpu/cpu_tile_avx2.h"

#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum { HALF = PANEL_ROWS / 2 };

/* y = x W for one tile. gcc keeps accumulators in registers only when each has a name; `rows` is a
 * constant in every caller, so the conditions vanish. */
INLINE void tile(const int rows, float *y, size_t y_stride, const float *x, size_t x_stride,
                 const float *w, size_t n_k, bool go_on)
{
    __m256 lo0, lo1, lo2, lo3, lo4, lo5, hi0, hi1, hi2, hi3, hi4, hi5;
    const float *x3 = x + 3 * x_stride; /* two pointers and one stride address six rows */

#define START(r)                                                                                   \
    lo##r = hi##r = _mm256_setzero_ps();                                                           \
    if (rows > r && go_on) {                                                                       \
        lo##r = _mm256_loadu_ps(y + r * y_stride);                                                 \
        hi##r = _mm256_loadu_ps(y + r * y_stride + HALF);                                          \
    }
    START(0)
    START(1)
    START(2) START(3) START(4) START(5)
#undef START

#define ROW(r, at)                                                                                 \
    if (rows > r) {                                                                                \
        const __m256 b = _mm256_broadcast_ss(at);                                                  \
        lo##r = _mm256_fmadd_ps(b, lo, lo##r);                                                     \
        hi##r = _mm256_fmadd_ps(b, hi, hi##r);                                                     \
    }
#define STEP(k)                                                                                    \
    {                                                                                              \
        const __m256 lo = _mm256_load_ps(w + (k)*PANEL_ROWS);                                      \
        const __m256 hi = _mm256_load_ps(w + (k)*PANEL_ROWS + HALF);                               \
        ROW(0, x + (k))                                                                            \
        ROW(1, x + x_stride + (k))                                                                 \
        ROW(2, x + 2 * x_stride + (k))                                                             \
        ROW(3, x3 + (k))                                                                           \
        ROW(4, x3 + x_stride + (k))                                                                \
        ROW(5, x3 + 2 * x_stride + (k))                                                            \
    }
        for (size_t n = n_k / 4; n > 0; n--)
    {
        STEP(0) STEP(1) STEP(2) STEP(3) x += 4;
        x3 += 4;
        w += 4 * (size_t)PANEL_ROWS;
        /* else gcc keeps six pointers and runs out of registers for them */
        __asm__("" : "+r"(x), "+r"(x3));
    }
    for (size_t n = n_k % 4; n > 0; n--, x++, x3++, w += PANEL_ROWS)
        STEP(0)
#undef STEP
#undef ROW

#define STORE(r)                                                                                   \
    if (rows > r) {                                                                                \
        _mm256_storeu_ps(y + r * y_stride, lo##r);                                                 \
        _mm256_storeu_ps(y + r * y_stride + HALF, hi##r);                                          \
    }
    STORE(0) STORE(1) STORE(2) STORE(3) STORE(4) STORE(5)
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
TILE(3) TILE(4) TILE(5) TILE(6)
#undef TILE

    static tile_function *const tiles[TILE_ROWS + 1] = {NULL,   tile_1, tile_2, tile_3,
                                                        tile_4, tile_5, tile_6};

void tile_avx2_multiply(float *y, size_t y_stride, int n_cols, const float *x, size_t x_stride,
                        int n_rows, const float *w, size_t n_k, bool go_on)
{
    float whole[TILE_ROWS * PANEL_ROWS] = {0};

    if (n_cols == PANEL_ROWS) {
        tiles[n_rows](y, y_stride, x, x_stride, w, n_k, go_on);
        return;
    }
    for (int r = 0; go_on && r < n_rows; r++)
        memcpy(whole + r * PANEL_ROWS, y + (size_t)r * y_stride, (size_t)n_cols * sizeof(float));
    tiles[n_rows](whole, PANEL_ROWS, x, x_stride, w, n_k, go_on);
    for (int r = 0; r < n_rows; r++)
        memcpy(y + (size_t)r * y_stride, whole + r * PANEL_ROWS, (size_t)n_cols * sizeof(float));
}

INLINE __m256 load_f16(const uint8_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}

INLINE __m256i load_u8(const uint8_t *p)
{
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p));
}

INLINE __m256 load_i8(const uint8_t *p)
{
    const __m128i q = _mm_loadl_epi64((const __m128i *)(const void *)p);

    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(q));
}

INLINE __m256 load_bf16(const uint8_t *p)
{
    const __m128i h = _mm_loadu_si128((const __m128i *)(const void *)p);

    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}

/* n_bits low bits of 8 bytes, as they stand: the high half of a byte comes out 16 times too large,
 * and its factor is made 16 times smaller, which is exact. */
INLINE __m256 masked(__m256i bytes, int mask)
{
    return _mm256_cvtepi32_ps(_mm256_and_si256(bytes, _mm256_set1_epi32(mask)));
}

/* A block of 32 columns of 8 rows, one half of the panel. The 4-bit products q * d are exact in a
 * float (4 + 11 bits), so the fused q * d + m rounds once as the definition's two steps do; for
 * Q4_0 m is -8 d, and the sum is exact as well. */
INLINE void expand_4_bit(float *w, const uint8_t *q, __m256 d, __m256 m)
{
    const __m256 d16 = _mm256_mul_ps(d, _mm256_set1_ps(1.0f / 16));

    for (int j = 0; j < QUANT_BLOCK / 2; j++, q += PANEL_ROWS, w += 2 * (size_t)PANEL_ROWS) {
        const __m256i bytes = load_u8(q);

        _mm256_store_ps(w, _mm256_fmadd_ps(masked(bytes, 0x0F), d, m));
        _mm256_store_ps(w + PANEL_ROWS, _mm256_fmadd_ps(masked(bytes, 0xF0), d16, m));
    }
}

static void expand_q4_1(float *w, const uint8_t *p, size_t n_blocks)
{
    const size_t q = 4 * (size_t)PANEL_ROWS;

    for (; n_blocks > 0; n_blocks--, p += (size_t)PANEL_ROWS * 20, w += QUANT_BLOCK * PANEL_ROWS) {
        expand_4_bit(w, p + q, load_f16(p), load_f16(p + 2 * PANEL_ROWS));
        expand_4_bit(w + HALF, p + q + HALF, load_f16(p + 2 * HALF),
                     load_f16(p + 2 * (PANEL_ROWS + HALF)));
    }
}

static void expand_q4_0(float *w, const uint8_t *p, size_t n_blocks)
{
    const size_t q = 2 * (size_t)PANEL_ROWS;
    const __m256 minus8 = _mm256_set1_ps(-8.0f);

    for (; n_blocks > 0; n_blocks--, p += (size_t)PANEL_ROWS * 18, w += QUANT_BLOCK * PANEL_ROWS) {
        const __m256 lo = load_f16(p), hi = load_f16(p + 2 * HALF);

        expand_4_bit(w, p + q, lo, _mm256_mul_ps(lo, minus8));
        expand_4_bit(w + HALF, p + q + HALF, hi, _mm256_mul_ps(hi, minus8));
    }
}

static void expand_q8_0(float *w, const uint8_t *p, size_t n_blocks)
{
    for (; n_blocks > 0; n_blocks--) {
        const __m256 lo = load_f16(p), hi = load_f16(p + 2 * HALF);

        p += 2 * PANEL_ROWS;
        for (int k = 0; k < QUANT_BLOCK; k++, p += PANEL_ROWS, w += PANEL_ROWS) {
            _mm256_store_ps(w, _mm256_mul_ps(load_i8(p), lo));
            _mm256_store_ps(w + HALF, _mm256_mul_ps(load_i8(p + HALF), hi));
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
    const size_t block = dtype_block_elements(matrix->dtype);
    const uint8_t *p = matrix->data + panel * matrix->panel_size +
                       first / block * dtype_block_bytes(matrix->dtype) * PANEL_ROWS;

    switch (matrix->dtype) {
    case DTYPE_Q4_1:
        expand_q4_1(w, p, n / block);
        break;
    case DTYPE_Q4_0:
        expand_q4_0(w, p, n / block);
        break;
    case DTYPE_Q8_0:
        expand_q8_0(w, p, n / block);
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
