/* Panels to floats, and the tile of up to 12 rows by two panels: 24 accumulators, a row of each
 * panel and a broadcast x of 32 registers. Every output has an accumulator lane of its own that
 * takes one fused multiply-add a k, as in the AVX2 tile: the two sets' products are the same bits.
 */
#if defined(__x86_64__)

#include "cpu/cpu_tile_avx512.h"

#include <immintrin.h>

#include "cpu/cpu_vector_codes_floats.h"
#include "cpu/cpu_vector_nf4.h"

#define INLINE static inline __attribute__((always_inline))

/* All rows of a tile, by number: gcc keeps accumulators in registers only when each has a name. */
#define ALL_ROWS(ROW)                                                                              \
    ROW(0) ROW(1) ROW(2) ROW(3) ROW(4) ROW(5) ROW(6) ROW(7) ROW(8) ROW(9) ROW(10) ROW(11)

/* The first n lanes, n from below 0 (none) to above 16 (all). */
INLINE __mmask16 lanes(int n)
{
    return (__mmask16)(n >= PANEL_ROWS ? 0xFFFF : n <= 0 ? 0 : (1 << n) - 1);
}

/* y = x W for one tile; `rows` and `two` (panels) are constants in every caller. */
INLINE void tile(const int rows, const bool two, float *y, size_t y_stride, int n_cols,
                 const float *x, size_t x_stride, const float *w, const float *v, size_t n_k,
                 bool go_on)
{
    const __mmask16 first = lanes(n_cols), second = lanes(n_cols - PANEL_ROWS);
    /* few pointers and one stride address all rows */
    const float *x3 = x + 3 * x_stride, *x6 = x3 + 3 * x_stride, *x9 = x6 + 3 * x_stride;

#define ROW(r)                                                                                     \
    __m512 a##r = _mm512_setzero_ps(), b##r = a##r;                                                \
    if (rows > r && go_on) {                                                                       \
        a##r = _mm512_maskz_loadu_ps(first, y + r * y_stride);                                     \
        if (two)                                                                                   \
            b##r = _mm512_maskz_loadu_ps(second, y + r * y_stride + PANEL_ROWS);                   \
    }
    ALL_ROWS(ROW)
#undef ROW
#define ROW(r)                                                                                     \
    if (rows > r) {                                                                                \
        const float *at = r < 3 ? x : r < 6 ? x3 : r < 9 ? x6 : x9;                                \
        const __m512 e = _mm512_set1_ps(at[r % 3 * x_stride]);                                     \
                                                                                                   \
        a##r = _mm512_fmadd_ps(e, c, a##r);                                                        \
        if (two)                                                                                   \
            b##r = _mm512_fmadd_ps(e, d, b##r);                                                    \
    }
    for (; n_k > 0; n_k--) {
        const __m512 c = _mm512_loadu_ps(w), d = two ? _mm512_loadu_ps(v) : c;

        ALL_ROWS(ROW)
        x++;
        x3++;
        x6++;
        x9++;
        w += PANEL_ROWS;
        v += PANEL_ROWS;
        /* else gcc keeps a pointer a row and runs out of registers for them */
        __asm__("" : "+r"(x), "+r"(x3), "+r"(x6), "+r"(x9));
    }
#undef ROW
#define ROW(r)                                                                                     \
    if (rows > r) {                                                                                \
        _mm512_mask_storeu_ps(y + r * y_stride, first, a##r);                                      \
        if (two)                                                                                   \
            _mm512_mask_storeu_ps(y + r * y_stride + PANEL_ROWS, second, b##r);                    \
    }
    ALL_ROWS(ROW)
#undef ROW
}

typedef void tile_function(float *y, size_t y_stride, int n_cols, const float *x, size_t x_stride,
                           const float *w, size_t w_stride, size_t n_k, bool go_on);

#define TILE(rows)                                                                                 \
    static void tile_##rows(float *y, size_t y_stride, int n_cols, const float *x,                 \
                            size_t x_stride, const float *w, size_t w_stride, size_t n_k,          \
                            bool go_on)                                                            \
    {                                                                                              \
        if (n_cols > PANEL_ROWS)                                                                   \
            tile(rows, true, y, y_stride, n_cols, x, x_stride, w, w + w_stride, n_k, go_on);       \
        else                                                                                       \
            tile(rows, false, y, y_stride, n_cols, x, x_stride, w, w, n_k, go_on);                 \
    }
TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)
TILE(6)
TILE(7)
TILE(8)
TILE(9)
TILE(10)
TILE(11)
TILE(12)
#undef TILE

