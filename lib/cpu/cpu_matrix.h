/* Weights as the CPU reads them: panels of 16 rows side by side, so that one load serves 16 outputs
 * and no sum ever crosses lanes.
 *
 * A panel holds the bytes of its 16 rows as the file has them, in another order (k: column):
 *   F32        float [cols][16]
 *   F16, BF16  uint16 [cols][16]
 *   Q8_0       per 32 columns: f16 d[16]; int8 q[8][16][4]
 *   Q4_0       per 32 columns: f16 d[16]; uint8 q[4][16][4]
 *   NF4        per 32 columns: uint8 q[4][16][4]
 *   Q4_1       per 32 columns: f16 d[16]; f16 m[16]; uint8 q[4][16][4]
 *   Q5_0, Q5_1, IQ4_NL, Q2_K to Q6_K: cpu_codes.h
 * Four bytes of a row are a word whose lower half holds the even columns, the first in its lowest
 * bits, and its upper half the odd ones: shifts and masks give pairs of 16-bit numbers as well as
 * single ones. Rows that fill up the last panel are zero.
 */
#ifndef CPU_CPU_MATRIX_H
#define CPU_CPU_MATRIX_H

#include <stddef.h>
#include <stdint.h>

#include "base/dtype.h"
#include "base/status.h"
#include "base/thread_pool.h"
#include "compute/backend.h"

enum { PANEL_ROWS = 16, QUANT_BLOCK = 32 };

/* What NF4's codes stand for in a matrix. A run of columns shares an absmax: a block, or what of
 * it always lies in one row. */
struct matrix_nf4 {
    size_t run;    /* columns; a power of two, 32 or more, that divides cols */
    float *absmax; /* [n_panels][cols / run][16] ours; NULL where the words' scales say it */
    float values[NF4_CODES];
    int16_t words[NF4_CODES]; /* values * NF4_WORDS, rounded */
    enum dtype rounds_to;
};
/* A code of 1 as a 16-bit number: the most for which 64 of them have a norm below WORD_NORM. */
#define NF4_WORDS 5775.0f

struct matrix {
    enum dtype dtype;
    size_t rows, cols;
    size_t n_panels;
    size_t panel_size;    /* bytes; a multiple of 32 */
    uint8_t *data;        /* [n_panels][panel_size], ours, aligned to 64 */
    float *scales;        /* see cpu_words.h, [n_panels][groups][16]; NULL for sets without words */
    uint8_t *scale_bytes; /* instead of scales, the same shape: of codes, see cpu_words.h */
    struct matrix_nf4 nf4;
    int32_t *pairs; /* [n_panels][ceil(cols / 2)][16], instead of data: see cpu_words_keep */
};

/* Packs a view, the pool's threads sharing the panels; row i is the view's row row_order[i] (NULL:
 * i). NULL and STATUS_CONFIG for a view whose size or order is wrong, STATUS_MEMORY with the number
 * of bytes. */
struct matrix *cpu_matrix_pack(const struct tensor_view *view, const int32_t *row_order,
                               struct thread_pool *pool, struct status *status) MUST_CHECK;
void cpu_matrix_free(struct matrix *matrix); /* NULL allowed */

/* STATUS_CONFIG unless the view's size is that of its shape. */
bool cpu_matrix_check_view(const struct tensor_view *view, struct status *status) MUST_CHECK;

/* STATUS_CONFIG unless row_order (NULL: fine) names n of the n rows. */
bool cpu_matrix_check_order(const int32_t *row_order, size_t n, struct status *status) MUST_CHECK;

/* Bytes of a panel of such rows. */
size_t cpu_matrix_panel_size(enum dtype dtype, size_t cols);

/* Where columns from `first` on, a multiple of the block, lie in a panel; not of codes. */
static inline const uint8_t *cpu_matrix_at(const struct matrix *m, size_t panel, size_t first)
{
    return m->data + panel * m->panel_size +
           first / dtype_block_elements(m->dtype) * dtype_block_bytes(m->dtype) * PANEL_ROWS;
}

/* Where the absmax of an NF4 panel's columns from `first` on are, sixteen side by side. */
static inline const float *cpu_matrix_absmax(const struct matrix *m, size_t panel, size_t first)
{
    return m->nf4.absmax + (panel * (m->cols / m->nf4.run) + first / m->nf4.run) * PANEL_ROWS;
}

/* Columns [first, first + n) of one row of a panel as floats, y_stride apart; first a multiple of
 * the block. The value is the one that the type's definition gives: each operation rounds. */
void cpu_matrix_row(const struct matrix *matrix, size_t row, size_t first, size_t n, float *y,
                    size_t y_stride);

#endif
