/* Products of 16-bit numbers by AVX2: vpmaddwd makes 16 products an instruction where a fused
 * multiply-add of floats makes 8, and vpaddd adds them up. Numbers, scales and the order of each
 * sum are those of avx512-vnni, so the results are the same bits.
 *
 * The tile is up to 6 rows by one panel: 12 integer accumulators, one pair of columns of both
 * halves of the panel, a broadcast pair of x and a product make 16 registers. Its sums of a group
 * are added to floats in the first-level cache. */
#if defined(__x86_64__)

#include "cpu/cpu_tile_avx2.h"
#include "cpu/cpu_vector_few.h"
#include "cpu/cpu_vector_round.h"

enum { WORD_ROWS = 6 };

/* All rows of a tile, by number: gcc keeps accumulators in registers only when each has a name. */
#define ALL_ROWS(ROW) ROW(0) ROW(1) ROW(2) ROW(3) ROW(4) ROW(5)

/* sums += products * scales * scale */
INLINE void add_group(float *sums, __m256i products, __m256 scales, float scale)
{
    const __m256 p = _mm256_mul_ps(_mm256_cvtepi32_ps(products), scales);

    _mm256_store_ps(sums, _mm256_fmadd_ps(p, _mm256_set1_ps(scale), _mm256_load_ps(sums)));
}

/* sums [rows][16] += one group of n_pairs; `rows` is a constant in every caller. */
INLINE void multiply_group(const int rows, float *sums, const int32_t *x, size_t x_stride,
                           const float *x_scales, const int32_t *w, const float *w_scales,
                           size_t n_pairs)
{
    size_t i = 0;
    __m256i c, d;
    __m256 s, t;

    /* a pointer a row and one index: what gcc makes of a pointer and a stride adds on the way */
#define ROW(r)                                                                                     \
    __m256i a##r = _mm256_setzero_si256(), b##r = a##r;                                            \
    const int32_t *x##r = x + (r < rows ? r : 0) * x_stride;                                       \
    __asm__("" : "+r"(x##r));
    ALL_ROWS(ROW)
#undef ROW
#define ROW(r, k)                                                                                  \
    if (rows > r) {                                                                                \
        const __m256i e = _mm256_set1_epi32(x##r[i + k]);                                          \
                                                                                                   \
        MULTIPLY_PAIRS(a##r, e, c);                                                                \
        MULTIPLY_PAIRS(b##r, e, d);                                                                \
    }
#define STEP(k)                                                                                    \
    c = vec_load_integers(w + k * PANEL_ROWS);                                                     \
    d = vec_load_integers(w + k * PANEL_ROWS + LANES);                                             \
    ROW(0, k) ROW(1, k) ROW(2, k) ROW(3, k) ROW(4, k) ROW(5, k)
    for (; i + 4 <= n_pairs; i += 4, w += 4 * PANEL_ROWS) {
        STEP(0) STEP(1) STEP(2) STEP(3) __asm__("" : "+r"(i));
    }
    for (; i < n_pairs; i++, w += PANEL_ROWS) {
        STEP(0)
    }
#undef STEP
#undef ROW
    s = _mm256_loadu_ps(w_scales);
    t = _mm256_loadu_ps(w_scales + LANES);
#define ROW(r)                                                                                     \
    if (rows > r) {                                                                                \
        add_group(sums + r * PANEL_ROWS, a##r, s, x_scales[r]);                                    \
        add_group(sums + r * PANEL_ROWS + LANES, b##r, t, x_scales[r]);                            \
    }
    ALL_ROWS(ROW)
#undef ROW
}

/* The sums are kept apart from y on the way: y's rows may be a multiple of a page apart. */
INLINE void tile(const int rows, float *y, size_t y_stride, int n_cols, const struct word_rows *x,
                 const struct word_panels *w, size_t n_k, bool go_on)
{
    const size_t n_low = (size_t)n_cols, n_high = n_low > LANES ? n_low - LANES : 0;
    const int32_t *pairs = x->pairs, *panel = w->pairs;
    const float *scales = x->scales, *w_scales = w->scales;
    const uint8_t *ahead = w->ahead;
    _Alignas(64) float sums[WORD_ROWS * PANEL_ROWS];

    for (size_t r = 0; r < (size_t)rows; r++) {
        float *from = y + r * y_stride;

        ask_to_write(from);
        _mm256_store_ps(sums + r * PANEL_ROWS, vec_load(from, go_on ? n_low : 0));
        _mm256_store_ps(sums + r * PANEL_ROWS + LANES, vec_load(from + LANES, go_on ? n_high : 0));
    }
    while (n_k > 0) {
        const size_t n = n_k < WORD_GROUP ? n_k : WORD_GROUP, n_pairs = (n + 1) / 2;

        ahead = ask_ahead(ahead, w->ahead_lines);
        multiply_group(rows, sums, pairs, x->stride, scales, panel, w_scales, n_pairs);
        pairs += n_pairs;
        panel += n_pairs * PANEL_ROWS;
        w_scales += PANEL_ROWS;
        scales += x->scale_stride;
        n_k -= n;
    }
    for (size_t r = 0; r < (size_t)rows; r++) {
        float *to = y + r * y_stride;

        vec_store(to, n_low, _mm256_load_ps(sums + r * PANEL_ROWS));
        vec_store(to + LANES, n_high, _mm256_load_ps(sums + r * PANEL_ROWS + LANES));
    }
}

typedef void tile_function(float *y, size_t y_stride, int n_cols, const struct word_rows *x,
                           const struct word_panels *w, size_t n_k, bool go_on);

#define TILE(rows)                                                                                 \
    static void tile_##rows(float *y, size_t y_stride, int n_cols, const struct word_rows *x,      \
                            const struct word_panels *w, size_t n_k, bool go_on)                   \
    {                                                                                              \
        tile(rows, y, y_stride, n_cols, x, w, n_k, go_on);                                         \
    }
TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)
TILE(6)
#undef TILE

static void multiply(float *y, size_t y_stride, int n_cols, const struct word_rows *x, int n_rows,
                     const struct word_panels *w, size_t n_k, bool go_on)
{
    static tile_function *const tiles[WORD_ROWS + 1] = {NULL,   tile_1, tile_2, tile_3,
                                                        tile_4, tile_5, tile_6};

    tiles[n_rows](y, y_stride, n_cols, x, w, n_k, go_on);
}

static void measure(float *scales, const struct matrix *matrix, size_t panel, float *scratch)
{
    vector_measure(scales, matrix, panel, scratch, tile_avx2_expand);
}

const struct cpu_words words_avx2 = {
    .chunk = 640,
    .round = vector_round,
    .measure = measure,
    .scales = codes_scales,
    .expand = vector_expand,
    .tile_rows = WORD_ROWS,
    .tile_panels = 1,
    .tile = multiply,
    .few_rows = WORD_FEW_ROWS,
    .few = vector_few,
};

#else
typedef int cpu_words_avx2_is_empty_here; /* ISO C wants a declaration */
#endif