void tile_avx512_multiply(float *y, size_t y_stride, int n_cols, const float *x, size_t x_stride,
                          int n_rows, const float *w, size_t w_stride, size_t n_k, bool go_on)
{
    static tile_function *const tiles[TILE_AVX512_ROWS + 1] = {
        NULL,   tile_1, tile_2, tile_3,  tile_4,  tile_5, tile_6,
        tile_7, tile_8, tile_9, tile_10, tile_11, tile_12};

    tiles[n_rows](y, y_stride, n_cols, x, x_stride, w, w_stride, n_k, go_on);
}

INLINE __m512 load_f16(const uint8_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

INLINE __m512 load_bf16(const uint8_t *p)
{
    const __m256i h = _mm256_loadu_si256((const __m256i *)(const void *)p);

    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

/* As load_factors and nibbles of cpu_load_avx2.h: one rounding. */
INLINE void expand_4_bit(float *w, const uint8_t *p, size_t n_blocks, bool has_m)
{
    const __m512i low = _mm512_set1_epi32(0xF), high = _mm512_set1_epi32(0xF0000);

    for (; n_blocks > 0; n_blocks--) {
        const __m512 d = load_f16(p), odd_d = _mm512_mul_ps(d, _mm512_set1_ps(0x1p-16f));
        const __m512 m =
            has_m ? load_f16(p + 2 * PANEL_ROWS) : _mm512_mul_ps(d, _mm512_set1_ps(-8.0f));

        p += (has_m ? 4 : 2) * PANEL_ROWS;
        for (int j = 0; j < QUANT_BLOCK / 8; j++, p += 4 * PANEL_ROWS) {
            __m512i words = _mm512_loadu_si512(p);

            for (int k = 0; k < 8; k += 2, w += 2 * (size_t)PANEL_ROWS) {
                const __m512 even = _mm512_cvtepi32_ps(_mm512_and_si512(words, low));
                const __m512 odd = _mm512_cvtepi32_ps(_mm512_and_si512(words, high));

                _mm512_store_ps(w, _mm512_fmadd_ps(even, d, m));
                _mm512_store_ps(w + PANEL_ROWS, _mm512_fmadd_ps(odd, odd_d, m));
                words = _mm512_srli_epi32(words, 4);
            }
        }
    }
}

static void expand_q8_0(float *w, const uint8_t *p, size_t n_blocks)
{
    for (; n_blocks > 0; n_blocks--) {
        /* a byte at the top of its word is read 2^24 times too large: exact */
        const __m512 d = _mm512_mul_ps(load_f16(p), _mm512_set1_ps(0x1p-24f));

        p += 2 * PANEL_ROWS;
        for (int j = 0; j < QUANT_BLOCK / 4; j++, p += 4 * PANEL_ROWS, w += 4 * PANEL_ROWS) {
            const __m512i q = _mm512_loadu_si512(p);
            const __m512i k3 = _mm512_and_si512(q, _mm512_set1_epi32((int)0xFF000000));
            const __m512i k0 = _mm512_slli_epi32(q, 24);
            const __m512i k1 = _mm512_slli_epi32(_mm512_srli_epi32(q, 16), 24);
            const __m512i k2 = _mm512_slli_epi32(_mm512_srli_epi32(q, 8), 24);

            _mm512_store_ps(w, _mm512_mul_ps(_mm512_cvtepi32_ps(k0), d));
            _mm512_store_ps(w + PANEL_ROWS, _mm512_mul_ps(_mm512_cvtepi32_ps(k1), d));
            _mm512_store_ps(w + 2 * PANEL_ROWS, _mm512_mul_ps(_mm512_cvtepi32_ps(k2), d));
            _mm512_store_ps(w + 3 * PANEL_ROWS, _mm512_mul_ps(_mm512_cvtepi32_ps(k3), d));
        }
    }
}

void tile_avx512_expand(float *w, const struct matrix *matrix, size_t panel, size_t first, size_t n)
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
        for (; n > 0; n--, p += 2 * PANEL_ROWS, w += PANEL_ROWS)
            _mm512_store_ps(w, load_f16(p));
        break;
    case DTYPE_BF16:
        for (; n > 0; n--, p += 2 * PANEL_ROWS, w += PANEL_ROWS)
            _mm512_store_ps(w, load_bf16(p));
        break;
    default: /* F32 panels are multiplied where they lie */
        break;
    }
}

#else
typedef int cpu_tile_avx512_is_empty_here; /* ISO C wants a declaration */
#endif
