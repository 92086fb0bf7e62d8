#include "train/train_pass.h"

#include <math.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/memory.h"
#include "compute/kv_cache.h"
#include "train/train_buffers.h"

struct train_pass {
    const struct model *model;
    const struct lora *lora;
    struct train_pass_options options;
    int *modules; /* [n_layers][LORA_TARGETS] index of the adapter's module; -1: none */
    int n_kept;   /* layers that keep their activations */

    float *floats; /* ours, on the device */
    struct train_buffers buffers;

    /* The rows at hand, in host memory, [max_tokens]. */
    struct train_batch batch;
    int32_t *tokens, *positions;
    struct train_sequence *sequences;
    int32_t *head_rows, *head_targets; /* [n_head] who predicts, and what */
    double *head_nll;
    int n_head;
    bool drops; /* dropout is on */
};

/* ---- memory -------------------------------------------------------------------------------- */

/* Bytes in host memory for each token. */
static size_t host_bytes(void)
{
    return 4 * sizeof(int32_t) + sizeof(struct train_sequence) + sizeof(double);
}

size_t train_pass_size(const struct model_config *config, const struct lora_options *lora,
                       const struct train_pass_options *options)
{
    size_t size, host;

    if (!checked_mul(train_buffers_count(config, lora, options), sizeof(float), &size) ||
        !checked_mul((size_t)options->max_tokens, host_bytes(), &host) ||
        !checked_add(size, host, &size))
        return SIZE_MAX;
    return size;
}

/* The most inputs or outputs of a linear layer that can have an adapter. */
static int widest(const struct model_config *c)
{
    const int q_dim = c->n_heads * c->head_dim, most = c->dim > q_dim ? c->dim : q_dim;

    return most > c->ffn_dim ? most : c->ffn_dim;
}

size_t train_pass_scratch(const struct model_config *config, const struct lora_options *lora,
                          const struct train_pass_options *options, const struct backend *backend,
                          int n_threads)
{
    return backend->gradients->reserve_size(n_threads, options->max_tokens, widest(config),
                                            lora->rank);
}

/* ---- opening ------------------------------------------------------------------------------- */

static bool check(const struct model *model, const struct train_pass_options *options,
                  struct status *status)
{
    if (!model->backend->gradients)
        return status_fail(status, STATUS_DEVICE, "device '%s' cannot train", model->backend->name);
    if (model->config.head_dim > KV_MAX_HEAD_DIM)
        return status_fail(status, STATUS_CONFIG, "heads of %d elements: at most %d can be trained",
                           model->config.head_dim, KV_MAX_HEAD_DIM);
    if (options->max_tokens < 1)
        return status_fail(status, STATUS_CONFIG, "%d tokens at a time", options->max_tokens);
    return true;
}

static void index_modules(struct train_pass *p)
{
    const int n = p->model->config.n_layers * LORA_TARGETS;

    p->modules = memory_zeroed((size_t)n, sizeof(*p->modules));
    for (int i = 0; i < n; i++)
        p->modules[i] = -1;
    for (int i = 0; i < p->lora->n_modules; i++) {
        const struct lora_module *m = &p->lora->modules[i];

        p->modules[m->layer * LORA_TARGETS + (int)m->target] = i;
    }
}

static bool alloc_all(struct train_pass *p, struct status *status)
{
    const struct model *m = p->model;
    const struct lora_options *lora = &p->lora->options;
    const size_t n = (size_t)p->options.max_tokens;

    p->floats =
        m->backend->alloc(m->device, train_buffers_count(&m->config, lora, &p->options), status);
    if (!p->floats)
        return false;
    train_buffers_open(&p->buffers, p->floats, &m->config, lora, &p->options);
    p->tokens = memory_zeroed(n, sizeof(*p->tokens));
    p->positions = memory_zeroed(n, sizeof(*p->positions));
    p->sequences = memory_zeroed(n, sizeof(*p->sequences));
    p->head_rows = memory_zeroed(n, sizeof(*p->head_rows));
    p->head_targets = memory_zeroed(n, sizeof(*p->head_targets));
    p->head_nll = memory_zeroed(n, sizeof(*p->head_nll));
    return m->backend->gradients->reserve(m->device, p->options.max_tokens, widest(&m->config),
                                          lora->rank, status);
}

