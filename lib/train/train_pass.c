#include "train/train_pass.h"

#include <stdlib.h>

#include "base/checked.h"
#include "base/memory.h"
#include "compute/kv_cache.h"
#include "train/train_layers.h"

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

/* ------------------------------------------------------------------------------------------- */

static bool run(struct train_pass *p, const struct train_row *rows, int n_rows, float weight,
                double *nll, struct status *status)
{
    if (!check_rows(p, rows, n_rows, status))
        return false;
    choose_rows(p, rows, n_rows);
    if (p->n_head > 0) {
        train_forward(p);
        train_head(p, weight);
        if (weight != 0.0f)
            train_backward(p);
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
