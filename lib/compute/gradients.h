/* The operations that a decoder is trained with beside those of compute/backend.h: what a linear
 * layer's adapter adds and its gradients, attention over whole sequences, and the way back.
 *
 * Weights are frozen: gradients go to the inputs of layers, and to the parameters of adapters. What
 * is said of tensors, errors and results in compute/backend.h holds here too; the gradient of a
 * tensor has its shape. `dy` is what came from above, the gradient of an operation's result.
 *
 * One result: gradients of a row are a function of its sequence alone. Those of parameters are sums
 * over all rows, added one by one, in their order, to what is there already: a batch in several
 * parts gives the same bits as in one, as long as its sequences are whole.
 */
#ifndef COMPUTE_GRADIENTS_H
#define COMPUTE_GRADIENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct device;
struct matrix;

/* Neighbouring rows that are one text. */
struct train_sequence {
    int first_row, n_rows; /* n_rows >= 1 */
    uint64_t key;          /* of its dropout */
};

/* All rows of a call: the sequences cover them, in order. */
struct train_batch {
    int n_rows;
    const struct train_sequence *sequences; /* [n_sequences] */
    int n_sequences;
    const int32_t *positions; /* [n_rows] from 0 in each sequence */
};

/* What a linear layer has beside it: y += scale * B (A drop(x)). Parameters and their gradients lie
 * in host memory, A as [rank][in], B as [out][rank]. drop(x) is x / (1 - p), or 0 with probability
 * p = drop_below / 65536, by the 16 bits that Philox (base/rng.h) has for the sequence's key, the
 * module, the position and the column: cpu_gradient.h says where. 0: drop(x) is x. */
struct lora_linear {
    int rank, in, out;
    float scale;
    const float *a, *b;
    float *a_gradient, *b_gradient;
    uint32_t drop_below; /* below 65536 */
    uint32_t module;     /* of all modules of a model: their masks differ */
};

/* How q, k and v are divided. */
struct train_attention {
    int n_heads, n_kv_heads, head_dim;
    int window; /* tokens that a row sees, itself included; 0: all before it */
};

struct gradient_ops {
    /* Scratch for batches of n rows, in linear layers of at most `widest` inputs or outputs and
     * adapters of at most `rank`; before any of the others. */
    bool (*reserve)(struct device *d, int n, int widest, int rank, struct status *status);
    /* Bytes that it takes for n_threads threads. */
    size_t (*reserve_size)(int n_threads, int n, int widest, int rank);

    /* dx = dy W, or dx += dy W. dy: [n][rows], dx: [n][cols] (not dy) */
    void (*linear)(struct device *d, float *dx, const float *dy, const struct matrix *matrix, int n,
                   bool add);

    /* u = scale * A drop(x), and y += B u unless y is NULL. x: [n][in], y: [n][out], u: [n][rank]
     */
    void (*lora)(struct device *d, float *y, float *u, const float *x,
                 const struct lora_linear *lora, const struct train_batch *batch);
    /* Adds to the gradients of A and B, and to dx unless that is NULL. u: what lora() made */
    void (*lora_backward)(struct device *d, float *dx, const float *dy, const float *u,
                          const float *x, const struct lora_linear *lora,
                          const struct train_batch *batch);

    /* dx += the gradient of rmsnorm(x). x, dx, dy: [n][dim] */
    void (*rmsnorm)(struct device *d, float *dx, const float *dy, const float *x,
                    const float *weight, int n, int dim, float eps);
    /* gate and up become their gradients. All: [count] */
    void (*silu_mul)(struct device *d, float *gate, float *up, const float *dy, size_t count);
    /* rope() backwards: dx is rotated by the negative angle */
    void (*rope)(struct device *d, float *dx, const int32_t *positions, int n, int n_heads,
                 int head_dim, const float *inv_freq);

    /* out = softmax(q K^T / sqrt(head_dim)) V, causal, each sequence alone, as attention() of
     * compute/backend.h; of each row and head the logarithm of the sum of exponentials.
     * q, out: [n][n_heads * head_dim], k, v: [n][n_kv_heads * head_dim], lse: [n][n_heads] */
    void (*attention)(struct device *d, float *out, float *lse, const float *q, const float *k,
                      const float *v, const struct train_attention *shape,
                      const struct train_batch *batch);
    /* dq, dk, dv are overwritten; dy: of out */
    void (*attention_backward)(struct device *d, float *dq, float *dk, float *dv, const float *dy,
                               const float *out, const float *lse, const float *q, const float *k,
                               const float *v, const struct train_attention *shape,
                               const struct train_batch *batch);

    /* nll[i] = -log softmax(logits of row i)[targets[i]]; the logits, [n][dim], become the gradient
     * of weight * (the sum of all nll), unless weight is 0: then they stay. nll in host memory,
     * read after finish(). */
    void (*cross_entropy)(struct device *d, double *nll, float *logits, const int32_t *targets,
                          int n, int dim, float weight);
    /* y = 0, then y[rows[i]] = x[i]. y: [n_y][dim], x: [n][dim] */
    void (*scatter_rows)(struct device *d, float *y, int n_y, const float *x, const int32_t *rows,
                         int n, int dim);
};

#endif
