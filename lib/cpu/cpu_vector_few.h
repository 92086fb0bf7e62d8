/* Products of few rows: blocks go from the panel to the product without a stop in scratch. The
 * numbers are those of the expansion, and integer sums have no order, so the bits are the tile's.
 * Written once for both vector widths.
 *
 * Even and odd pairs of columns have sums of their own, so that one row does not wait for its own
 * results. A block's offset is not added to its numbers but multiplied with the sum of x over its
 * columns: modulo 2^32 that is the same, and the whole sum has no more bits than that. */
#ifndef CPU_CPU_VECTOR_FEW_H
#define CPU_CPU_VECTOR_FEW_H

#include "cpu/cpu_vector_codes_words.h"
#include "cpu/cpu_vector_nf4_words.h"
#include "cpu/cpu_vector_words.h"

#if defined(__AVX2__)

/* FEW_AHEAD: how many bytes ahead codes are fetched. */
enum { WORD_FEW_ROWS = 4, FEW_AHEAD = 4096 };

/* Up to four rows' sums of a group, of LANES outputs. */
struct few_sums {
    vec_integers a0, a1, a2, a3, b0, b1, b2, b3;
};

#define FEW_ALL_ROWS(ROW) ROW(0) ROW(1) ROW(2) ROW(3)

