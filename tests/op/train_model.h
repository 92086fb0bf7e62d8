/* Small random decoders without files, rows for them, and an adapter that is not zero: for the
 * tests of training, on any device and with any width of float. */
#ifndef OP_TRAIN_MODEL_H
#define OP_TRAIN_MODEL_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/float16.h"
#include "base/memory.h"
#include "base/nf4.h"
#include "base/rng.h"
#include "compute/backend.h"
#include "model/model.h"
#include "train/lora.h"
#include "train/train_pass.h"

struct train_shape {
    const char *name;
    struct model_config config; /* sizes, norm_eps, window, tied_embeddings, biases */
    enum dtype dtype;           /* of linear layers: F32, F16, Q8_0 or NF4 */
    double slowed;              /* rope's frequencies are divided by 1 to this */
    bool expanded;              /* NF4's values as F32 */
};

#define TRAIN_ALL ((1u << LORA_TARGETS) - 1)
#define TRAIN_QKVO 15u

/* Every architecture variant that is computed. Sizes are no multiples of tiles and panels where
 * they need not be. */
static const struct train_shape train_shapes[] = {
    {.name = "llama, tied",
     .config = {.dim = 40,
                .n_layers = 2,
                .n_heads = 4,
                .n_kv_heads = 2,
                .head_dim = 10,
                .ffn_dim = 52,
                .vocab_size = 61,
                .norm_eps = 1e-5f,
                .tied_embeddings = true},
     .dtype = DTYPE_F16,
     .slowed = 1},
    {.name = "mistral, window, heads beside dim",
     .config = {.dim = 48,
                .n_layers = 3,
                .n_heads = 3,
                .n_kv_heads = 1,
                .head_dim = 20,
                .ffn_dim = 36,
                .vocab_size = 75,
                .norm_eps = 1e-5f,
                .sliding_window = 9},
     .dtype = DTYPE_F16,
     .slowed = 1},
    {.name = "biases, scaled positions",
     .config = {.dim = 32,
                .n_layers = 2,
                .n_heads = 4,
                .n_kv_heads = 4,
                .head_dim = 8,
                .ffn_dim = 40,
                .vocab_size = 50,
                .norm_eps = 1e-6f,
                .attention_bias = true,
                .mlp_bias = true},
     .dtype = DTYPE_F16,
     .slowed = 8},
    {.name = "blocks of 8 bits",
     .config = {.dim = 64,
                .n_layers = 2,
                .n_heads = 2,
                .n_kv_heads = 1,
                .head_dim = 32,
                .ffn_dim = 96,
                .vocab_size = 70,
                .norm_eps = 1e-5f},
     .dtype = DTYPE_Q8_0,
     .slowed = 1},
};
enum { TRAIN_N_SHAPES = sizeof(train_shapes) / sizeof(train_shapes[0]) };

static inline void train_need(bool ok, const char *what, const struct status *status)
{
    if (!ok) {
        printf("Bail out! %s: %s\n", what, status->message);
        exit(1);
    }
}

static inline double train_draw(uint64_t key, size_t i, double width)
{
    return (2 * rng_uniform(key, i, 7) - 1) * width;
}

/* One value of a file's type. */
static inline void train_put(uint8_t *at, enum dtype dtype, double value)
{
    if (dtype == DTYPE_F32) {
        const float32 f = (float32)value;

        memcpy(at, &f, sizeof(f));
    } else {
        const uint16_t h = float_to_f16((float)value);

        memcpy(at, &h, sizeof(h));
    }
}

/* Blocks of 32 with one scale. */
static inline void train_put_q8_0(uint8_t *at, uint64_t key, size_t first, double width)
{
    const uint16_t d = float_to_f16((float)(width / 127));

    memcpy(at, &d, sizeof(d));
    for (size_t i = 0; i < 32; i++)
        at[2 + i] = (uint8_t)(int8_t)lrint(train_draw(key, first + i, 127));
}

/* Embeddings are never of 4 bits. */
static inline enum dtype train_table_type(const struct train_shape *shape)
{
    return shape->dtype == DTYPE_NF4 ? DTYPE_F32 : shape->dtype;
}

/* Codes and absmax of n values; expanded: what they stand for goes into values as well. */
static inline void train_quantise(uint8_t *codes, float *absmax, float *values, size_t n,
                                  bool expanded)
{
    nf4_quantise(codes, absmax, values, n, NF4_BLOCK);
    for (size_t i = 0; expanded && i < n; i++)
        values[i] =
            nf4_codes[(unsigned)codes[i / 2] >> (i % 2 ? 0 : 4) & 15u] * absmax[i / NF4_BLOCK];
}