struct train_pass *train_pass_open(const struct model *model, struct lora *lora,
                                   const struct train_pass_options *options, struct status *status)
{
    struct train_pass *p;

    if (!check(model, options, status))
        return NULL;
    p = memory_zeroed(1, sizeof(*p));
    p->model = model;
    p->lora = lora;
    p->options = *options;
    p->n_kept = train_buffers_kept(&model->config, options);
    index_modules(p);
    if (!alloc_all(p, status)) {
        status_prefix(status, "training on %d tokens at a time", options->max_tokens);
        train_pass_close(p);
        return NULL;
    }
    return p;
}

void train_pass_close(struct train_pass *p)
{
    if (!p)
        return;
    p->model->backend->free(p->model->device, p->floats);
    train_buffers_close(&p->buffers);
    free(p->modules);
    free(p->tokens);
    free(p->positions);
    free(p->sequences);
    free(p->head_rows);
    free(p->head_targets);
    free(p->head_nll);
    free(p);
}

/* ---- rows ---------------------------------------------------------------------------------- */

static bool check_rows(const struct train_pass *p, const struct train_row *rows, int n_rows,
                       struct status *status)
{
    const int vocab_size = p->model->config.vocab_size;
    long long n = 0;

    for (int i = 0; i < n_rows; i++) {
        n += rows[i].n_tokens;
        for (int t = 0; t < rows[i].n_tokens; t++) {
            if (rows[i].tokens[t] < 0 || rows[i].tokens[t] >= vocab_size)
                return status_fail(status, STATUS_CONFIG,
                                   "token %d of row %d: id %d is not in [0, "
                                   "%d)",
                                   t, i, rows[i].tokens[t], vocab_size);
        }
    }
    if (n > p->options.max_tokens)
        return status_fail(status, STATUS_CONFIG, "%lld tokens in %d rows, at most %d at a time", n,
                           n_rows, p->options.max_tokens);
    return true;
}

/* How many tokens of a row are to be passed: nobody reads what follows the last that predicts. */
static int passed_tokens(const struct train_row *row)
{
    int n = row->n_tokens;

    while (n > 0 && !row->targets[n - 1])
        n--;
    return n > 0 ? n - 1 : 0;
}

static void add_row(struct train_pass *p, const struct train_row *row)
{
    const int n = passed_tokens(row), first = p->batch.n_rows;

    if (n == 0)
        return;
    p->sequences[p->batch.n_sequences++] = (struct train_sequence){first, n, row->key};
    for (int i = 0; i < n; i++) {
        p->tokens[first + i] = row->tokens[i];
        p->positions[first + i] = i;
        if (row->targets[i + 1]) {
            p->head_rows[p->n_head] = first + i;
            p->head_targets[p->n_head++] = row->tokens[i + 1];
        }
    }
    p->batch.n_rows += n;
}

static void choose_rows(struct train_pass *p, const struct train_row *rows, int n_rows)
{
    p->batch = (struct train_batch){.sequences = p->sequences, .positions = p->positions};
    p->n_head = 0;
    for (int i = 0; i < n_rows; i++)
        add_row(p, &rows[i]);
}

/* The losses of the rows' targets, in their order. */
static void add_up(const struct train_pass *p, const struct train_row *rows, int n_rows,
                   double *nll)
{
    int at = 0;

    for (int i = 0; i < n_rows; i++) {
        nll[i] = 0;
        for (int t = 1; t < rows[i].n_tokens; t++) {
            if (rows[i].targets[t])
                nll[i] += p->head_nll[at++];
        }
    }
}

/* ---- linear layers and their adapters ------------------------------------------------------ */

