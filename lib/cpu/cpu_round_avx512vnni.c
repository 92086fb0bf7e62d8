/* Floats and panels to pairs of 16-bit numbers: see cpu_words.h. */
#if defined(__x86_64__)

#include "cpu/cpu_words_avx512vnni.h"

#include <immintrin.h>
#include <math.h>

#include "cpu/cpu_load_avx512vnni.h"
#include "cpu/cpu_tile_avx512.h"
#include "cpu/cpu_vector.h"

/* Norms whose square is out of these bounds, or near them, are taken from the largest element. */
#define LEAST_SQUARE 0x1p-100f
#define MOST_SQUARE 0x1p+120f
#define LEAST_SCALE 0x1p-120f

#define ROOT_GROUP 8.0f /* sqrt(WORD_GROUP) */
_Static_assert(WORD_GROUP == 64, "ROOT_GROUP is its root");

/* Scales of 16 groups whose sums of squares and largest elements these are. */
INLINE __m512 scales_of(__m512 squares, __m512 most, __m512 least)
{
    const __mmask16 fine = _mm512_cmp_ps_mask(squares, _mm512_set1_ps(LEAST_SQUARE), _CMP_GT_OQ) &
                           _mm512_cmp_ps_mask(squares, _mm512_set1_ps(MOST_SQUARE), _CMP_LT_OQ);
    const __m512 bound = _mm512_mul_ps(most, _mm512_set1_ps(ROOT_GROUP));
    const __m512 norm = _mm512_mask_sqrt_ps(bound, fine, squares);
    __m512 s = _mm512_mul_ps(norm, _mm512_set1_ps(1.0f / WORD_NORM));

    s = _mm512_max_ps(s, _mm512_mul_ps(most, _mm512_set1_ps(1.0f / WORD_MOST)));
    s = _mm512_max_ps(s, least);
    s = _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(s, _mm512_set1_ps(LEAST_SCALE), _CMP_NLT_UQ), s);
    /* a NaN among the elements is one among the squares */
    return _mm512_mask_mov_ps(s, _mm512_cmp_ps_mask(squares, squares, _CMP_UNORD_Q), squares);
}

void round_avx512vnni_row(int32_t *pairs, float *scales, size_t scale_stride, const float *x,
                          size_t n)
{
    const __m512 sign = _mm512_set1_ps(-0.0f);

    for (; n > 0; scales += scale_stride) {
        const size_t n_group = n < WORD_GROUP ? n : WORD_GROUP;
        __m512 even = _mm512_setzero_ps(), odd = even, most = even, s, inv;

        for (size_t i = 0; i < n_group; i += 32) {
            const __m512 a = _mm512_maskz_loadu_ps(vec_mask(n_group - i), x + i);

            even = _mm512_fmadd_ps(a, a, even);
            most = _mm512_max_ps(most, _mm512_andnot_ps(sign, a));
            if (n_group > i + 16) {
                const __m512 b = _mm512_maskz_loadu_ps(vec_mask(n_group - i - 16), x + i + 16);

                odd = _mm512_fmadd_ps(b, b, odd);
                most = _mm512_max_ps(most, _mm512_andnot_ps(sign, b));
            }
        }
        s = scales_of(_mm512_set1_ps(vec_sum(_mm512_add_ps(even, odd))),
                      _mm512_set1_ps(_mm512_reduce_max_ps(most)), _mm512_setzero_ps());
        inv = inverse(s);
        *scales = _mm512_cvtss_f32(s);
        for (size_t i = 0; i < n_group; i += 16, pairs += 8) {
            const __m512 a = _mm512_maskz_loadu_ps(vec_mask(n_group - i), x + i);
            const __m512i q = _mm512_cvtps_epi32(_mm512_mul_ps(a, inv));

            _mm256_storeu_si256((__m256i *)(void *)pairs, _mm512_cvtsepi32_epi16(q));
        }
        x += n_group;
        n -= n_group;
    }
}

/* The least scale for which the factors of these blocks fit 16 bits. */
static __m512 least_for_factors(const uint8_t *p, enum dtype dtype, size_t n_blocks)
{
    const __m512 sign = _mm512_set1_ps(-0.0f);
    const __m512 units = _mm512_set1_ps(dtype == DTYPE_Q8_0 ? D_UNITS_8 : D_UNITS_4);
    __m512 most = _mm512_setzero_ps();

    for (; n_blocks > 0; n_blocks--, p += dtype_block_bytes(dtype) * PANEL_ROWS) {
        const __m512 d = _mm512_mul_ps(load_f16(p), units);

        most = _mm512_max_ps(most, _mm512_andnot_ps(sign, d));
        if (dtype == DTYPE_Q4_1)
            most = _mm512_max_ps(most, _mm512_andnot_ps(sign, load_f16(p + 2 * PANEL_ROWS)));
    }
    return _mm512_mul_ps(most, _mm512_set1_ps(1.0f / WORD_MOST));
}

void round_avx512vnni_measure(float *scales, const struct matrix *matrix, size_t panel,
                              float *scratch)
{
    const __m512 sign = _mm512_set1_ps(-0.0f);
    const bool blocks = dtype_block_elements(matrix->dtype) > 1;

    for (size_t k = 0; k < matrix->cols; k += WORD_GROUP, scales += PANEL_ROWS) {
        const size_t n = matrix->cols - k < WORD_GROUP ? matrix->cols - k : WORD_GROUP;
        const uint8_t *at = cpu_matrix_at(matrix, panel, k);
        const float *w = scratch;
        __m512 squares = _mm512_setzero_ps(), most = squares, least = squares;

        if (matrix->dtype == DTYPE_F32)
            w = (const float *)(const void *)at;
        else
            tile_avx512_expand(scratch, matrix, panel, k, n);
        for (size_t i = 0; i < n; i++) {
            const __m512 v = _mm512_loadu_ps(w + i * PANEL_ROWS);

            squares = _mm512_fmadd_ps(v, v, squares);
            most = _mm512_max_ps(most, _mm512_andnot_ps(sign, v));
        }
        if (blocks)
            least = least_for_factors(at, matrix->dtype, n / QUANT_BLOCK);
        _mm512_storeu_ps(scales, scales_of(squares, most, least));
    }
}

