/* The operations that a model is computed with, as a table a device type fills.
 *
 * Tensors are float, row-major, [rows][columns], in the device's memory (alloc, upload); ids,
 * positions and batches lie in host memory. Operations return nothing: the device keeps its first
 * error, and finish() after a forward pass reports it. Until then results are undefined, never out
 * of bounds. A device serves one caller at a time.
 *
 * One result: each output element is a function of its own row (and, in attention, of its own
 * sequence): its sums run in one order, whatever else is in the batch and however many threads.
 * How precise linear layers and attention are, is the device's: the CPU's sets avx2-madd and
 * avx512-vnni round to 16 bits.
 */
#ifndef COMPUTE_BACKEND_H
#define COMPUTE_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/dtype.h"
#include "base/nf4.h"
#include "base/status.h"
#include "compute/batch.h"
#include "compute/gradients.h"

struct device;
struct matrix;
struct kv_cache;

enum { BACKEND_ABI = 1 };

/* What the codes of NF4 stand for: y = values[code] * absmax[element / block], rounded to
 * rounds_to. Blocks run over all elements, row by row. */
struct nf4_meaning {
    size_t block;            /* a power of two, 32 or more */
    const float *absmax;     /* [ceil(rows * cols / block)] finite, >= 0 */
    float values[NF4_CODES]; /* within [-1, 1] */
    enum dtype rounds_to;    /* DTYPE_F32, DTYPE_F16 or DTYPE_BF16 */
};

/* Weights as a file has them: `rows` rows of `cols` elements. Belongs to the file. */
struct tensor_view {
    enum dtype dtype;              /* not DTYPE_NONE */
    size_t rows, cols;             /* cols a multiple of the dtype's block */
    const uint8_t *data;           /* any alignment, little-endian */
    size_t size;                   /* bytes; checked against the shape */
    const struct nf4_meaning *nf4; /* DTYPE_NF4's; NULL for others */
};

/* What an adapter adds to some rows of a linear layer: y += scale * B (A x), never rounded to fewer
 * bits than the layer itself. */
struct linear_addition {
    const struct matrix *a; /* [rank][cols], cols of the layer; of either upload */
    const struct matrix *b; /* [rows][rank], rows of the layer; not of upload_linear */
    float scale;
    int first_row, n_rows; /* of x and y; n_rows >= 1 */
};

/* One of several linear layers that read the same x: y = x W^T + bias + additions. */
struct linear_call {
    float *y; /* [n][rows] (not x) */
    const struct matrix *matrix;
    const float *bias;                       /* [rows] or NULL */
    const struct linear_addition *additions; /* [n_additions], their rows ascend, none twice */
    int n_additions;
};
enum { BACKEND_MAX_LINEARS = 3 };

struct device_options {
    int n_threads; /* >= 1 */
};

struct backend {
    int abi; /* BACKEND_ABI of the table's maker */
    const char *name;

    /* NULL and a status when the device cannot be used. */
    struct device *(*open)(const struct device_options *options, struct status *status);
    void (*close)(struct device *d); /* NULL allowed; after all that was made on it is freed */
    /* For people: "avx2, 2 threads". Belongs to the device. */
    const char *(*describe)(const struct device *d);

    /* Weights of an embedding, of a linear layer, or of both, kept in the file's own precision. Row
     * i of the matrix is the file's row row_order[i] (NULL: i). The view may go away afterwards.
     * STATUS_CONFIG: a wrong size; STATUS_MEMORY: with the number of bytes. */
    struct matrix *(*upload)(struct device *d, const struct tensor_view *view,
                             const int32_t *row_order, struct status *status);
    /* The same for a linear layer alone: kept as the device multiplies it, where that is faster,
     * and never to be given to embed(). The layer's results are the same bits. */
    struct matrix *(*upload_linear)(struct device *d, const struct tensor_view *view,
                                    const int32_t *row_order, struct status *status);
    /* Bytes that upload, or upload_linear, keeps of such a view, whose data is not looked at. */
    size_t (*matrix_size)(const struct device *d, const struct tensor_view *view, bool is_linear);
    /* Bytes that the device takes for itself to pass n rows through linear layers of at most `cols`
     * columns. */
    size_t (*scratch_size)(const struct device *d, int n, int cols);
    void (*free_matrix)(struct device *d, struct matrix *matrix); /* NULL allowed */
    /* Norm weights and biases: all elements of the view as floats; element i is the file's
     * row_order[i] (NULL: i). The caller frees it by free(). */
    float *(*upload_vector)(struct device *d, const struct tensor_view *view,
                            const int32_t *row_order, struct status *status);