static const struct affine *affine_of(const struct train_pass *p, int layer, enum lora_target t)
{
    const struct llama_layer *w = &p->model->weights.layers[layer];
    const struct affine *const all[LORA_TARGETS] = {
        [LORA_Q_PROJ] = &w->q_proj,       [LORA_K_PROJ] = &w->k_proj,
        [LORA_V_PROJ] = &w->v_proj,       [LORA_O_PROJ] = &w->o_proj,
        [LORA_GATE_PROJ] = &w->gate_proj, [LORA_UP_PROJ] = &w->up_proj,
        [LORA_DOWN_PROJ] = &w->down_proj,
    };

    return all[t];
}

#define BIT(target) (1u << (target))

/* Has the adapter one of these modules in the layer? */
static bool has(const struct train_pass *p, int layer, unsigned targets)
{
    for (int t = 0; t < LORA_TARGETS; t++) {
        if (targets >> t & 1 && p->modules[layer * LORA_TARGETS + t] >= 0)
            return true;
    }
    return false;
}

static struct lora_linear lora_of(const struct train_pass *p, int layer, enum lora_target t)
{
    const int i = p->modules[layer * LORA_TARGETS + (int)t];
    const struct lora_module *m = &p->lora->modules[i];
    const long drop_below = p->drops ? lrintf(p->lora->options.dropout * 65536.0f) : 0;

    return (struct lora_linear){
        .rank = p->lora->options.rank,
        .in = m->in,
        .out = m->out,
        .scale = p->lora->scale,
        .a = p->lora->values + m->a,
        .b = p->lora->values + m->b,
        .a_gradient = p->lora->gradients + m->a,
        .b_gradient = p->lora->gradients + m->b,
        .drop_below = (uint32_t)(drop_below < 65536 ? drop_below : 65535),
        .module = (uint32_t)i,
    };
}

/* What the adapter adds to y; y NULL: only what the way back needs of it. */
static void add_lora(const struct train_pass *p, struct train_activations *a, int layer,
                     enum lora_target t, float *y, const float *x)
{
    const struct model *m = p->model;

    if (has(p, layer, BIT(t))) {
        const struct lora_linear lora = lora_of(p, layer, t);

        m->backend->gradients->lora(m->device, y, a->u[t], x, &lora, &p->batch);
    }
}

/* The linear layers first, first + 1, ... of a layer, all of x, with their adapters. */
static void multiply(const struct train_pass *p, struct train_activations *a, int layer,
                     enum lora_target first, float *const y[], int n, const float *x)
{
    const struct model *m = p->model;
    struct linear_call calls[BACKEND_MAX_LINEARS] = {{0}};

    for (int i = 0; i < n; i++) {
        const struct affine *affine = affine_of(p, layer, first + (enum lora_target)i);

        calls[i] = (struct linear_call){.y = y[i], .matrix = affine->weight, .bias = affine->bias};
    }
    m->backend->linears(m->device, calls, n, x, p->batch.n_rows);
    for (int i = 0; i < n; i++)
        add_lora(p, a, layer, first + (enum lora_target)i, y[i], x);
}

/* The way back: dx = the sum over the layers of dy W and what comes through their adapters, whose
 * gradients grow. dx NULL: nobody needs it. x and a: of the way forward. */
static void multiply_back(const struct train_pass *p, const struct train_activations *a, int layer,
                          enum lora_target first, float *const dy[], int n, float *dx,
                          const float *x)
{
    const struct model *m = p->model;
    const struct gradient_ops *op = m->backend->gradients;

    for (int i = 0; dx && i < n; i++)
        op->linear(m->device, dx, dy[i], affine_of(p, layer, first + (enum lora_target)i)->weight,
                   p->batch.n_rows, i > 0);
    for (int i = 0; i < n; i++) {
        const enum lora_target t = first + (enum lora_target)i;

        if (has(p, layer, BIT(t))) {
            const struct lora_linear lora = lora_of(p, layer, t);

            op->lora_backward(m->device, dx, dy[i], a->u[t], x, &lora, &p->batch);
        }
    }
}

