#include "train/train_layers.h"

struct train_activations *train_activations_of(const struct train_pass *p, int layer)
{
    return &p->buffers.layers[layer % p->n_kept];
}

struct train_attention train_attention_of(const struct model_config *c)
{
    return (struct train_attention){c->n_heads, c->n_kv_heads, c->head_dim, c->sliding_window};
}

void train_norm(const struct train_pass *p, float *y, const float *x, const struct norm *weights)
{
    const struct model *m = p->model;

    m->backend->rmsnorm(m->device, y, x, weights->weight, p->batch.n_rows, m->config.dim,
                        m->config.norm_eps);
}

/* x -> a->mid */
static void attention_half(const struct train_pass *p, struct train_activations *a, int layer)
{
    const struct model *m = p->model;
    const struct backend *op = m->backend;
    const struct model_config *c = &m->config;
    const struct train_attention shape = train_attention_of(c);
    const struct train_buffers *b = &p->buffers;
    float *const qkv[] = {a->q, a->k, a->v};
    const int n = p->batch.n_rows;

    train_norm(p, b->normed, b->x[layer], &m->weights.layers[layer].input_layernorm);
    train_multiply(p, a, layer, LORA_Q_PROJ, qkv, 3, b->normed);
    op->rope(m->device, a->q, p->positions, n, c->n_heads, c->head_dim, m->inv_freq);
    op->rope(m->device, a->k, p->positions, n, c->n_kv_heads, c->head_dim, m->inv_freq);
    op->gradients->attention(m->device, a->attended, a->lse, a->q, a->k, a->v, &shape, &p->batch);
    train_multiply(p, a, layer, LORA_O_PROJ, &a->mid, 1, a->attended);
    op->add(m->device, a->mid, b->x[layer], (size_t)n * (size_t)c->dim);
}

/* a->mid -> a->gate, a->up and b->hidden */
static void gate_half(const struct train_pass *p, struct train_activations *a, int layer)
{
    const struct model *m = p->model;
    const struct train_buffers *b = &p->buffers;
    float *const gate_up[] = {a->gate, a->up};

    train_norm(p, b->normed, a->mid, &m->weights.layers[layer].post_attention_layernorm);
    train_multiply(p, a, layer, LORA_GATE_PROJ, gate_up, 2, b->normed);
    m->backend->silu_mul(m->device, b->hidden, a->gate, a->up,
                         (size_t)p->batch.n_rows * (size_t)m->config.ffn_dim);
}

static void forward_layer(const struct train_pass *p, int layer)
{
    const struct model *m = p->model;
    const struct train_buffers *b = &p->buffers;
    struct train_activations *a = train_activations_of(p, layer);

    attention_half(p, a, layer);
    gate_half(p, a, layer);
    train_multiply(p, a, layer, LORA_DOWN_PROJ, &b->x[layer + 1], 1, b->hidden);
    m->backend->add(m->device, b->x[layer + 1], a->mid,
                    (size_t)p->batch.n_rows * (size_t)m->config.dim);
}

void train_forward_again(const struct train_pass *p, int layer)
{
    struct train_activations *a = train_activations_of(p, layer);

    attention_half(p, a, layer);
    gate_half(p, a, layer);
    train_add_lora(p, a, layer, LORA_DOWN_PROJ, NULL, p->buffers.hidden);
}

void train_forward(const struct train_pass *p)
{
    const struct model *m = p->model;

    m->backend->embed(m->device, p->buffers.x[0], m->weights.embed_tokens, p->tokens,
                      p->batch.n_rows);
    for (int i = 0; i < m->config.n_layers; i++)
        forward_layer(p, i);
}

void train_head(const struct train_pass *p, float weight)
{
    const struct model *m = p->model;
    const struct backend *op = m->backend;
    const struct model_config *c = &m->config;
    const struct train_buffers *b = &p->buffers;
    float *last = b->x[c->n_layers];
    const size_t dim = (size_t)c->dim;

    train_norm(p, b->normed, last, &m->weights.norm);
    op->gather_rows(m->device, b->head, b->normed, p->head_rows, p->n_head, c->dim);
    for (int i = 0; i < p->n_head; i += TRAIN_LOGIT_ROWS) {
        const int left = p->n_head - i, n = left < TRAIN_LOGIT_ROWS ? left : TRAIN_LOGIT_ROWS;

        op->linear(m->device, b->logits, b->head + (size_t)i * dim, m->weights.lm_head, NULL, n);
        op->gradients->cross_entropy(m->device, p->head_nll + i, b->logits, p->head_targets + i, n,
                                     c->vocab_size, weight);
        if (weight != 0.0f)
            op->gradients->linear(m->device, b->dhead + (size_t)i * dim, b->logits,
                                  m->weights.lm_head, n, false);
    }
    if (weight == 0.0f)
        return;
    op->gradients->scatter_rows(m->device, b->dnormed, p->batch.n_rows, b->dhead, p->head_rows,
                                p->n_head, c->dim);
    op->gradients->scatter_rows(m->device, b->dx, p->batch.n_rows, NULL, NULL, 0, c->dim);
    op->gradients->rmsnorm(m->device, b->dx, b->dnormed, last, m->weights.norm.weight,
                           p->batch.n_rows, c->dim, c->norm_eps);
}
