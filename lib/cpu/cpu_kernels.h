/* The inner loops of the CPU, one table a set of instructions. The rest of cpu/ is plain C over
 * them. The scalar set accumulates in double and is what the others are held against.
 *
 * Each output element is a function of its own operands alone: elementwise loops compute a tail
 * with the operations of the body, sums have one order.
 */
#ifndef CPU_CPU_KERNELS_H
#define CPU_CPU_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "cpu/cpu_gradient_kernels.h"
#include "cpu/cpu_matrix.h"
#include "cpu/cpu_words.h"

enum { MAX_TILE_ROWS = 12 };

struct cpu_kernels {
    const char *name;
    /* Columns of a panel that are expanded and multiplied at a time, a multiple of QUANT_BLOCK;
     * sums of several chunks go on from y's floats. SIZE_MAX: all of them. */
    size_t chunk;
    /* Sums are wider than the floats they are stored in: where one is cut shows in its bits. */
    bool sums_in_double;

    /* w[k][16] = columns [first, first + n) of a panel as floats; first a multiple of QUANT_BLOCK,
     * n as well or up to the last column. w is aligned to 64. Never asked for F32. */
    void (*expand)(float *w, const struct matrix *matrix, size_t panel, size_t first, size_t n);

    /* y[r][c] (go_on: +)= sum over k of x[r][k] * w[k][c], k ascending, one rounding a step.
     * 1 <= n_rows <= tile_rows, 1 <= n_cols <= 16 * tile_panels; w[n_k][16] aligned to 64, the
     * next panel's (for n_cols > 16) w_stride floats later. */
    int tile_rows, tile_panels; /* tile_rows <= MAX_TILE_ROWS */
    void (*tile)(float *y, size_t y_stride, int n_cols, const float *x, size_t x_stride, int n_rows,
                 const float *w, size_t w_stride, size_t n_k, bool go_on);

    /* For up to few_rows rows (0: none), instead of the two above and with the same bits: y = x W^T
     * for the outputs of panels [panel, end), x [n_rows][cols], y [n_rows][rows]. Not for F32. */
    int few_rows;
    void (*few)(float *y, const float *x, int n_rows, const struct matrix *matrix, size_t panel,
                size_t end);

    /* Not NULL: linear layers and attention round to 16 bits and take their products from here. */
    const struct cpu_words *words;

    /* One row; y may be x. */
    void (*rmsnorm)(float *y, const float *x, const float *weight, size_t dim, float eps);
    void (*layernorm)(float *y, const float *x, const float *weight, const float *bias, size_t dim,
                      float eps);

    /* Elementwise, as compute/backend.h defines them. */
    void (*add)(float *y, const float *x, size_t n);
    void (*silu_mul)(float *y, const float *gate, const float *up, size_t n);
    void (*gelu)(float *y, size_t n);
    void (*scale)(float *y, const float *x, float factor, size_t n);

    /* One head: (a, b) -> (a cos - b sin, b cos + a sin), a = x[i], b = x[half + i]. */
    void (*rope)(float *x, const float *cosine, const float *sine, size_t half);

    /* A softmax that runs over blocks of KV_BLOCK_TOKENS products. The n_seen >= 1 scores (of any
     * alignment; nothing is read or written behind them) become weights exp(score * factor - max),
     * max and sum go on from those of the blocks before (-INFINITY and 0 at the first). Returns
     * what sums of older blocks are to be multiplied by. */
    float (*softmax_block)(float *scores, int n_seen, float factor, float *max, float *sum);

    /* The two of attention that only sets with words need (else NULL), see cpu_attention_words.c.
     * A head's values: q = x / scale rounded, at most VALUE_MOST; returns the scale, NaN unless all
     * are finite. */
    float (*round_values)(int16_t *q, const float *x, size_t n);
    /* 1 <= n_rows <= MAX_TILE_ROWS of a softmax over blocks, see there. */
    void (*softmax_words)(const struct word_softmax *softmax, int n_rows);

    /* As compute/backend.h defines it, of one row of n >= 1. */
    double (*log_sum_exp)(const float *x, size_t n);

    const struct cpu_gradient_kernels *gradient; /* what training needs beside these */
};

extern const struct cpu_kernels cpu_kernels_scalar;
extern const struct cpu_gradient_kernels cpu_gradient_scalar;
#if defined(__x86_64__)
extern const struct cpu_kernels cpu_kernels_avx2;
extern const struct cpu_kernels cpu_kernels_avx2_madd;
extern const struct cpu_kernels cpu_kernels_avx512;
extern const struct cpu_kernels cpu_kernels_avx512_vnni;
#endif

/* The fastest set that this CPU has, or the one named (NULL or "": none named). NULL and
 * STATUS_CONFIG when there is no such set, or this CPU lacks it. */
const struct cpu_kernels *cpu_kernels_pick(const char *name, struct status *status) MUST_CHECK;

/* All sets, fastest first, NULL behind the last: for tests and bench. supported: on this CPU. */
struct cpu_kernel_set {
    const struct cpu_kernels *kernels;
    bool (*supported)(void);
};
extern const struct cpu_kernel_set cpu_kernel_sets[];

#endif