INLINE void expand_4_bit(int32_t *w, const uint8_t *p, __m512 inv, size_t n_blocks, bool has_m)
{
    for (; n_blocks > 0; n_blocks--) {
        const __m512 f = _mm512_mul_ps(load_f16(p), inv);
        const __m512i d = twice(_mm512_mul_ps(f, _mm512_set1_ps(D_UNITS_4)));
        const __m512i m = twice(has_m ? _mm512_mul_ps(load_f16(p + 2 * PANEL_ROWS), inv)
                                      : _mm512_mul_ps(f, _mm512_set1_ps(-8.0f)));

        p += (has_m ? 4 : 2) * PANEL_ROWS;
        for (int j = 0; j < QUANT_BLOCK / 8; j++, p += 4 * PANEL_ROWS, w += 4 * PANEL_ROWS) {
            const __m512i v = _mm512_loadu_si512(p);

            _mm512_store_si512(w, from_nibbles(_mm512_slli_epi16(v, 11), d, m));
            _mm512_store_si512(w + PANEL_ROWS, from_nibbles(_mm512_slli_epi16(v, 7), d, m));
            _mm512_store_si512(w + 2 * PANEL_ROWS, from_nibbles(_mm512_slli_epi16(v, 3), d, m));
            _mm512_store_si512(w + 3 * PANEL_ROWS, from_nibbles(_mm512_srli_epi16(v, 1), d, m));
        }
    }
}

static void expand_q8_0(int32_t *w, const uint8_t *p, __m512 inv, size_t n_blocks)
{
    const __m512i high = _mm512_set1_epi16((short)0xFF00);

    for (; n_blocks > 0; n_blocks--) {
        const __m512 f = _mm512_mul_ps(load_f16(p), inv);
        const __m512i d = twice(_mm512_mul_ps(f, _mm512_set1_ps(D_UNITS_8)));

        p += 2 * PANEL_ROWS;
        for (int j = 0; j < QUANT_BLOCK / 4; j++, p += 4 * PANEL_ROWS, w += 2 * PANEL_ROWS) {
            const __m512i v = _mm512_loadu_si512(p);

            _mm512_store_si512(w, from_bytes(_mm512_slli_epi16(v, 8), d));
            _mm512_store_si512(w + PANEL_ROWS, from_bytes(_mm512_and_si512(v, high), d));
        }
    }
}

/* Column k of a panel as floats. */
INLINE __m512 load_column(enum dtype dtype, const uint8_t *p, size_t k)
{
    const __m256i *halves = (const __m256i *)(const void *)(p + k * 2 * PANEL_ROWS);

    switch (dtype) {
    case DTYPE_F16:
        return _mm512_cvtph_ps(_mm256_loadu_si256(halves));
    case DTYPE_BF16:
        return _mm512_castsi512_ps(
            _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(halves)), 16));
    default:
        return _mm512_loadu_ps(p + k * 4 * PANEL_ROWS);
    }
}

INLINE void expand_plain(int32_t *w, enum dtype dtype, const uint8_t *p, __m512 inv, size_t n)
{
    for (size_t k = 0; k < n; k += 2, w += PANEL_ROWS) {
        const __m512 a = load_column(dtype, p, k);
        const __m512 b = k + 1 < n ? load_column(dtype, p, k + 1) : _mm512_setzero_ps();
        const __m512i first = _mm512_cvtps_epi32(_mm512_mul_ps(a, inv));
        const __m512i second = _mm512_cvtps_epi32(_mm512_mul_ps(b, inv));

        _mm512_store_si512(
            w, _mm512_mask_blend_epi16(0xAAAAAAAA, first, _mm512_slli_epi32(second, 16)));
    }
}

void round_avx512vnni_expand(int32_t *w, const struct matrix *matrix, const float *scales,
                             size_t panel, size_t first, size_t n)
{
    while (n > 0) {
        const size_t n_group = n < WORD_GROUP ? n : WORD_GROUP;
        const uint8_t *p = cpu_matrix_at(matrix, panel, first);
        const __m512 inv = inverse(_mm512_loadu_ps(scales));

        switch (matrix->dtype) {
        case DTYPE_Q4_1:
            expand_4_bit(w, p, inv, n_group / QUANT_BLOCK, true);
            break;
        case DTYPE_Q4_0:
            expand_4_bit(w, p, inv, n_group / QUANT_BLOCK, false);
            break;
        case DTYPE_Q8_0:
            expand_q8_0(w, p, inv, n_group / QUANT_BLOCK);
            break;
        case DTYPE_F16:
            expand_plain(w, DTYPE_F16, p, inv, n_group);
            break;
        case DTYPE_BF16:
            expand_plain(w, DTYPE_BF16, p, inv, n_group);
            break;
        default:
            expand_plain(w, DTYPE_F32, p, inv, n_group);
        }
        w += (n_group + 1) / 2 * PANEL_ROWS;
        scales += PANEL_ROWS;
        first += n_group;
        n -= n_group;
    }
}

#else
typedef int cpu_round_avx512vnni_is_empty_here; /* ISO C wants a declaration */
#endif
