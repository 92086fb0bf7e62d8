/* The tile of up to 12 rows by two panels: 24 integer accumulators, one pair of columns of each
 * panel and a broadcast pair of x of 32 registers. Its sums of a group are added to floats in the
 * first-level cache. */
#if defined(__x86_64__)

#include "cpu/cpu_tile_avx512.h"
#include "cpu/cpu_vector_few.h"
#include "cpu/cpu_vector_round.h"

enum { WORD_ROWS = 12, WORD_PANELS = 2, WIDTH = WORD_PANELS * PANEL_ROWS };

/* All rows of a tile, by number: gcc keeps accumulators in registers only when each has a name. */
#define ALL_ROWS(ROW)                                                                              \
    ROW(0) ROW(1) ROW(2) ROW(3) ROW(4) ROW(5) ROW(6) ROW(7) ROW(8) ROW(9) ROW(10) ROW(11)

/* The first n lanes, n from below 0 (none) to above 16 (all). */
INLINE __mmask16 lanes(int n)
{
    return (__mmask16)(n >= PANEL_ROWS ? 0xFFFF : n <= 0 ? 0 : (1 << n) - 1);
}

/* sums += products * scales * scale */
INLINE void add_group(float *sums, __m512i products, __m512 scales, float scale)
{
    const __m512 p = _mm512_mul_ps(_mm512_cvtepi32_ps(products), scales);

    _mm512_store_ps(sums, _mm512_fmadd_ps(p, _mm512_set1_ps(scale), _mm512_load_ps(sums)));
}

/* sums [rows][32] += one group of n_pairs; `rows` and `two` (panels) are constants in every caller.
 */
