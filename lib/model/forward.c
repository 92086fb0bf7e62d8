#include "model/forward.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/memory.h"

/* Neighbouring rows of one adapter. */
struct run {
    const struct adapter *adapter;
    int first_row, n_rows;
};

struct runs {
    struct run *runs; /* [n] ours */
    int n;
};

struct forward {
    const struct model *model;
    struct adapter *const *adapters;
    int n_adapters;
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

    struct runs runs, kept_runs;       /* of the batch, and of the wanted rows; [max_rows] */
    struct linear_addition *additions; /* [BACKEND_MAX_LINEARS][max_rows] for the calls at hand */
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

size_t forward_size(const struct model_config *c, int max_rows)
{
    const size_t dim = (size_t)c->dim, q_dim = (size_t)c->n_heads * (size_t)c->head_dim;
    const size_t kv_dim = (size_t)c->n_kv_heads * (size_t)c->head_dim, ffn = (size_t)c->ffn_dim;
    const size_t a_row = 4 * dim + 2 * q_dim + 2 * kv_dim + 2 * ffn; /* alloc_all's */

    return ((size_t)max_rows * a_row + FORWARD_LOGIT_ROWS * (size_t)c->vocab_size) * sizeof(float);
}

struct forward *forward_open(const struct model *model, struct adapter *const *adapters,
                             int n_adapters, int max_rows, struct status *status)
{
    struct forward *f = memory_zeroed(1, sizeof(*f));

    f->model = model;
    f->adapters = adapters;
    f->n_adapters = n_adapters;
    f->max_rows = max_rows;
    f->runs.runs = memory_zeroed((size_t)max_rows, sizeof(struct run));
    f->kept_runs.runs = memory_zeroed((size_t)max_rows, sizeof(struct run));
    f->additions = memory_zeroed(BACKEND_MAX_LINEARS * (size_t)max_rows, sizeof(*f->additions));
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
    free(f->runs.runs);
    free(f->kept_runs.runs);
    free(f->additions);
    free(f);
}

/* The runs of a batch; rows without an adapter are in none. */
static void find_runs(const struct forward *f, const struct batch *batch, struct runs *runs)
{
    runs->n = 0;
    for (int i = 0; i < batch->n_segments; i++) {
        const struct segment *s = &batch->segments[i];
        const struct adapter *adapter = s->adapter < 0 ? NULL : f->adapters[s->adapter];

        assert(s->adapter < f->n_adapters);
        if (i > 0 && s->adapter == s[-1].adapter && adapter)
            runs->runs[runs->n - 1].n_rows += s->n_rows;
        else if (adapter)
            runs->runs[runs->n++] = (struct run){adapter, s->first_row, s->n_rows};
    }
}

/* ---- linear layers ------------------------------------------------------------------------ */

/* Layers of one x, with what the adapters of its rows add to them. */
struct calls {
    struct forward *f;
    const struct runs *runs; /* of the rows of x */
    struct linear_call calls[BACKEND_MAX_LINEARS];
    int n, n_additions;
};

static void add_run(struct calls *c, const struct adapter_linear *linear, int first_row, int n_rows)
{
    if (linear->a) {
        c->f->additions[c->n_additions++] =
            (struct linear_addition){linear->a, linear->b, linear->scale, first_row, n_rows};
        c->calls[c->n - 1].n_additions++;
    }
}

static void add_call(struct calls *c, float *y, const struct matrix *matrix, const float *bias)
{
    c->calls[c->n++] = (struct linear_call){
        .y = y, .matrix = matrix, .bias = bias, .additions = c->f->additions + c->n_additions};
}

/* One more layer; member: its place in a struct adapter_layer. */
static void add_linear(struct calls *c, float *y, const struct affine *w, int layer, size_t member)
{
    add_call(c, y, w->weight, w->bias);
    for (int i = 0; i < c->runs->n; i++) {
        const struct run *run = &c->runs->runs[i];
        const char *layers = (const char *)&run->adapter->layers[layer];

        add_run(c, (const struct adapter_linear *)(const void *)(layers + member), run->first_row,
                run->n_rows);
    }
}

/* The output of rows [first, first + n) of those that are kept. */
static void add_output(struct calls *c, float *y, int first, int n)
{
    add_call(c, y, c->f->model->weights.lm_head, NULL);
    for (int i = 0; i < c->runs->n; i++) {
        const struct run *run = &c->runs->runs[i];
        const int from = run->first_row > first ? run->first_row : first;
        const int run_end = run->first_row + run->n_rows, end = first + n;

        if (from < (run_end < end ? run_end : end))
            add_run(c, &run->adapter->lm_head, from - first,
                    (run_end < end ? run_end : end) - from);
    }
}

static void multiply(const struct calls *c, const float *x, int n)
{
    const struct model *m = c->f->model;

    m->backend->linears(m->device, c->calls, c->n, x, n);
}

/* A layer alone. */
static void multiply_one(struct forward *f, const struct runs *runs, float *y, const float *x,
                         const struct affine *w, int n, int layer, size_t member)
{
    struct calls c = {.f = f, .runs = runs};

    add_linear(&c, y, w, layer, member);
    multiply(&c, x, n);
}

#define MEMBER(name) offsetof(struct adapter_layer, name)

/* ------------------------------------------------------------------------------------------- */

/* q -> f->added: what attention adds to the rows. */
static void attend(struct forward *f, const struct kv_cache *kv, const struct batch *batch,
                   const struct runs *runs, int layer)
{
    const struct backend *op = f->model->backend;
    struct device *d = f->model->device;
    const struct model_config *c = &f->model->config;
    const struct llama_layer *w = &f->model->weights.layers[layer];
    const int n = batch->n_rows;

    op->rope(d, f->q, batch->positions, n, c->n_heads, c->head_dim, f->model->inv_freq);
    op->attention(d, f->attended, f->q, kv, layer, batch, c->n_heads, true, c->sliding_window);
    multiply_one(f, runs, f->added, f->attended, &w->o_proj, n, layer, MEMBER(o_proj));
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
    struct calls calls = {.f = f, .runs = &f->runs};

    add_linear(&calls, f->k, &w->k_proj, layer, MEMBER(k_proj));
    add_linear(&calls, f->v, &w->v_proj, layer, MEMBER(v_proj));
    if (queries)
        add_linear(&calls, f->q, &w->q_proj, layer, MEMBER(q_proj));
    op->rmsnorm(d, f->normed, f->x, w->input_layernorm.weight, n, c->dim, c->norm_eps);
    multiply(&calls, f->normed, n);
    op->rope(d, f->k, batch->positions, n, c->n_kv_heads, c->head_dim, f->model->inv_freq);
    op->kv_append(d, kv, layer, f->k, f->v, batch);
}

/* x += what the layer's MLP makes of it, n rows. */
static void mlp_half(struct forward *f, float *x, int n, const struct runs *runs, int layer)
{
    const struct backend *op = f->model->backend;
    struct device *d = f->model->device;
    const struct model_config *c = &f->model->config;
    const struct llama_layer *w = &f->model->weights.layers[layer];
    struct calls calls = {.f = f, .runs = runs};

    add_linear(&calls, f->gate, &w->gate_proj, layer, MEMBER(gate_proj));
    add_linear(&calls, f->up, &w->up_proj, layer, MEMBER(up_proj));
    op->rmsnorm(d, f->normed, x, w->post_attention_layernorm.weight, n, c->dim, c->norm_eps);
    multiply(&calls, f->normed, n);
    op->silu_mul(d, f->gate, f->gate, f->up, (size_t)n * (size_t)c->ffn_dim);
    multiply_one(f, runs, f->added, f->gate, &w->down_proj, n, layer, MEMBER(down_proj));
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
            f->segments[chosen.n_segments++] = (struct segment){
                batch->segments[at].slot, i, 0, batch->positions[row], batch->segments[at].adapter};
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
    find_runs(f, &chosen, &f->kept_runs);
    if (n_rows == 0)
        return;
    op->gather_rows(d, f->kept, f->normed, rows, n_rows, c->dim);
    multiply_one(f, &f->kept_runs, f->q, f->kept, &w->q_proj, n_rows, layer, MEMBER(q_proj));
    attend(f, kv, &chosen, &f->kept_runs, layer);
    op->gather_rows(d, f->kept, f->x, rows, n_rows, c->dim);
    op->add(d, f->kept, f->added, (size_t)n_rows * (size_t)c->dim);
    mlp_half(f, f->kept, n_rows, &f->kept_runs, layer);
    op->rmsnorm(d, f->kept, f->kept, f->model->weights.norm.weight, n_rows, c->dim, c->norm_eps);
}

void forward_hidden(struct forward *f, struct kv_cache *kv, const struct batch *batch,
                    const int32_t *rows, int n_rows)
{
    const struct backend *op = f->model->backend;
    struct device *d = f->model->device;
    const struct model_config *c = &f->model->config;

    assert(batch->n_rows <= f->max_rows && n_rows <= batch->n_rows);
    find_runs(f, batch, &f->runs);
    op->embed(d, f->x, f->model->weights.embed_tokens, batch->tokens, batch->n_rows);
    for (int i = 0; i < c->n_layers - 1; i++) {
        append(f, kv, batch, i, true);
        attend(f, kv, batch, &f->runs, i);
        op->add(d, f->x, f->added, (size_t)batch->n_rows * (size_t)c->dim);
        mlp_half(f, f->x, batch->n_rows, &f->runs, i);
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
    struct calls calls = {.f = f, .runs = &f->kept_runs};

    assert(n >= 1 && n <= FORWARD_LOGIT_ROWS && first + n <= f->max_rows);
    add_output(&calls, f->logits, first, n);
    multiply(&calls, rows, n);
    op->log_sum_exp(d, normalizers, f->logits, n, c->vocab_size);
    if (!op->finish(d, status))
        return NULL;
    return op->host_view(d, f->logits, (size_t)n * (size_t)c->vocab_size);
}