/* ---- forward ------------------------------------------------------------------------------- */

static struct train_activations *activations_of(const struct train_pass *p, int layer)
{
    return &p->buffers.layers[layer % p->n_kept];
}

static struct train_attention shape_of(const struct model_config *c)
{
    return (struct train_attention){c->n_heads, c->n_kv_heads, c->head_dim, c->sliding_window};
}

static void norm(const struct train_pass *p, float *y, const float *x, const struct norm *weights)
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
    const struct train_attention shape = shape_of(c);
    const struct train_buffers *b = &p->buffers;
    float *const qkv[] = {a->q, a->k, a->v};
    const int n = p->batch.n_rows;

    norm(p, b->normed, b->x[layer], &m->weights.layers[layer].input_layernorm);
    multiply(p, a, layer, LORA_Q_PROJ, qkv, 3, b->normed);
    op->rope(m->device, a->q, p->positions, n, c->n_heads, c->head_dim, m->inv_freq);
    op->rope(m->device, a->k, p->positions, n, c->n_kv_heads, c->head_dim, m->inv_freq);
    op->gradients->attention(m->device, a->attended, a->lse, a->q, a->k, a->v, &shape, &p->batch);
    multiply(p, a, layer, LORA_O_PROJ, &a->mid, 1, a->attended);
    op->add(m->device, a->mid, b->x[layer], (size_t)n * (size_t)c->dim);
}

/* a->mid -> a->gate, a->up and b->hidden */
static void gate_half(const struct train_pass *p, struct train_activations *a, int layer)
{
    const struct model *m = p->model;
    const struct train_buffers *b = &p->buffers;
    float *const gate_up[] = {a->gate, a->up};

    norm(p, b->normed, a->mid, &m->weights.layers[layer].post_attention_layernorm);
    multiply(p, a, layer, LORA_GATE_PROJ, gate_up, 2, b->normed);
    m->backend->silu_mul(m->device, b->hidden, a->gate, a->up,
                         (size_t)p->batch.n_rows * (size_t)m->config.ffn_dim);
}

static void forward_layer(const struct train_pass *p, int layer)
{
    const struct model *m = p->model;
    const struct train_buffers *b = &p->buffers;
    struct train_activations *a = activations_of(p, layer);

    attention_half(p, a, layer);
    gate_half(p, a, layer);
    multiply(p, a, layer, LORA_DOWN_PROJ, &b->x[layer + 1], 1, b->hidden);
    m->backend->add(m->device, b->x[layer + 1], a->mid,
                    (size_t)p->batch.n_rows * (size_t)m->config.dim);
}

/* What was not kept of a layer, once more; what it gives to the next is still there. */
static void forward_again(const struct train_pass *p, int layer)
{
    struct train_activations *a = activations_of(p, layer);

    attention_half(p, a, layer);
    gate_half(p, a, layer);
    add_lora(p, a, layer, LORA_DOWN_PROJ, NULL, p->buffers.hidden);
}

static void forward(const struct train_pass *p)
{
    const struct model *m = p->model;

    m->backend->embed(m->device, p->buffers.x[0], m->weights.embed_tokens, p->tokens,
                      p->batch.n_rows);
    for (int i = 0; i < m->config.n_layers; i++)
        forward_layer(p, i);
}

/* Losses of the rows that predict; if weight is not 0, the gradient of the stream behind the last
 * layer as well. */
