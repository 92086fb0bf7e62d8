#include "model/forward.h"

#include <assert.h>
#include <stdlib.h>

#include "base/memory.h"

struct forward {
    const struct model *model;
    int max_rows;
    /* on the device, [max_rows][...] */
    float *x;           /* [dim] the residual stream */
    float *normed;      /* [dim] */
    float *q;           /* [n_heads * head_dim] */
    float *k, *v;       /* [n_kv_heads * head_dim] */
    float *attended;    /* [n_heads * head_dim] */
    float *added;       /* [dim] what a half of a layer adds to x */
    float *gate, *up;   /* [ffn_dim] */
    float *kept;        /* [dim] final hidden states of the rows asked for */
    float *logits;      /* [FORWARD_LOGIT_ROWS][vocab_size] */
    float *host_logits; /* the same in host memory */
};

static bool alloc(struct forward *f, float **floats, int rows, int cols, struct status *status)
{
    const struct model *m = f->model;

    *floats = m->backend->alloc(m->device, (size_t)rows * (size_t)cols, status);
    return *floats != NULL;
}

static bool alloc_all(struct forward *f, struct status *status)
{
    const struct model_config *c = &f->model->config;
    const int rows = f->max_rows;
    const int q_dim = c->n_heads * c->head_dim, kv_dim = c->n_kv_heads * c->head_dim;
    const size_t n_logits = FORWARD_LOGIT_ROWS * (size_t)c->vocab_size;

    f->host_logits = malloc(n_logits * sizeof(float));
    if (!f->host_logits)
        return status_fail(status, STATUS_MEMORY, "cannot have %zu bytes for logits",
                           n_logits * sizeof(float));
    return alloc(f, &f->x, rows, c->dim, status) && alloc(f, &f->normed, rows, c->dim, status) &&
           alloc(f, &f->q, rows, q_dim, status) && alloc(f, &f->k, rows, kv_dim, status) &&
           alloc(f, &f->v, rows, kv_dim, status) && alloc(f, &f->attended, rows, q_dim, status) &&
           alloc(f, &f->added, rows, c->dim, status) &&
           alloc(f, &f->gate, rows, c->ffn_dim, status) &&
           alloc(f, &f->up, rows, c->ffn_dim, status) && alloc(f, &f->kept, rows, c->dim, status) &&
           alloc(f, &f->logits, FORWARD_LOGIT_ROWS, c->vocab_size, status);
}

struct forward *forward_open(const struct model *model, int max_rows, struct status *status)
{
    struct forward *f = memory_zeroed(1, sizeof(*f));

    f->model = model;
    f->max_rows = max_rows;
    if (!alloc_all(f, status)) {
        status_prefix(status, "scratch for %d rows", max_rows);
        forward_close(f);
        return NULL;
    }
    return f;
}

void forward_close(struct forward *f)
{
    if (!f)
        return;

    float *const all[] = {f->x,     f->normed, f->q,  f->k,    f->v,     f->attended,
                          f->added, f->gate,   f->up, f->kept, f->logits};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        f->model->backend->free(f->model->device, all[i]);
    free(f->host_logits);
    free(f);
}

static void attention_half(struct forward *f, struct kv_cache *kv, const struct batch *batch,
                           int layer)
{
    const struct backend *op = f->model->backend;
    struct device *d = f->model->device;
    const struct model_config *c = &f->model->config;
    const struct llama_layer *w = &f->model->weights.layers[layer];
    const int n = batch->n_rows;

    op->rmsnorm(d, f->normed, f->x, w->input_layernorm.weight, n, c->dim, c->norm_eps);
    op->linear(d, f->q, f->normed, w->q_proj.weight, w->q_proj.bias, n);
    op->linear(d, f->k, f->normed, w->k_proj.weight, w->k_proj.bias, n);
    op->linear(d, f->v, f->normed, w->v_proj.weight, w->v_proj.bias, n);
    op->rope(d, f->q, batch->positions, n, c->n_heads, c->head_dim, f->model->inv_freq);
    op->rope(d, f->k, batch->positions, n, c->n_kv_heads, c->head_dim, f->model->inv_freq);
    op->kv_append(d, kv, layer, f->k, f->v, batch);
    op->attention(d, f->attended, f->q, kv, layer, batch, c->n_heads, true, c->sliding_window);
    op->linear(d, f->added, f->attended, w->o_proj.weight, w->o_proj.bias, n);
    op->add(d, f->x, f->added, (size_t)n * (size_t)c->dim);
}

static void mlp_half(struct forward *f, int n, int layer)
{
    const struct backend *op = f->model->backend;
    struct device *d = f->model->device;
    const struct model_config *c = &f->model->config;
    const struct llama_layer *w = &f->model->weights.layers[layer];

    op->rmsnorm(d, f->normed, f->x, w->post_attention_layernorm.weight, n, c->dim, c->norm_eps);
    op->linear(d, f->gate, f->normed, w->gate_proj.weight, w->gate_proj.bias, n);
    op->linear(d, f->up, f->normed, w->up_proj.weight, w->up_proj.bias, n);
    op->silu_mul(d, f->gate, f->gate, f->up, (size_t)n * (size_t)c->ffn_dim);
    op->linear(d, f->added, f->gate, w->down_proj.weight, w->down_proj.bias, n);
    op->add(d, f->x, f->added, (size_t)n * (size_t)c->dim);
}

void forward_hidden(struct forward *f, struct kv_cache *kv, const struct batch *batch,
                    const int32_t *rows, int n_rows)
{
    const struct backend *op = f->model->backend;
    struct device *d = f->model->device;
    const struct model_config *c = &f->model->config;
    const struct llama_weights *w = &f->model->weights;

    assert(batch->n_rows <= f->max_rows && n_rows <= batch->n_rows);
    op->embed(d, f->x, w->embed_tokens, batch->tokens, batch->n_rows);
    for (int i = 0; i < c->n_layers; i++) {
        attention_half(f, kv, batch, i);
        mlp_half(f, batch->n_rows, i);
    }
    if (n_rows == 0)
        return;
    op->gather_rows(d, f->kept, f->x, rows, n_rows, c->dim);
    op->rmsnorm(d, f->kept, f->kept, w->norm.weight, n_rows, c->dim, c->norm_eps);
}

const float *forward_logits(struct forward *f, int first, int n, struct status *status)
{
    const struct backend *op = f->model->backend;
    struct device *d = f->model->device;
    const struct model_config *c = &f->model->config;
    const float *rows = f->kept + (size_t)first * (size_t)c->dim;

    assert(n >= 1 && n <= FORWARD_LOGIT_ROWS && first + n <= f->max_rows);
    op->linear(d, f->logits, rows, f->model->weights.lm_head, NULL, n);
    op->to_host(d, f->host_logits, f->logits, (size_t)n * (size_t)c->vocab_size);
    return op->finish(d, status) ? f->host_logits : NULL;
}