    /* n zeroed floats; NULL and STATUS_MEMORY with the number of bytes when there are none. */
    float *(*alloc)(struct device *d, size_t n, struct status *status);
    void (*free)(struct device *d, float *floats); /* NULL allowed */
    void (*to_host)(struct device *d, float *host, const float *x, size_t n);
    /* The same n floats in host memory, without a copy where the device has it; valid until the
     * device writes x again or frees it, or is asked again. After finish(). */
    const float *(*host_view)(struct device *d, const float *x, size_t n);

    /* y[i] = row ids[i] of the matrix; ids in [0, rows). y: [n][cols] */
    void (*embed)(struct device *d, float *y, const struct matrix *matrix, const int32_t *ids,
                  int n);
    /* y = x / sqrt(mean(x^2) + eps) * weight. x, y: [n][dim], may be one; weight: [dim] */
    void (*rmsnorm)(struct device *d, float *y, const float *x, const float *weight, int n, int dim,
                    float eps);
    /* y = (x - mean) / sqrt(variance + eps) * weight + bias. x, y: [n][dim], may be one */
    void (*layernorm)(struct device *d, float *y, const float *x, const float *weight,
                      const float *bias, int n, int dim, float eps);
    /* y = x W^T + bias. x: [n][cols], y: [n][rows] (not x), bias: [rows] or NULL */
    void (*linear)(struct device *d, float *y, const float *x, const struct matrix *matrix,
                   const float *bias, int n);
    /* 1 to BACKEND_MAX_LINEARS of them at once, with the same results. x: [n][cols] of all */
    void (*linears)(struct device *d, const struct linear_call *linears, int n_linears,
                    const float *x, int n);
    /* y += x */
    void (*add)(struct device *d, float *y, const float *x, size_t count);
    /* y = gate * sigmoid(gate) * up; y may be gate or up */
    void (*silu_mul)(struct device *d, float *y, const float *gate, const float *up, size_t count);
    /* y = y / 2 * (1 + erf(y / sqrt(2))), the exact form (BERT's "gelu") */
    void (*gelu)(struct device *d, float *y, size_t count);
    /* y = y / 2 * (1 + tanh(sqrt(2 / pi) * (y + 0.044715 y^3))), its approximation */
    void (*gelu_tanh)(struct device *d, float *y, size_t count);
    /* y = max(y, 0) */
    void (*relu)(struct device *d, float *y, size_t count);
    void (*tanh)(struct device *d, float *y, size_t count);
    /* Rotates pairs (i, i + head_dim / 2) of each head by the angle positions[row] * inv_freq[i],
     * rounded to float. x: [n][n_heads][head_dim], head_dim even; inv_freq: [head_dim / 2] in host
     * memory */
    void (*rope)(struct device *d, float *x, const int32_t *positions, int n, int n_heads,
                 int head_dim, const float *inv_freq);
    /* Size of what one kv head of one layer takes in a block of the KV cache, in floats: keys and
     * values of KV_BLOCK_TOKENS tokens, laid out and rounded as this device likes. head_dim is in
     * [1, KV_MAX_HEAD_DIM]. */
    size_t (*kv_head_floats)(const struct device *d, int head_dim);
    /* Writes k and v, [batch->n_rows][n_kv_heads * head_dim], where the batch's segments say; the
     * slots have grown over them. */
    void (*kv_append)(struct device *d, struct kv_cache *kv, int layer, const float *k,
                      const float *v, const struct batch *batch);
    /* out = softmax(q K^T / sqrt(head_dim)) V, head h reading kv head h * n_kv_heads / n_heads.
     * Causal: a row sees its slot's tokens up to its own position, of them the last `window` (0:
     * all); else all of its segment's and what is before it (and window is 0).
     * q, out: [batch->n_rows][n_heads * head_dim], not one */
    void (*attention)(struct device *d, float *out, const float *q, const struct kv_cache *kv,
                      int layer, const struct batch *batch, int n_heads, bool causal, int window);
    /* y[i] = x[rows[i]]. y: [n][dim] */
    void (*gather_rows)(struct device *d, float *y, const float *x, const int32_t *rows, int n,
                        int dim);
    /* y[i] = log(sum of exp(row i of x)), summed in double: the log-probability of an element is
     * itself less this. NaN where an element is NaN or +infinity, or all are -infinity.
     * x: [n][dim], dim >= 1; y: [n] in host memory, read after finish() */
    void (*log_sum_exp)(struct device *d, double *y, const float *x, int n, int dim);

    /* What training needs beside these; NULL: the device cannot train. */
    const struct gradient_ops *gradients;

    /* Waits for all operations; false with the first error since the last finish. */
    bool (*finish)(struct device *d, struct status *status);
};

extern const struct backend backend_cpu;

/* The table of that name ("cpu"); NULL and STATUS_DEVICE when there is none. */
const struct backend *backend_find(const char *name, struct status *status) MUST_CHECK;

#endif