static void head(const struct train_pass *p, float weight)
{
    const struct model *m = p->model;
    const struct backend *op = m->backend;
    const struct model_config *c = &m->config;
    const struct train_buffers *b = &p->buffers;
    float *last = b->x[c->n_layers];
    const size_t dim = (size_t)c->dim;

    norm(p, b->normed, last, &m->weights.norm);
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

/* ---- backward ------------------------------------------------------------------------------ */

enum {
    QKV = BIT(LORA_Q_PROJ) | BIT(LORA_K_PROJ) | BIT(LORA_V_PROJ),
    ATTENTION = QKV | BIT(LORA_O_PROJ),
    GATE_UP = BIT(LORA_GATE_PROJ) | BIT(LORA_UP_PROJ),
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
    const bool inputs = wanted || has(p, layer, GATE_UP);
    float *const gate_up[] = {a->gate, a->up};

    if (has(p, layer, BIT(LORA_DOWN_PROJ)))
        m->backend->silu_mul(m->device, b->hidden, a->gate, a->up, n_hidden);
    multiply_back(p, a, layer, LORA_DOWN_PROJ, &b->dx, 1, inputs ? b->dhidden : NULL, b->hidden);
    if (!inputs)
        return;
    op->silu_mul(m->device, a->gate, a->up, b->dhidden, n_hidden);
    if (has(p, layer, GATE_UP))
        norm(p, b->normed, a->mid, weights);
    multiply_back(p, a, layer, LORA_GATE_PROJ, gate_up, 2, wanted ? b->dnormed : NULL, b->normed);
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
    const struct train_attention shape = shape_of(c);
    const struct train_buffers *b = &p->buffers;
    const bool inputs = wanted || has(p, layer, QKV);
    const int n = p->batch.n_rows;
    float *const dqkv[] = {b->dq, b->dk, b->dv};

    multiply_back(p, a, layer, LORA_O_PROJ, &b->dx, 1, inputs ? b->dattended : NULL, a->attended);
    if (!inputs)
        return;
    op->attention_backward(m->device, b->dq, b->dk, b->dv, b->dattended, a->attended, a->lse, a->q,
                           a->k, a->v, &shape, &p->batch);
    op->rope(m->device, b->dq, p->positions, n, c->n_heads, c->head_dim, m->inv_freq);
    op->rope(m->device, b->dk, p->positions, n, c->n_kv_heads, c->head_dim, m->inv_freq);
    if (has(p, layer, QKV))
        norm(p, b->normed, b->x[layer], weights);
    multiply_back(p, a, layer, LORA_Q_PROJ, dqkv, 3, wanted ? b->dnormed : NULL, b->normed);
    if (wanted)
        op->rmsnorm(m->device, b->dx, b->dnormed, b->x[layer], weights->weight, n, c->dim,
                    c->norm_eps);
}

/* From the gradient of the last layer's result down to the lowest layer that has a module. */
static void backward(const struct train_pass *p)
{
    const int n_layers = p->model->config.n_layers, lowest = p->lora->modules[0].layer;

    for (int layer = n_layers - 1; layer >= lowest; layer--) {
        struct train_activations *a = activations_of(p, layer);
        const bool below = layer > lowest, attention = below || has(p, layer, ATTENTION);

        if (p->options.recompute && layer < n_layers - 1)
            forward_again(p, layer);
        mlp_back(p, a, layer, attention);
        if (attention)
            attention_back(p, a, layer, below);
    }
}

/* ------------------------------------------------------------------------------------------- */

static bool run(struct train_pass *p, const struct train_row *rows, int n_rows, float weight,
                double *nll, struct status *status)
{
    if (!check_rows(p, rows, n_rows, status))
        return false;
    choose_rows(p, rows, n_rows);
    if (p->n_head > 0) {
        forward(p);
        head(p, weight);
        if (weight != 0.0f)
            backward(p);
    }
    if (!p->model->backend->finish(p->model->device, status))
        return false;
    add_up(p, rows, n_rows, nll);
    return true;
}

bool train_pass_loss(struct train_pass *pass, const struct train_row *rows, int n_rows, double *nll,
                     struct status *status)
{
    pass->drops = false;
    return run(pass, rows, n_rows, 0.0f, nll, status);
}

bool train_pass_gradients(struct train_pass *pass, const struct train_row *rows, int n_rows,
                          float weight, double *nll, struct status *status)
{
    pass->drops = true;
    return run(pass, rows, n_rows, weight, nll, status);
}
