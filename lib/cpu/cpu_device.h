/* The CPU as a device: its threads, its kernel set, and memory for what a step needs on the way.
 *
 * Operations run on the caller's thread and the pool's; all are done when they return, but for
 * those on rows, which the next other operation does: cpu_later.h. Scratch is taken when the device
 * is opened and when a matrix is uploaded, not inside operations; only what depends on the batch
 * (angles, the list of attention's items) grows, to the largest batch seen.
 */
#ifndef CPU_CPU_DEVICE_H
#define CPU_CPU_DEVICE_H

#include "base/status.h"
#include "base/thread_pool.h"
#include "compute/backend.h"
#include "cpu/cpu_kernels.h"
#include "cpu/cpu_later.h"

/* Rope's cosines and sines for the positions of the batch at hand. */
struct cpu_angles {
    int32_t *positions; /* [cap] ours */
    float *inv_freq;    /* [half_cap] ours */
    float *cosine;      /* [cap * half] ours */
    float *sine;
    size_t cap, half_cap, floats_cap;
    int n, half; /* what they were made for; n 0: nothing */
};

/* Memory that grows to the largest batch seen. */
struct cpu_scratch {
    void *memory; /* ours */
    size_t cap;   /* bytes */
};

struct device {
    struct thread_pool *pool;
    const struct cpu_kernels *kernels;
    char description[64];
    float **scratch; /* [threads][scratch_floats], ours, aligned to 64 */
    size_t scratch_floats;
    struct cpu_angles angles;
    size_t *items; /* [items_cap] attention's first item of each segment, ours */
    size_t items_cap;
    struct cpu_scratch pairs, pair_scales; /* the rounded x of a linear layer */
    struct cpu_scratch pair_sums;
    struct cpu_scratch products;        /* A x of a linear layer's additions */
    struct cpu_scratch jobs, additions; /* of cpu_linears */
    struct cpu_scratch lora_panels;     /* A and B of the adapter at hand: cpu_gradient_lora.c */
    struct cpu_scratch lora_rows;       /* and its rows on the way */
    struct cpu_later later;             /* what is put off */
    struct status error;                /* the first since the last finish */
};

/* At least n floats of scratch for each thread. */
bool cpu_device_reserve(struct device *d, size_t n, struct status *status) MUST_CHECK;

/* n things of `size` bytes, aligned to 64; what was in them is lost when they grow. NULL after
 * cpu_device_fail. */
void *cpu_device_scratch(struct device *d, struct cpu_scratch *scratch, size_t n,
                         size_t size) MUST_CHECK;

/* Keeps an error that an operation met, unless there is one already. */
void cpu_device_fail(struct device *d, enum status_code code, const char *message);

/* The operations, by the file they are in. */
void cpu_linears(struct device *d, const struct linear_call *linears, int n_linears, const float *x,
                 int n);
void cpu_linear(struct device *d, float *y, const float *x, const struct matrix *matrix,
                const float *bias, int n);

/* For sets that multiply words: the rows of x, in the device's memory until the next call; false
 * after cpu_device_fail. */
bool cpu_words_round(struct device *d, const float *x, size_t n, size_t cols,
                     struct word_rows *rows) MUST_CHECK;
/* Bytes of n rounded rows. */
size_t cpu_words_round_size(size_t n, size_t cols);
/* Fills in matrix->scales; the device has the scratch of cpu_linear_scratch. */
bool cpu_words_measure(struct device *d, struct matrix *matrix, struct status *status) MUST_CHECK;
/* The scales of a measured matrix's panel, [groups][16], of n columns from `first` on: where they
 * lie, or made of their bytes in scratch. */
const float *cpu_words_scales(const struct cpu_words *words, const struct matrix *m, size_t panel,
                              size_t first, size_t n, float *scratch);
/* Rounds a measured matrix of single numbers (F32, F16, BF16) once and for all: half of F32's
 * bytes, as many as the others have, and nothing to expand. Its rows cannot be looked up
 * afterwards. */
bool cpu_words_keep(struct device *d, struct matrix *matrix, struct status *status) MUST_CHECK;

size_t cpu_kv_head_floats(const struct device *d, int head_dim);
void cpu_kv_append(struct device *d, struct kv_cache *kv, int layer, const float *k, const float *v,
                   const struct batch *batch);
void cpu_attention(struct device *d, float *out, const float *q, const struct kv_cache *kv,
                   int layer, const struct batch *batch, int n_heads, bool causal, int window);

void cpu_embed(struct device *d, float *y, const struct matrix *matrix, const int32_t *ids, int n);
void cpu_rmsnorm(struct device *d, float *y, const float *x, const float *weight, int n, int dim,
                 float eps);
void cpu_layernorm(struct device *d, float *y, const float *x, const float *weight,
                   const float *bias, int n, int dim, float eps);
void cpu_add(struct device *d, float *y, const float *x, size_t count);
void cpu_silu_mul(struct device *d, float *y, const float *gate, const float *up, size_t count);
void cpu_gelu(struct device *d, float *y, size_t count);
void cpu_gelu_tanh(struct device *d, float *y, size_t count);
void cpu_relu(struct device *d, float *y, size_t count);
void cpu_tanh(struct device *d, float *y, size_t count);
void cpu_rope(struct device *d, float *x, const int32_t *positions, int n, int n_heads,
              int head_dim, const float *inv_freq);
void cpu_rope_backward(struct device *d, float *dx, const int32_t *positions, int n, int n_heads,
                       int head_dim, const float *inv_freq);
void cpu_log_sum_exp(struct device *d, double *y, const float *x, int n, int dim);
void cpu_gather_rows(struct device *d, float *y, const float *x, const int32_t *rows, int n,
                     int dim);

/* Training's, over cpu_gradient*.c. */
extern const struct gradient_ops cpu_gradients;

/* Floats of scratch that a thread needs in attention, and in a linear layer of `cols` columns. */
size_t cpu_attention_scratch(void);
size_t cpu_linear_scratch(const struct cpu_kernels *kernels, size_t cols);

#endif