INLINE void multiply_group(const int rows, const bool two, float *sums, const int32_t *x,
                           size_t x_stride, const float *x_scales, const int32_t *w,
                           const int32_t *v, const float *w_scales, const float *v_scales,
                           size_t n_pairs)
{
    /* few pointers and one stride address all rows */
    const int32_t *x3 = x + 3 * x_stride, *x6 = x3 + 3 * x_stride, *x9 = x6 + 3 * x_stride;
    __m512i c, d;
    __m512 s, t;

#define ROW(r) __m512i a##r = _mm512_setzero_si512(), b##r = a##r;
    ALL_ROWS(ROW)
#undef ROW
#define ROW(r)                                                                                     \
    if (rows > r) {                                                                                \
        const int32_t *at = r < 3 ? x : r < 6 ? x3 : r < 9 ? x6 : x9;                              \
        const __m512i e = _mm512_set1_epi32(at[r % 3 * x_stride]);                                 \
                                                                                                   \
        MULTIPLY_PAIRS(a##r, e, c);                                                                \
        if (two)                                                                                   \
            MULTIPLY_PAIRS(b##r, e, d);                                                            \
    }
#define STEP                                                                                       \
    c = _mm512_load_si512(w);                                                                      \
    d = two ? _mm512_load_si512(v) : c;                                                            \
    ALL_ROWS(ROW)                                                                                  \
    x++;                                                                                           \
    x3++;                                                                                          \
    x6++;                                                                                          \
    x9++;                                                                                          \
    w += PANEL_ROWS;                                                                               \
    v += PANEL_ROWS;
    for (size_t n = n_pairs / 4; n > 0; n--) {
        STEP STEP STEP STEP
            /* else gcc keeps a pointer a row and runs out of registers for them */
            __asm__(""
                    : "+r"(x), "+r"(x3), "+r"(x6), "+r"(x9));
    }
    for (size_t n = n_pairs % 4; n > 0; n--) {
        STEP
    }
#undef STEP
#undef ROW
    s = _mm512_loadu_ps(w_scales);
    t = two ? _mm512_loadu_ps(v_scales) : s;
#define ROW(r)                                                                                     \
    if (rows > r) {                                                                                \
        add_group(sums + r * WIDTH, a##r, s, x_scales[r]);                                         \
        if (two)                                                                                   \
            add_group(sums + r * WIDTH + PANEL_ROWS, b##r, t, x_scales[r]);                        \
    }
    ALL_ROWS(ROW)
#undef ROW
}

/* The sums are kept apart from y on the way: y's rows may be a multiple of a page apart. */
INLINE void tile(const int rows, const bool two, float *y, size_t y_stride, int n_cols,
                 const struct word_rows *x, const struct word_panels *w, size_t n_k, bool go_on)
{
    const __mmask16 first = lanes(n_cols), second = lanes(n_cols - PANEL_ROWS);
    const int32_t *pairs = x->pairs, *left = w->pairs, *right = left + w->stride;
    const float *left_scales = w->scales, *right_scales = left_scales + w->scale_stride;
    const float *scales = x->scales;
    const uint8_t *ahead = w->ahead;
    _Alignas(64) float sums[WORD_ROWS * WIDTH];

    for (int r = 0; r < rows; r++) {
        float *from = y + (size_t)r * y_stride;

        ask_to_write(from);
        if (two)
            ask_to_write(from + PANEL_ROWS);
        if (!go_on) {
            _mm512_store_ps(sums + r * WIDTH, _mm512_setzero_ps());
            if (two)
                _mm512_store_ps(sums + r * WIDTH + PANEL_ROWS, _mm512_setzero_ps());
            continue;
        }
        _mm512_store_ps(sums + r * WIDTH, _mm512_maskz_loadu_ps(first, from));
        if (two)
            _mm512_store_ps(sums + r * WIDTH + PANEL_ROWS,
                            _mm512_maskz_loadu_ps(second, from + PANEL_ROWS));
    }
    while (n_k > 0) {
        const size_t n = n_k < WORD_GROUP ? n_k : WORD_GROUP, n_pairs = (n + 1) / 2;

        ahead = ask_ahead(ahead, w->ahead_lines);
        multiply_group(rows, two, sums, pairs, x->stride, scales, left, right, left_scales,
                       right_scales, n_pairs);
        pairs += n_pairs;
        left += n_pairs * PANEL_ROWS;
        right += n_pairs * PANEL_ROWS;
        left_scales += PANEL_ROWS;
        right_scales += PANEL_ROWS;
        scales += x->scale_stride;
        n_k -= n;
    }
    for (int r = 0; r < rows; r++) {
        float *to = y + (size_t)r * y_stride;

        _mm512_mask_storeu_ps(to, first, _mm512_load_ps(sums + r * WIDTH));
        if (two)
            _mm512_mask_storeu_ps(to + PANEL_ROWS, second,
                                  _mm512_load_ps(sums + r * WIDTH + PANEL_ROWS));
    }
}

typedef void tile_function(float *y, size_t y_stride, int n_cols, const struct word_rows *x,
                           const struct word_panels *w, size_t n_k, bool go_on);

#define TILE(rows)                                                                                 \
    static void tile_##rows(float *y, size_t y_stride, int n_cols, const struct word_rows *x,      \
                            const struct word_panels *w, size_t n_k, bool go_on)                   \
    {                                                                                              \
        if (n_cols > PANEL_ROWS)                                                                   \
            tile(rows, true, y, y_stride, n_cols, x, w, n_k, go_on);                               \
        else                                                                                       \
            tile(rows, false, y, y_stride, n_cols, x, w, n_k, go_on);                              \
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

static void multiply(float *y, size_t y_stride, int n_cols, const struct word_rows *x, int n_rows,
                     const struct word_panels *w, size_t n_k, bool go_on)
{
    static tile_function *const tiles[WORD_ROWS + 1] = {NULL,    tile_1,  tile_2, tile_3, tile_4,
                                                        tile_5,  tile_6,  tile_7, tile_8, tile_9,
                                                        tile_10, tile_11, tile_12};

    tiles[n_rows](y, y_stride, n_cols, x, w, n_k, go_on);
}

static void measure(float *scales, const struct matrix *matrix, size_t panel, float *scratch)
{
    vector_measure(scales, matrix, panel, scratch, tile_avx512_expand);
}

const struct cpu_words words_avx512vnni = {
    .chunk = 640,
    .round = vector_round,
    .measure = measure,
    .scales = codes_scales,
    .expand = vector_expand,
    .tile_rows = WORD_ROWS,
    .tile_panels = WORD_PANELS,
    .tile = multiply,
    .few_rows = WORD_FEW_ROWS,
    .few = vector_few,
};

#else
typedef int cpu_words_avx512vnni_is_empty_here; /* ISO C wants a declaration */
#endif
