#include "train/train_layers.h"

enum {
    QKV = TRAIN_BIT(LORA_Q_PROJ) | TRAIN_BIT(LORA_K_PROJ) | TRAIN_BIT(LORA_V_PROJ),
    ATTENTION = QKV | TRAIN_BIT(LORA_O_PROJ),
    GATE_UP = TRAIN_BIT(LORA_GATE_PROJ) | TRAIN_BIT(LORA_UP_PROJ),
};

/* b->dx becomes the gradient of a->mid; `wanted`: somebody below needs it. */
static void mlp_back(const struct train_pass *p, struct train_activations *a, int layer,
                     bool wanted)
{
    const struct model *m = p->model;
    const struct gradient_ops *op = m->backend->gradients;
    const struct model_config *c = &m->config;
    const struct norm *weights = &m->weights.layers[layer].post_attention_layernorm;
    const struct train_buffers *b = &p->buffers;
    const size_t n_hidden = (size_t)p->batch.n_rows * (size_t)c->ffn_dim;
    const bool inputs = wanted || train_has(p, layer, GATE_UP);
    float *const gate_up[] = {a->gate, a->up};

    if (train_has(p, layer, TRAIN_BIT(LORA_DOWN_PROJ)))
        m->backend->silu_mul(m->device, b->hidden, a->gate, a->up, n_hidden);
    train_multiply_back(p, a, layer, LORA_DOWN_PROJ, &b->dx, 1, inputs ? b->dhidden : NULL,
                        b->hidden);
    if (!inputs)
        return;
    op->silu_mul(m->device, a->gate, a->up, b->dhidden, n_hidden);
    if (train_has(p, layer, GATE_UP))
        train_norm(p, b->normed, a->mid, weights);
    train_multiply_back(p, a, layer, LORA_GATE_PROJ, gate_up, 2, wanted ? b->dnormed : NULL,
                        b->normed);
    if (wanted)
        op->rmsnorm(m->device, b->dx, b->dnormed, a->mid, weights->weight, p->batch.n_rows, c->dim,
                    c->norm_eps);
}

/* b->dx, of a->mid, becomes the gradient of the layer's input; `wanted`: a layer below needs it. */
static void attention_back(const struct train_pass *p, const struct train_activations *a, int layer,
                           bool wanted)
{
    const struct model *m = p->model;
    const struct gradient_ops *op = m->backend->gradients;
    const struct model_config *c = &m->config;
    const struct norm *weights = &m->weights.layers[layer].input_layernorm;
    const struct train_attention shape = train_attention_of(c);
    const struct train_buffers *b = &p->buffers;
    const bool inputs = wanted || train_has(p, layer, QKV);
    const int n = p->batch.n_rows;
    float *const dqkv[] = {b->dq, b->dk, b->dv};

    train_multiply_back(p, a, layer, LORA_O_PROJ, &b->dx, 1, inputs ? b->dattended : NULL,
                        a->attended);
    if (!inputs)
        return;
    op->attention_backward(m->device, b->dq, b->dk, b->dv, b->dattended, a->attended, a->lse, a->q,
                           a->k, a->v, &shape, &p->batch);
    op->rope(m->device, b->dq, p->positions, n, c->n_heads, c->head_dim, m->inv_freq);
    op->rope(m->device, b->dk, p->positions, n, c->n_kv_heads, c->head_dim, m->inv_freq);
    if (train_has(p, layer, QKV))
        train_norm(p, b->normed, b->x[layer], weights);
    train_multiply_back(p, a, layer, LORA_Q_PROJ, dqkv, 3, wanted ? b->dnormed : NULL, b->normed);
    if (wanted)
        op->rmsnorm(m->device, b->dx, b->dnormed, b->x[layer], weights->weight, n, c->dim,
                    c->norm_eps);
}

void train_backward(const struct train_pass *p)
{
    const int n_layers = p->model->config.n_layers, lowest = p->lora->modules[0].layer;

    for (int layer = n_layers - 1; layer >= lowest; layer--) {
        struct train_activations *a = train_activations_of(p, layer);
        const bool below = layer > lowest, attention = below || train_has(p, layer, ATTENTION);

        if (p->options.recompute && layer < n_layers - 1)
            train_forward_again(p, layer);
        mlp_back(p, a, layer, attention);
        if (attention)
            attention_back(p, a, layer, below);
    }
}
