#include "train/train_buffers.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/memory.h"

enum { ALIGNED_FLOATS = 16 };

/* Divides one piece of memory; without it, measures how much is needed. */
struct division {
    float *floats; /* NULL: measures */
    size_t n;
    bool overflow;
};

static float *take(struct division *d, size_t rows, size_t cols)
{
    float *taken = d->floats ? d->floats + d->n : NULL;
    size_t size;

    if (!checked_mul(rows, cols, &size) || !checked_add(size, ALIGNED_FLOATS - 1, &size) ||
        !checked_add(d->n, size / ALIGNED_FLOATS * ALIGNED_FLOATS, &d->n))
        d->overflow = true;
    return taken;
}

static void take_activations(struct division *d, struct train_activations *a,
                             const struct model_config *c, const struct lora_options *lora,
                             size_t n)
{
    const size_t q_dim = (size_t)c->n_heads * (size_t)c->head_dim;
    const size_t kv_dim = (size_t)c->n_kv_heads * (size_t)c->head_dim;

    a->q = take(d, n, q_dim);
    a->k = take(d, n, kv_dim);
    a->v = take(d, n, kv_dim);
    a->attended = take(d, n, q_dim);
    a->lse = take(d, n, (size_t)c->n_heads);
    a->mid = take(d, n, (size_t)c->dim);
    a->gate = take(d, n, (size_t)c->ffn_dim);
    a->up = take(d, n, (size_t)c->ffn_dim);
    for (enum lora_target t = 0; t < LORA_TARGETS; t++)
        a->u[t] = lora->targets >> t & 1 ? take(d, n, (size_t)lora->rank) : NULL;
}

static void take_way_back(struct division *d, struct train_buffers *b, const struct model_config *c,
                          size_t n)
{
    const size_t q_dim = (size_t)c->n_heads * (size_t)c->head_dim;
    const size_t kv_dim = (size_t)c->n_kv_heads * (size_t)c->head_dim;

    b->dx = take(d, n, (size_t)c->dim);
    b->dnormed = take(d, n, (size_t)c->dim);
    b->dhidden = take(d, n, (size_t)c->ffn_dim);
    b->dq = take(d, n, q_dim);
    b->dk = take(d, n, kv_dim);
    b->dv = take(d, n, kv_dim);
    b->dattended = take(d, n, q_dim);
}

int train_buffers_kept(const struct model_config *c, const struct train_pass_options *options)
{
    return options->recompute ? 1 : c->n_layers;
}

/* b->x and b->layers are there. */
static void take_all(struct division *d, struct train_buffers *b, const struct model_config *c,
                     const struct lora_options *lora, const struct train_pass_options *options)
{
    const size_t n = (size_t)options->max_tokens, dim = (size_t)c->dim;

    for (int i = 0; i <= c->n_layers; i++)
        b->x[i] = take(d, n, dim);
    for (int i = 0; i < train_buffers_kept(c, options); i++)
        take_activations(d, &b->layers[i], c, lora, n);
    b->normed = take(d, n, dim);
    b->hidden = take(d, n, (size_t)c->ffn_dim);
    take_way_back(d, b, c, n);
    b->head = take(d, n, dim);
    b->dhead = take(d, n, dim);
    b->logits = take(d, TRAIN_LOGIT_ROWS, (size_t)c->vocab_size);
}

static void reserve_lists(struct train_buffers *b, const struct model_config *c,
                          const struct train_pass_options *options)
{
    b->x = memory_zeroed((size_t)c->n_layers + 1, sizeof(*b->x));
    b->layers = memory_zeroed((size_t)train_buffers_kept(c, options), sizeof(*b->layers));
}

void train_buffers_close(struct train_buffers *b)
{
    free(b->x);
    free(b->layers);
}

size_t train_buffers_count(const struct model_config *c, const struct lora_options *lora,
                           const struct train_pass_options *options)
{
    struct division measure = {0};
    struct train_buffers none;

    reserve_lists(&none, c, options);
    take_all(&measure, &none, c, lora, options);
    train_buffers_close(&none);
    return measure.overflow ? SIZE_MAX : measure.n;
}

void train_buffers_open(struct train_buffers *b, float *floats, const struct model_config *c,
                        const struct lora_options *lora, const struct train_pass_options *options)
{
    struct division division = {.floats = floats};

    reserve_lists(b, c, options);
    take_all(&division, b, c, lora, options);
}
