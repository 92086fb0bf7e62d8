/* What the files of training share. Its products are made of the tiles of floats that linear layers
 * have on every set (cpu_kernels.h): one side is packed into panels of 16 columns in scratch, an
 * output's sum runs in the order of its operands, whatever is beside it. */
#ifndef CPU_CPU_GRADIENT_H
#define CPU_CPU_GRADIENT_H

#include "cpu/cpu_device.h"

/* Operands whose sum is taken at a time: sums of more go on from y's floats. */
enum { GRADIENT_CHUNK = 256 };

/* y[r][c] (go_on: +)= sum over k of x[r][k] * w[k][c], for any number of rows and columns, n_k >=
 * 1. w: panels [n_k][16], w_stride from one to the next, aligned to 64. */
void cpu_gradient_multiply(const struct cpu_kernels *kernels, float *y, size_t y_stride,
                           size_t n_cols, const float *x, size_t x_stride, size_t n_rows,
                           const float *w, size_t w_stride, size_t n_k, bool go_on);

/* Panels of w[k][c] = x[k][c], [n_k][n_cols]; zeros fill up the last. */
void cpu_gradient_pack(float *w, size_t w_stride, const float *x, size_t x_stride, size_t n_k,
                       size_t n_cols);
/* Panels of w[k][c] = x[c][k], x: [n_cols][n_k]. */
void cpu_gradient_pack_transposed(const struct cpu_kernels *kernels, float *w, size_t w_stride,
                                  const float *x, size_t x_stride, size_t n_k, size_t n_cols);

/* Floats of a thread's scratch, and what the device has for all threads. */
size_t cpu_gradient_linear_scratch(void);
size_t cpu_gradient_lora_scratch(void);
size_t cpu_gradient_attention_scratch(size_t n_rows);
size_t cpu_gradient_lora_panels(size_t widest, size_t rank);
size_t cpu_gradient_lora_rows(size_t n_rows, size_t rank);

/* The operations, by the file they are in; see compute/gradients.h. */
void cpu_gradient_linear(struct device *d, float *dx, const float *dy, const struct matrix *matrix,
                         int n, bool add);

void cpu_lora(struct device *d, float *y, float *u, const float *x, const struct lora_linear *lora,
              const struct train_batch *batch);
void cpu_lora_backward(struct device *d, float *dx, const float *dy, const float *u, const float *x,
                       const struct lora_linear *lora, const struct train_batch *batch);

void cpu_train_attention(struct device *d, float *out, float *lse, const float *q, const float *k,
                         const float *v, const struct train_attention *shape,
                         const struct train_batch *batch);
void cpu_train_attention_backward(struct device *d, float *dq, float *dk, float *dv,
                                  const float *dy, const float *out, const float *lse,
                                  const float *q, const float *k, const float *v,
                                  const struct train_attention *shape,
                                  const struct train_batch *batch);

static inline size_t gradient_least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t gradient_padded(size_t n)
{
    return (n + PANEL_ROWS - 1) / PANEL_ROWS * PANEL_ROWS;
}

#endif