/* rows x cols values within +-width, uploaded, and forgotten. */
static inline struct matrix *train_matrix(const struct model *m, const struct train_shape *shape,
                                          int rows, int cols, uint64_t key, double width,
                                          bool linear)
{
    const bool expanded = shape->expanded;
    const enum dtype dtype = linear ? shape->dtype : train_table_type(shape);
    const size_t n = (size_t)rows * (size_t)cols, block = dtype_block_elements(dtype);
    const size_t bytes = dtype_block_bytes(dtype);
    struct tensor_view view = {dtype, (size_t)rows, (size_t)cols, NULL, n / block * bytes, NULL};
    uint8_t *data = memory_zeroed(view.size, 1);
    struct nf4_meaning nf4 = {.block = NF4_BLOCK, .rounds_to = DTYPE_F32};
    float *absmax = memory_zeroed(n / NF4_BLOCK + 1, sizeof(*absmax));
    float *values = memory_zeroed(n, sizeof(*values));
    struct status status = {0};
    struct matrix *matrix;

    for (size_t i = 0; i < n; i += block) {
        if (dtype == DTYPE_Q8_0)
            train_put_q8_0(data + i / block * bytes, key, i, width);
        else if (dtype != DTYPE_NF4)
            train_put(data + i * bytes, dtype, train_draw(key, i, width));
    }
    view.data = data;
    if (dtype == DTYPE_NF4) {
        for (size_t i = 0; i < n; i++)
            values[i] = (float)train_draw(key, i, width);
        train_quantise(data, absmax, values, n, expanded);
        memcpy(nf4.values, nf4_codes, sizeof(nf4.values));
        nf4.absmax = absmax;
        view.nf4 = &nf4;
        if (expanded)
            view = (struct tensor_view){DTYPE_F32,         view.rows,           view.cols,
                                        (uint8_t *)values, n * sizeof(*values), NULL};
    }
    matrix =
        (linear ? m->backend->upload_linear : m->backend->upload)(m->device, &view, NULL, &status);
    train_need(matrix != NULL, "matrix", &status);
    free(data);
    free(absmax);
    free(values);
    return matrix;
}

static inline float *train_vector(const struct model *m, int n, uint64_t key, double width,
                                  double offset)
{
    const struct tensor_view view = {DTYPE_F16, 1, (size_t)n, NULL, (size_t)n * 2, NULL};
    struct tensor_view filled = view;
    uint8_t *data = memory_zeroed(view.size, 1);
    struct status status = {0};
    float *vector;

    for (size_t i = 0; i < (size_t)n; i++)
        train_put(data + 2 * i, DTYPE_F16, offset + train_draw(key, i, width));
    filled.data = data;
    vector = m->backend->upload_vector(m->device, &filled, NULL, &status);
    train_need(vector != NULL, "vector", &status);
    free(data);
    return vector;
}

static inline struct affine train_affine(const struct model *m, const struct train_shape *shape,
                                         int rows, int cols, uint64_t key, double gain, bool bias)
{
    const double width = gain * sqrt(3.0 / cols);

    return (struct affine){train_matrix(m, shape, rows, cols, key, width, true),
                           bias ? train_vector(m, rows, key + 500, 0.5, 0) : NULL};
}

/* A model of that shape on an open device. Attention is peaked and updates are as large as the
 * stream, so that wrong masks, rotations or scales show. */