/* The k-th pair of columns from x on; `rows` and `k` are constants in every caller. */
INLINE void add_pair(const int rows, struct few_sums *s, const int32_t *x, size_t stride,
                     const size_t k, vec_integers w)
{
#define ROW(r)                                                                                     \
    if (rows > r) {                                                                                \
        const vec_integers e = VEC(set1_epi32)(x[r * stride + k]);                                 \
                                                                                                   \
        if (k % 2)                                                                                 \
            MULTIPLY_PAIRS(s->b##r, e, w);                                                         \
        else                                                                                       \
            MULTIPLY_PAIRS(s->a##r, e, w);                                                         \
    }
    FEW_ALL_ROWS(ROW)
#undef ROW
}

/* sums a (+)= m times the sum of x over a run; member: which of the sums of x are the run's. */
#define ADD_OFFSET(rows, s, m, sums, sum_stride, member)                                           \
    do {                                                                                           \
        const vec_integers m_ = m;                                                                 \
                                                                                                   \
        ADD_OFFSET_TO(0, rows, s, m_, sums, sum_stride, member);                                   \
        ADD_OFFSET_TO(1, rows, s, m_, sums, sum_stride, member);                                   \
        ADD_OFFSET_TO(2, rows, s, m_, sums, sum_stride, member);                                   \
        ADD_OFFSET_TO(3, rows, s, m_, sums, sum_stride, member);                                   \
    } while (0)
#define ADD_OFFSET_TO(r, rows, s, m, sums, sum_stride, member)                                     \
    if (rows > r)                                                                                  \
    (s)->a##r = VEC(add_epi32)(                                                                    \
        (s)->a##r, VEC(mullo_epi32)(m, VEC(set1_epi32)((sums)[r * (sum_stride)].member)))

INLINE void add_4_bit(const int rows, struct few_sums *s, const int32_t *x, size_t stride,
                      const struct column_sums *sums, size_t sum_stride, const uint8_t *p,
                      size_t lane, vec inv, bool has_m)
{
    const struct pair_factors f = factors_4_bit(p + 2 * lane, inv, has_m);

    p += (has_m ? 4 : 2) * PANEL_ROWS;
    for (int j = 0; j < QUANT_BLOCK / 8; j++, p += 4 * PANEL_ROWS, x += 4) {
        const vec_integers v = vec_load_integers(p + 4 * lane);

        add_pair(rows, s, x, stride, 0, nibble_products(v, 0, f.d));
        add_pair(rows, s, x, stride, 1, nibble_products(v, 1, f.d));
        add_pair(rows, s, x, stride, 2, nibble_products(v, 2, f.d));
        add_pair(rows, s, x, stride, 3, nibble_products(v, 3, f.d));
    }
    ADD_OFFSET(rows, s, VEC(srai_epi32)(f.m, 16), sums, sum_stride, all);
}

INLINE void add_8_bit(const int rows, struct few_sums *s, const int32_t *x, size_t stride,
                      const uint8_t *p, size_t lane, vec inv)
{
    const vec_integers d = factors_8_bit(p + 2 * lane, inv);

    p += 2 * PANEL_ROWS;
    for (int j = 0; j < QUANT_BLOCK / 4; j++, p += 4 * PANEL_ROWS, x += 2) {
        const vec_integers v = vec_load_integers(p + 4 * lane);

        add_pair(rows, s, x, stride, 0, from_bytes(v, 0, d));
        add_pair(rows, s, x, stride, 1, from_bytes(v, 1, d));
    }
}

/* sums += products of all rows * scales * x_scales, of the outputs [lane, lane + LANES). */
INLINE void add_products(const int rows, float sums[][PANEL_ROWS], size_t lane,
                         const struct few_sums *s, vec scales, const float *x_scales)
{
#define ROW(r)                                                                                     \
    if (rows > r) {                                                                                \
        const vec_integers products = VEC(add_epi32)(s->a##r, s->b##r);                            \
        const vec y = VEC(mul_ps)(VEC(cvtepi32_ps)(products), scales);                             \
                                                                                                   \
        VEC(storeu_ps)                                                                             \
        (sums[r] + lane,                                                                           \
         VEC(fmadd_ps)(y, VEC(set1_ps)(x_scales[r]), VEC(loadu_ps)(sums[r] + lane)));              \
    }
    FEW_ALL_ROWS(ROW)
#undef ROW
}

/* A group of n_blocks, the first of them x's block `block`, of the outputs [lane, lane + LANES). */
INLINE void add_blocks(const int rows, const enum dtype dtype, float sums[][PANEL_ROWS],
                       const struct word_rows *x, size_t block, const uint8_t *p, size_t lane,
                       const float *w_scales, size_t n_blocks)
{
    const size_t size = (dtype == DTYPE_Q8_0 ? 34 : dtype == DTYPE_Q4_1 ? 20 : 18) * PANEL_ROWS;
    const vec scales = VEC(loadu_ps)(w_scales + lane), inv = inverse(scales);
    const float *x_scales = x->scales + block * QUANT_BLOCK / WORD_GROUP * x->scale_stride;
    const vec_integers none = VEC(setzero_si512)();
    struct few_sums s = {none, none, none, none, none, none, none, none};

    for (const size_t end = block + n_blocks; block < end; block++, p += size) {
        const int32_t *pairs = x->pairs + block * QUANT_BLOCK / 2;

        if (dtype == DTYPE_Q8_0)
            add_8_bit(rows, &s, pairs, x->stride, p, lane, inv);
        else
            add_4_bit(rows, &s, pairs, x->stride, x->sums + block, x->sum_stride, p, lane, inv,
                      dtype == DTYPE_Q4_1);
    }
    add_products(rows, sums, lane, &s, scales, x_scales);
}

/* One panel, of which n outputs count. */
INLINE void few(const int rows, const enum dtype dtype, float *y, size_t y_stride, size_t n,
                const struct word_rows *x, const uint8_t *p, const float *w_scales, size_t n_blocks)
{
    const size_t size = (dtype == DTYPE_Q8_0 ? 34 : dtype == DTYPE_Q4_1 ? 20 : 18) * PANEL_ROWS;
    const size_t most = WORD_GROUP / QUANT_BLOCK;
    _Alignas(64) float sums[WORD_FEW_ROWS][PANEL_ROWS] = {{0}};

    for (size_t block = 0; block < n_blocks; block += most) {
        const size_t left = n_blocks - block, n_group = left < most ? left : most;

        ask_ahead(p + FEW_AHEAD, (n_group * size + 63) / 64);
        for (size_t lane = 0; lane < PANEL_ROWS; lane += LANES)
            add_blocks(rows, dtype, sums, x, block, p, lane, w_scales, n_group);
        p += n_group * size;
        w_scales += PANEL_ROWS;
    }
    for (size_t r = 0; r < (size_t)rows; r++) {
        for (size_t lane = 0; lane < n; lane += LANES)
            vec_store(y + r * y_stride + lane, n - lane, VEC(loadu_ps)(sums[r] + lane));
    }
}

typedef void few_function(float *y, size_t y_stride, size_t n, const struct word_rows *x,
                          const uint8_t *p, const float *w_scales, size_t n_blocks);

#define FEW(type, rows)                                                                            \
    static void few_##type##_##rows(float *y, size_t y_stride, size_t n,                           \
                                    const struct word_rows *x, const uint8_t *p,                   \
                                    const float *w_scales, size_t n_blocks)                        \
    {                                                                                              \
        few(rows, DTYPE_##type, y, y_stride, n, x, p, w_scales, n_blocks);                         \
    }
#define ALL(type) FEW(type, 1) FEW(type, 2) FEW(type, 3) FEW(type, 4)
ALL(Q4_1)
ALL(Q4_0)
ALL(Q8_0)
#undef ALL
#undef FEW

/* Columns [first, first + n), a group, of the outputs [lane, lane + LANES) of an NF4 panel. */
INLINE void nf4_add_group(const int rows, float sums[][PANEL_ROWS], const struct word_rows *x,
                          const struct matrix *m, size_t panel, size_t lane, size_t first, size_t n,
                          struct nf4_numbers numbers)
{
    const float *scales =
        m->scales + (panel * word_groups(m->cols) + first / WORD_GROUP) * PANEL_ROWS;
    const float *x_scales = x->scales + first / WORD_GROUP * x->scale_stride;
    const bool part = m->nf4.run < WORD_GROUP;
    const vec_integers none = VEC(setzero_si512)();
    struct few_sums s = {none, none, none, none, none, none, none, none};

    for (size_t k = first; k < first + n; k += QUANT_BLOCK) {
        const vec_integers ratio = part ? nf4_ratio(m, panel, k, lane, scales) : none;
        const uint8_t *p = cpu_matrix_at(m, panel, k) + 4 * lane;
        const int32_t *pairs = x->pairs + k / 2;

        for (int j = 0; j < QUANT_BLOCK / 8; j++, p += 4 * PANEL_ROWS, pairs += 4) {
            struct nf4_pairs w = nf4_pairs_of(numbers, vec_load_integers(p));

            if (part)
                w = nf4_multiply(w, ratio);
            add_pair(rows, &s, pairs, x->stride, 0, w.p0);
            add_pair(rows, &s, pairs, x->stride, 1, w.p1);
            add_pair(rows, &s, pairs, x->stride, 2, w.p2);
            add_pair(rows, &s, pairs, x->stride, 3, w.p3);
        }
    }
    add_products(rows, sums, lane, &s, VEC(loadu_ps)(scales + lane), x_scales);
}

INLINE void nf4_few(const int rows, float *y, const struct word_rows *x, const struct matrix *m,
                    size_t panel)
{
    const struct nf4_numbers numbers = nf4_load_numbers(m->nf4.words);
    const size_t left = m->rows - panel * PANEL_ROWS, n = left < PANEL_ROWS ? left : PANEL_ROWS;
    _Alignas(64) float sums[WORD_FEW_ROWS][PANEL_ROWS] = {{0}};

    for (size_t k = 0; k < m->cols; k += WORD_GROUP) {
        const size_t n_group = m->cols - k < WORD_GROUP ? m->cols - k : WORD_GROUP;

        ask_ahead(cpu_matrix_at(m, panel, k) + FEW_AHEAD, n_group * PANEL_ROWS / 2 / 64);
        for (size_t lane = 0; lane < PANEL_ROWS; lane += LANES)
            nf4_add_group(rows, sums, x, m, panel, lane, k, n_group, numbers);
    }
    for (size_t r = 0; r < (size_t)rows; r++) {
        for (size_t lane = 0; lane < n; lane += LANES)
            vec_store(y + r * m->rows + panel * PANEL_ROWS + lane, n - lane,
                      VEC(loadu_ps)(sums[r] + lane));
    }
}

static void nf4_few_rows(float *y, const struct word_rows *x, int n_rows, const struct matrix *m,
                         size_t panel, size_t end)
{
    for (; panel < end; panel++) {
        if (n_rows == 1)
            nf4_few(1, y, x, m, panel);
        else if (n_rows == 2)
            nf4_few(2, y, x, m, panel);
        else if (n_rows == 3)
            nf4_few(3, y, x, m, panel);
        else
            nf4_few(4, y, x, m, panel);
    }
}

/* The sums of eight columns; x: their pairs. */
INLINE void add_pairs(const int rows, struct few_sums *s, const int32_t *x, size_t stride,
                      struct code_pairs w)
{
    add_pair(rows, s, x, stride, 0, w.p0);
    add_pair(rows, s, x, stride, 1, w.p1);
    add_pair(rows, s, x, stride, 2, w.p2);
    add_pair(rows, s, x, stride, 3, w.p3);
}

/* A block of 32 columns of LANES outputs. */
INLINE void codes_add_block(const int rows, const enum dtype dtype, struct few_sums *s,
                            const struct word_rows *x, const uint8_t *block, size_t lane, size_t k,
                            vec inv)
{
    const struct code_form form = cpu_codes_form(dtype);
    const struct pair_factors f = code_pair_factors(dtype, block, lane, inv);
    const uint8_t *part = cpu_codes_part(form, block, 0) + 4 * lane;
    const int32_t *pairs = x->pairs + k / 2;

    add_pairs(rows, s, pairs, x->stride, code_products_of(dtype, part, 0, f.d));
    add_pairs(rows, s, pairs + 4, x->stride, code_products_of(dtype, part, 1, f.d));
    add_pairs(rows, s, pairs + 8, x->stride, code_products_of(dtype, part, 2, f.d));
    add_pairs(rows, s, pairs + 12, x->stride, code_products_of(dtype, part, 3, f.d));
    if (!form.has_table)
        ADD_OFFSET(rows, s, VEC(srai_epi32)(f.m, 16), x->sums + k / QUANT_BLOCK, x->sum_stride,
                   all);
}

/* s's a += the products of a run, whose sums of codes times x these are; they begin anew. */
#define END_RUN(rows, dtype, s, run, f, sums, sum_stride, member)                                  \
    do {                                                                                           \
        END_RUN_OF(0, rows, dtype, s, run, f, sums, sum_stride, member);                           \
        END_RUN_OF(1, rows, dtype, s, run, f, sums, sum_stride, member);                           \
        END_RUN_OF(2, rows, dtype, s, run, f, sums, sum_stride, member);                           \
        END_RUN_OF(3, rows, dtype, s, run, f, sums, sum_stride, member);                           \
        if (cpu_codes_form(dtype).zero == 0)                                                       \
            ADD_OFFSET(rows, s, (f).m, sums, sum_stride, member);                                  \
    } while (0)
#define END_RUN_OF(r, rows, dtype, s, run, f, sums, sum_stride, member)                            \
    if (rows > r) {                                                                                \
        const int32_t zeros_ = cpu_codes_form(dtype).zero * (sums)[r * (sum_stride)].member;       \
        const vec_integers codes_ = VEC(add_epi32)((run)->a##r, (run)->b##r);                      \
                                                                                                   \
        (s)->a##r = VEC(add_epi32)(                                                                \
            (s)->a##r, VEC(mullo_epi32)((f).d, VEC(sub_epi32)(codes_, VEC(set1_epi32)(zeros_))));  \
        (run)->a##r = (run)->b##r = VEC(setzero_si512)();                                          \
    }

/* 32 columns from k on of a block of 256: codes are added up first and multiplied with their run's
 * scale once, which is the same sum. */
INLINE void codes_add_part(const int rows, const enum dtype dtype, struct few_sums *s,
                           const struct word_rows *x, const uint8_t *block, size_t lane, size_t k,
                           struct code_factors units)
{
    const struct code_form form = cpu_codes_form(dtype);
    const uint8_t *part = cpu_codes_part(form, block, k) + 4 * lane;
    const int32_t *pairs = x->pairs + k / 2;
    const struct column_sums *x_sums = x->sums + k / QUANT_BLOCK;
    const vec_integers none = VEC(setzero_si512)();
    struct few_sums run = {none, none, none, none, none, none, none, none};
    struct pair_factors f = code_integers(dtype, block, k % form.block, lane, units);

    add_pairs(rows, &run, pairs, x->stride, code_plain_pairs(dtype, part, 0));
    add_pairs(rows, &run, pairs + 4, x->stride, code_plain_pairs(dtype, part, 1));
    if (form.run < QUANT_BLOCK) {
        END_RUN(rows, dtype, s, &run, f, x_sums, x->sum_stride, first);
        f = code_integers(dtype, block, k % form.block + form.run, lane, units);
    }
    add_pairs(rows, &run, pairs + 8, x->stride, code_plain_pairs(dtype, part, 2));
    add_pairs(rows, &run, pairs + 12, x->stride, code_plain_pairs(dtype, part, 3));
    if (form.run < QUANT_BLOCK)
        END_RUN(rows, dtype, s, &run, f, x_sums, x->sum_stride, second);
    else
        END_RUN(rows, dtype, s, &run, f, x_sums, x->sum_stride, all);
}

/* A group of n columns from `first` on, of the outputs [lane, lane + LANES). block: the one it is
 * in, or begins with; e: what says its scales. */
INLINE void codes_add_group(const int rows, const enum dtype dtype, float sums[][PANEL_ROWS],
                            const struct word_rows *x, const uint8_t *block, const uint8_t *e,
                            size_t lane, size_t first, size_t n)
{
    const struct code_form form = cpu_codes_form(dtype);
    const vec scales = code_scales(dtype, block, e, lane), inv = code_inverse(dtype, scales);
    const vec_integers none = VEC(setzero_si512)();
    struct few_sums s = {none, none, none, none, none, none, none, none};

    if (cpu_codes_are_exact(form)) {
        const struct code_factors units = code_group_factors(dtype, block, lane, inv);

        for (size_t k = first; k < first + n; k += QUANT_BLOCK)
            codes_add_part(rows, dtype, &s, x, block, lane, k, units);
    } else {
        for (size_t k = first; k < first + n; k += QUANT_BLOCK) {
            codes_add_block(rows, dtype, &s, x, block, lane, k, inv);
            block += cpu_codes_block_bytes(form);
        }
    }
    add_products(rows, sums, lane, &s, scales, x->scales + first / WORD_GROUP * x->scale_stride);
}

INLINE void codes_few(const int rows, const enum dtype dtype, float *y, const struct word_rows *x,
                      const struct matrix *m, size_t panel)
{
    const struct code_form form = cpu_codes_form(dtype);
    const size_t left = m->rows - panel * PANEL_ROWS, n = left < PANEL_ROWS ? left : PANEL_ROWS;
    const uint8_t *e = m->scale_bytes + panel * word_groups(m->cols) * PANEL_ROWS;
    const size_t group_bytes = cpu_codes_block_bytes(form) * WORD_GROUP / form.block;
    _Alignas(64) float sums[WORD_FEW_ROWS][PANEL_ROWS] = {{0}};

    for (size_t k = 0; k < m->cols; k += WORD_GROUP) {
        const size_t n_group = m->cols - k < WORD_GROUP ? m->cols - k : WORD_GROUP;
        const uint8_t *block = cpu_codes_at(m, form, panel, k);

        ask_ahead(m->data + panel * m->panel_size + k / WORD_GROUP * group_bytes + FEW_AHEAD,
                  (group_bytes + 63) / 64);
        for (size_t lane = 0; lane < PANEL_ROWS; lane += LANES)
            codes_add_group(rows, dtype, sums, x, block, e, lane, k, n_group);
        e += PANEL_ROWS;
    }
    for (size_t r = 0; r < (size_t)rows; r++) {
        for (size_t lane = 0; lane < n; lane += LANES)
            vec_store(y + r * m->rows + panel * PANEL_ROWS + lane, n - lane,
                      VEC(loadu_ps)(sums[r] + lane));
    }
}

INLINE void codes_few_type(const enum dtype dtype, float *y, const struct word_rows *x, int n_rows,
                           const struct matrix *m, size_t panel, size_t end)
{
    for (; panel < end; panel++) {
        if (n_rows == 1)
            codes_few(1, dtype, y, x, m, panel);
        else if (n_rows == 2)
            codes_few(2, dtype, y, x, m, panel);
        else if (n_rows == 3)
            codes_few(3, dtype, y, x, m, panel);
        else
            codes_few(4, dtype, y, x, m, panel);
    }
}

static void codes_few_rows(float *y, const struct word_rows *x, int n_rows, const struct matrix *m,
                           size_t panel, size_t end)
{
#define FEW(type) codes_few_type(type, y, x, n_rows, m, panel, end)
    CODES_BY_TYPE(m->dtype, FEW)
#undef FEW
}

static void vector_few(float *y, const struct word_rows *x, int n_rows, const struct matrix *matrix,
                       size_t panel, size_t end)
{
#define ROWS(type)                                                                                 \
    {                                                                                              \
        NULL, few_##type##_1, few_##type##_2, few_##type##_3, few_##type##_4                       \
    }
    static few_function *const functions[DTYPE_COUNT][WORD_FEW_ROWS + 1] = {
        [DTYPE_Q4_1] = ROWS(Q4_1), [DTYPE_Q4_0] = ROWS(Q4_0), [DTYPE_Q8_0] = ROWS(Q8_0)};
#undef ROWS
    const size_t groups = word_groups(matrix->cols);

    if (matrix->dtype == DTYPE_NF4) {
        nf4_few_rows(y, x, n_rows, matrix, panel, end);
        return;
    }
    if (cpu_codes_are(matrix->dtype)) {
        codes_few_rows(y, x, n_rows, matrix, panel, end);
        return;
    }
    for (; panel < end; panel++) {
        const size_t left = matrix->rows - panel * PANEL_ROWS;

        functions[matrix->dtype][n_rows](
            y + panel * PANEL_ROWS, matrix->rows, left < PANEL_ROWS ? left : PANEL_ROWS, x,
            cpu_matrix_at(matrix, panel, 0), matrix->scales + panel * groups * PANEL_ROWS,
            matrix->cols / QUANT_BLOCK);
    }
}

#endif /* __AVX2__ */
#endif
