#include "model/forward.h"

#include <assert.h>
#include <stdlib.h>

#include "base/memory.h"

struct forward {
    const struct model *model;
    int max_rows;
    /* on the device, [max_rows][...] */
    float *x;         /* [dim] the residual stream */
    float *normed;    /* [dim] */
    float *q;         /* [n_heads * head_dim] */
    float *k, *v;     /* [n_kv_heads * head_dim] */
    float *attended;  /* [n_heads * head_dim] */
    float *added;     /* [dim] what a half of a layer adds to x */
    float *gate, *up; /* [ffn_dim] */
    float *kept;      /* [dim] final hidden states of the rows asked for */
    float *logits;    /* [FORWARD_LOGIT_ROWS][vocab_size] */

    /* the wanted rows alone, as a batch of their own; in host memory, [max_rows] */
    int32_t *positions;
    struct segment *segments;
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
    f->positions = memory_zeroed((size_t)max_rows, sizeof(*f->positions));
    f->segments = memory_zeroed((size_t)max_rows, sizeof(*f->segments));
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
    free(f->positions);
    free(f->segments);
    free(f);
}

/* q -> f->added: what attention adds to the rows. */
static void attend(struct forward *f, const struct kv_cache *kv, const struct batch *batch,
                   int layer)
{
    const struct backend *op = f->model->backend;
    struct device *d = f->model->device;
    const struct model_config *c = &f->model->config;
    const struct llama_layer *w = &f->model->weights.layers[layer];
    const int n = batch->n_rows;

    op->rope(d, f->q, batch->positions, n, c->n_heads, c->head_dim, f->model->inv_freq);
    op->attention(d, f->attended, f->q, kv, layer, batch, c->n_heads, true, c->sliding_window);
    op->linear(d, f->added, f->attended, w->o_proj.weight, w->o_proj.bias, n);
}

/* x -> f->normed, -> q if that is wanted of all rows, and their keys and values into the cache. */
static void append(struct forward *f, struct kv_cache *kv, const struct batch *batch, int layer,
                   bool queries)
{
    const struct backend *op = f->model->backend;
    struct device *d = f->model->device;
    const struct model_config *c = &f->model->config;
    const struct llama_layer *w = &f->model->weights.layers[layer];
    const int n = batch->n_rows;
    const struct linear_call linears[] = {
        {f->k, w->k_proj.weight, w->k_proj.bias},
        {f->v, w->v_proj.weight, w->v_proj.bias},
        {f->q, w->q_proj.weight, w->q_proj.bias},
    };

    op->rmsnorm(d, f->normed, f->x, w->input_layernorm.weight, n, c->dim, c->norm_eps);
    op->linears(d, linears, queries ? 3 : 2, f->normed, n);
    op->rope(d, f->k, batch->positions, n, c->n_kv_heads, c->head_dim, f->model->inv_freq);
    op->kv_append(d, kv, layer, f->k, f->v, batch);
}

/* x += what the layer's MLP makes of it, n rows. */
static void mlp_half(struct forward *f, float *x, int n, int layer)
{
    const struct backend *op = f->model->backend;
    struct device *d = f->model->device;
    const struct model_config *c = &f->model->config;
    const struct llama_layer *w = &f->model->weights.layers[layer];
    const struct linear_call linears[] = {
        {f->gate, w->gate_proj.weight, w->gate_proj.bias},
        {f->up, w->up_proj.weight, w->up_proj.bias},
    };

    op->rmsnorm(d, f->normed, x, w->post_attention_layernorm.weight, n, c->dim, c->norm_eps);
    op->linears(d, linears, 2, f->normed, n);
    op->silu_mul(d, f->gate, f->gate, f->up, (size_t)n * (size_t)c->ffn_dim);
    op->linear(d, f->added, f->gate, w->down_proj.weight, w->down_proj.bias, n);
    op->add(d, x, f->added, (size_t)n * (size_t)c->dim);
}

/* The wanted rows as a batch: they see what they saw, and a segment ends where one is left out. */
static struct batch choose(struct forward *f, const struct batch *batch, const int32_t *rows,
                           int n_rows)
{
    struct batch chosen = {.n_rows = n_rows, .positions = f->positions, .segments = f->segments};
    int at = 0; /* segment of the batch */

    for (int i = 0; i < n_rows; i++) {
        const int row = rows[i];
        bool goes_on = i > 0 && rows[i - 1] + 1 == row;

        assert(i == 0 || rows[i - 1] < row);
        for (; row >= batch->segments[at].first_row + batch->segments[at].n_rows; at++)
            goes_on = false;
        if (!goes_on)
            f->segments[chosen.n_segments++] =
                (struct segment){batch->segments[at].slot, i, 0, batch->positions[row]};
        f->segments[chosen.n_segments - 1].n_rows++;
        f->positions[i] = batch->positions[row];
    }
    return chosen;
}

/* The last layer: nobody reads what it makes of the other rows but their keys and values. */
static void last_layer(struct forward *f, struct kv_cache *kv, const struct batch *batch,
                       const int32_t *rows, int n_rows)
{
    const struct backend *op = f->model->backend;
    struct device *d = f->model->device;
    const struct model_config *c = &f->model->config;
    const struct batch chosen = choose(f, batch, rows, n_rows);
    const int layer = c->n_layers - 1;
    const struct llama_layer *w = &f->model->weights.layers[layer];

    append(f, kv, batch, layer, false);
    if (n_rows == 0)
        return;
    op->gather_rows(d, f->kept, f->normed, rows, n_rows, c->dim);
    op->linear(d, f->q, f->kept, w->q_proj.weight, w->q_proj.bias, n_rows);
    attend(f, kv, &chosen, layer);
    op->gather_rows(d, f->kept, f->x, rows, n_rows, c->dim);
    op->add(d, f->kept, f->added, (size_t)n_rows * (size_t)c->dim);
    mlp_half(f, f->kept, n_rows, layer);
    op->rmsnorm(d, f->kept, f->kept, f->model->weights.norm.weight, n_rows, c->dim, c->norm_eps);
}

void forward_hidden(struct forward *f, struct kv_cache *kv, const struct batch *batch,
                    const int32_t *rows, int n_rows)
{
    const struct backend *op = f->model->backend;
    struct device *d = f->model->device;
    const struct model_config *c = &f->model->config;

    assert(batch->n_rows <= f->max_rows && n_rows <= batch->n_rows);
    op->embed(d, f->x, f->model->weights.embed_tokens, batch->tokens, batch->n_rows);
    for (int i = 0; i < c->n_layers - 1; i++) {
        append(f, kv, batch, i, true);
        attend(f, kv, batch, i);
        op->add(d, f->x, f->added, (size_t)batch->n_rows * (size_t)c->dim);
        mlp_half(f, f->x, batch->n_rows, i);
    }
    last_layer(f, kv, batch, rows, n_rows);
}

const float *forward_logits(struct forward *f, int first, int n, double *normalizers,
                            struct status *status)
{
    const struct backend *op = f->model->backend;
    struct device *d = f->model->device;
    const struct model_config *c = &f->model->config;
    const float *rows = f->kept + (size_t)first * (size_t)c->dim;

    assert(n >= 1 && n <= FORWARD_LOGIT_ROWS && first + n <= f->max_rows);
    op->linear(d, f->logits, rows, f->model->weights.lm_head, NULL, n);
    op->log_sum_exp(d, normalizers, f->logits, n, c->vocab_size);
    if (!op->finish(d, status))
        return NULL;
    return op->host_view(d, f->logits, (size_t)n * (size_t)c->vocab_size);
}