static inline void train_model_make(struct model *m, const struct train_shape *shape,
                                    const struct backend *backend, struct device *device)
{
    const struct model_config *c = &shape->config;
    const int q_dim = c->n_heads * c->head_dim, kv_dim = c->n_kv_heads * c->head_dim;
    const bool att = c->attention_bias, mlp = c->mlp_bias;

    *m = (struct model){.backend = backend, .device = device, .config = *c};
    m->inv_freq = memory_zeroed((size_t)c->head_dim / 2, sizeof(*m->inv_freq));
    for (int i = 0; i < c->head_dim / 2; i++)
        m->inv_freq[i] = (float)(pow(10000, -2.0 * i / c->head_dim) /
                                 (1 + (shape->slowed - 1) * 2 * i / c->head_dim));
    m->weights.embed_tokens = train_matrix(m, shape, c->vocab_size, c->dim, 1, 1, false);
    m->weights.layers = memory_zeroed((size_t)c->n_layers, sizeof(*m->weights.layers));
    for (int i = 0; i < c->n_layers; i++) {
        const uint64_t key = 1000 * ((uint64_t)i + 1);

        m->weights.layers[i] = (struct llama_layer){
            .input_layernorm = {train_vector(m, c->dim, key, 0.5, 1), NULL},
            .q_proj = train_affine(m, shape, q_dim, c->dim, key + 1, 1.5, att),
            .k_proj = train_affine(m, shape, kv_dim, c->dim, key + 2, 1.5, att),
            .v_proj = train_affine(m, shape, kv_dim, c->dim, key + 3, 1, att),
            .o_proj = train_affine(m, shape, c->dim, q_dim, key + 4, 1, att),
            .post_attention_layernorm = {train_vector(m, c->dim, key + 5, 0.5, 1), NULL},
            .gate_proj = train_affine(m, shape, c->ffn_dim, c->dim, key + 6, 1.5, mlp),
            .up_proj = train_affine(m, shape, c->ffn_dim, c->dim, key + 7, 1, mlp),
            .down_proj = train_affine(m, shape, c->dim, c->ffn_dim, key + 8, 1, mlp),
        };
    }
    m->weights.norm.weight = train_vector(m, c->dim, 2, 0.5, 1);
    m->weights.lm_head = c->tied_embeddings ? m->weights.embed_tokens
                                            : train_matrix(m, shape, c->vocab_size, c->dim, 3,
                                                           2 * sqrt(3.0 / c->dim), false);
}

static inline void train_affine_free(const struct model *m, const struct affine *a)
{
    m->backend->free_matrix(m->device, a->weight);
    m->backend->free(m->device, a->bias);
}

static inline void train_model_free(struct model *m)
{
    for (int i = 0; i < m->config.n_layers; i++) {
        const struct llama_layer *w = &m->weights.layers[i];
        const struct affine *const all[] = {&w->q_proj,    &w->k_proj,  &w->v_proj,   &w->o_proj,
                                            &w->gate_proj, &w->up_proj, &w->down_proj};

        for (size_t j = 0; j < sizeof(all) / sizeof(all[0]); j++)
            train_affine_free(m, all[j]);
        m->backend->free(m->device, w->input_layernorm.weight);
        m->backend->free(m->device, w->post_attention_layernorm.weight);
    }
    if (m->weights.lm_head != m->weights.embed_tokens)
        m->backend->free_matrix(m->device, m->weights.lm_head);
    m->backend->free_matrix(m->device, m->weights.embed_tokens);
    m->backend->free(m->device, m->weights.norm.weight);
    free(m->weights.layers);
    free(m->inv_freq);
}

/* Parameters as after some steps: B is not zero. */
static inline struct lora *train_lora(const struct model_config *c,
                                      const struct lora_options *options)
{
    struct status status = {0};
    struct lora *lora = lora_open(c, options, 42, &status);

    train_need(lora != NULL, "lora", &status);
    for (int i = 0; i < lora->n_modules; i++) {
        const struct lora_module *m = &lora->modules[i];

        for (size_t j = 0; j < (size_t)m->out * (size_t)options->rank; j++)
            lora->values[m->b + j] = (float)train_draw(77 + (uint64_t)i, j, 0.3);
    }
    return lora;
}

/* Rows of random tokens. Row i has lengths[i] of them; all but the first third are targets. */
enum { TRAIN_MAX_ROWS = 6, TRAIN_MAX_LENGTH = 160 };
struct train_rows {
    struct train_row rows[TRAIN_MAX_ROWS];
    int n;
    int32_t tokens[TRAIN_MAX_ROWS][TRAIN_MAX_LENGTH];
    uint8_t targets[TRAIN_MAX_ROWS][TRAIN_MAX_LENGTH];
};

static inline void train_rows_make(struct train_rows *rows, int vocab_size, const int *lengths,
                                   int n)
{
    rows->n = n;
    for (int i = 0; i < n; i++) {
        for (int t = 0; t < lengths[i]; t++) {
            rows->tokens[i][t] =
                (int32_t)(rng_uniform(9, (uint64_t)(i * TRAIN_MAX_LENGTH + t), 1) * vocab_size);
            rows->targets[i][t] = t > 0 && t >= lengths[i] / 3 && t % 7 != 6;
        }
        rows->rows[i] =
            (struct train_row){rows->tokens[i], lengths[i], rows->targets[i], 1000 + (uint64_t)i};
    }
}

#endif
