/* The inner loops of training, one table a set of instructions: what cpu_kernels.h has no use for
 * otherwise. The same holds for them: sums have one order, tails are computed as bodies are. */
#ifndef CPU_CPU_GRADIENT_KERNELS_H
#define CPU_CPU_GRADIENT_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Queries that attention takes at a time: they lie side by side. */
enum { ATTENTION_QUERIES = 32 };

/* Which elements of a row are dropped. The row's columns come in groups of DROP_GROUP; column c of
 * group g takes its 16 bits from block (g * 16 + c % 16, position, module, 0) under the key: half
 * c / 16 % 2 (0: the low one) of word c / 32. An element is dropped if they are below drop_below.
 */
enum { DROP_GROUP = 128 };
struct drop_row {
    uint64_t key;
    uint32_t position, module, drop_below;
    float scale; /* of what is kept */
};

struct cpu_gradient_kernels {
    /* Sixteen rows of sixteen, transposed: y[c][r] = x[r][c]. */
    void (*transpose)(float *y, size_t y_stride, const float *x, size_t x_stride);

    /* For sets with words (else NULL): the floats that pairs of n columns of one group stand for,
     * w[n][16], rounded up to whole pairs. */
    void (*widen)(float *w, const int32_t *pairs, const float *scales, size_t n);

    /* y (add: +)= drop(x), of columns [first, first + n) of a row; first a multiple of DROP_GROUP.
     * x and y point at column `first`. */
    void (*drop)(float *y, const float *x, const struct drop_row *row, size_t first, size_t n,
                 bool add);

    /* One row, as compute/gradients.h defines them. */
    void (*rmsnorm)(float *dx, const float *dy, const float *x, const float *weight, size_t dim,
                    float eps);
    void (*silu_mul)(float *gate, float *up, const float *dy, size_t n);
    void (*rope)(float *x, const float *cosine, const float *sine, size_t half);

    /* Columns of scores, [n][ATTENTION_QUERIES], n >= 1: each becomes weights that sum up to 1,
     * exp(score * factor - lse); lse: [ATTENTION_QUERIES]. A score of -INFINITY gets 0. */
    void (*softmax)(float *scores, size_t n, float factor, float *lse);
    /* Scores become those weights w again, and their gradients become the scores' own:
     * w * (dw - inner) * factor, inner: of each column the sum of w dw. */
    void (*softmax_backward)(float *scores, float *dw, size_t n, float factor, const float *lse,
                             const float *inner);

    /* y = exp(x - lse) * weight; y may be x */
    void (*exp_less)(float *y, const float *x, float lse, float weight, size_t n);
    /* The sum of a[i] * b[i] */
    float (*dot)(const float *a, const float *b, size_t n);
};

#endif
