#include "model/bert.h"

#include <assert.h>
#include <stdlib.h>

#include "base/memory.h"
#include "compute/kv_cache.h"

struct bert {
    const struct backend *backend;
    struct device *device;
    struct model_config config;
    struct bert_weights weights;
    struct kv_cache *kv; /* of one layer: each layer writes over the one before */
    int max_rows, max_segments;
    int32_t *first_rows; /* [max_segments] ours, in host memory */
    /* on the device, [max_rows][...] */
    float *x;         /* [dim] */
    float *q, *k, *v; /* [dim] */
    float *attended;  /* [dim] */
    float *added;     /* [dim] what a half of a layer, or an embedding, adds to x */
    float *inner;     /* [ffn_dim] */
    float *logits;    /* [max_segments][n_labels]; NULL without a head */
};

static bool alloc_scratch(struct bert *b, struct status *status)
{
    const size_t n = (size_t)b->max_rows * (size_t)b->config.dim;
    float **const all[] = {&b->x, &b->q, &b->k, &b->v, &b->attended, &b->added};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        *all[i] = b->backend->alloc(b->device, n, status);
        if (!*all[i])
            return false;
    }
    b->inner =
        b->backend->alloc(b->device, (size_t)b->max_rows * (size_t)b->config.ffn_dim, status);
    if (b->inner && b->config.n_labels > 0)
        b->logits = b->backend->alloc(b->device,
                                      (size_t)b->max_segments * (size_t)b->config.n_labels, status);
    return b->inner && (b->logits || b->config.n_labels == 0);
}

struct bert *bert_open(const struct model_files *files, const struct backend *backend,
                       struct device *device, int max_rows, int max_segments, struct status *status)
{
    struct bert *b = memory_zeroed(1, sizeof(*b));
    const struct model_config *c = &files->config;
    const int max_blocks = kv_cache_blocks(max_rows) + max_segments;

    b->backend = backend;
    b->device = device;
    b->config = *c;
    b->max_rows = max_rows;
    b->max_segments = max_segments;
    b->first_rows = memory_zeroed((size_t)max_segments, sizeof(*b->first_rows));
    if (!weights_load_bert(&b->weights, files, backend, device, status) ||
        !alloc_scratch(b, status) ||
        !(b->kv = kv_cache_open(backend, device, 1, c->n_kv_heads, c->head_dim, max_segments,
                                max_blocks, status))) {
        bert_close(b);
        return NULL;
    }
    return b;
}

void bert_close(struct bert *b)
{
    if (!b)
        return;

    float *const all[] = {b->x, b->q, b->k, b->v, b->attended, b->added, b->inner, b->logits};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        b->backend->free(b->device, all[i]);
    free(b->first_rows);
    kv_cache_close(b->kv);
    weights_release_bert(&b->weights, b->config.n_layers, b->backend, b->device);
    free(b);
}

static void embed(struct bert *b, const struct batch *batch)
{
    const struct backend *op = b->backend;
    struct device *d = b->device;
    const struct bert_weights *w = &b->weights;
    const int n = batch->n_rows, dim = b->config.dim;
    const size_t count = (size_t)n * (size_t)dim;

    op->embed(d, b->x, w->word_embeddings, batch->tokens, n);
    op->embed(d, b->added, w->token_type_embeddings, batch->types, n);
    op->add(d, b->x, b->added, count);
    op->embed(d, b->added, w->position_embeddings, batch->positions, n);
    op->add(d, b->x, b->added, count);
    op->layernorm(d, b->x, b->x, w->embeddings_norm.weight, w->embeddings_norm.bias, n, dim,
                  b->config.norm_eps);
}

static void activate(struct bert *b, float *y, size_t count)
{
    switch (b->config.activation) {
    case ACTIVATION_GELU:
        b->backend->gelu(b->device, y, count);
        break;
    case ACTIVATION_GELU_TANH:
        b->backend->gelu_tanh(b->device, y, count);
        break;
    case ACTIVATION_RELU:
        b->backend->relu(b->device, y, count);
        break;
    }
}

/* attended = attention(query(x), key(x), value(x)), for all rows */
static void attend(struct bert *b, const struct batch *batch, const struct bert_layer *w)
{
    const struct backend *op = b->backend;
    struct device *d = b->device;
    const int n = batch->n_rows;
    const struct linear_call linears[] = {
        {.y = b->q, .matrix = w->query.weight, .bias = w->query.bias},
        {.y = b->k, .matrix = w->key.weight, .bias = w->key.bias},
        {.y = b->v, .matrix = w->value.weight, .bias = w->value.bias},
    };

    op->linears(d, linears, 3, b->x, n);
    op->kv_append(d, b->kv, 0, b->k, b->v, batch);
    op->attention(d, b->attended, b->q, b->kv, 0, batch, b->config.n_heads, false, 0);
}

/* The rest of a layer, each row on its own: x and attended are [n][dim]. */
static void transform(struct bert *b, float *x, const float *attended, int n,
                      const struct bert_layer *w)
{
    const struct backend *op = b->backend;
    struct device *d = b->device;
    const struct model_config *c = &b->config;
    const size_t count = (size_t)n * (size_t)c->dim;

    op->linear(d, b->added, attended, w->attention_output.weight, w->attention_output.bias, n);
    op->add(d, x, b->added, count);
    op->layernorm(d, x, x, w->attention_output_norm.weight, w->attention_output_norm.bias, n,
                  c->dim, c->norm_eps);
    op->linear(d, b->inner, x, w->intermediate.weight, w->intermediate.bias, n);
    activate(b, b->inner, (size_t)n * (size_t)c->ffn_dim);
    op->linear(d, b->added, b->inner, w->output.weight, w->output.bias, n);
    op->add(d, x, b->added, count);
    op->layernorm(d, x, x, w->output_norm.weight, w->output_norm.bias, n, c->dim, c->norm_eps);
}

/* The last layer's hidden states of rows[0 .. n), or with rows NULL of all; what nobody reads of
 * that layer is not computed. */
static float *last_layer(struct bert *b, const struct batch *batch, const int32_t *rows, int n)
{
    const struct bert_layer *w = &b->weights.layers[b->config.n_layers - 1];
    float *x = b->k, *attended = b->q; /* free behind the attention */

    attend(b, batch, w);
    if (!rows) {
        transform(b, b->x, b->attended, batch->n_rows, w);
        return b->x;
    }
    b->backend->gather_rows(b->device, x, b->x, rows, n, b->config.dim);
    b->backend->gather_rows(b->device, attended, b->attended, rows, n, b->config.dim);
    transform(b, x, attended, n, w);
    return x;
}

/* The slots' room for the batch: whole texts, so each begins anew. */
static bool take_slots(struct bert *b, const struct batch *batch, struct status *status)
{
    for (int i = 0; i < batch->n_segments; i++) {
        const struct segment *s = &batch->segments[i];

        if (!kv_cache_reserve(b->kv, s->slot, s->n_rows))
            return status_fail(status, STATUS_INTERNAL, "no room for %d tokens in the encoder",
                               s->n_rows);
        if (!kv_cache_grow(b->kv, s->slot, s->n_rows, status))
            return false;
    }
    return true;
}

/* All layers: the hidden states as last_layer gives them, on the device. NULL: no room for the
 * batch, and nothing was done. */
static float *run_layers(struct bert *b, const struct batch *batch, const int32_t *rows, int n,
                         struct status *status)
{
    assert(batch->n_rows <= b->max_rows && batch->n_segments <= b->max_segments);
    assert(n <= batch->n_rows);
    if (!take_slots(b, batch, status))
        return NULL;
    embed(b, batch);
    for (int i = 0; i + 1 < b->config.n_layers; i++) {
        attend(b, batch, &b->weights.layers[i]);
        transform(b, b->x, b->attended, batch->n_rows, &b->weights.layers[i]);
    }
    return last_layer(b, batch, rows, n);
}

/* n floats of the result (NULL: none) to the host; the slots are free again, whatever became of
 * them. */
static bool take_result(struct bert *b, const struct batch *batch, float *to, const float *from,
                        size_t n, struct status *status)
{
    bool ok = from != NULL;

    if (ok) {
        b->backend->to_host(b->device, to, from, n);
        ok = b->backend->finish(b->device, status);
    }
    for (int i = 0; i < batch->n_segments; i++)
        kv_cache_free_slot(b->kv, batch->segments[i].slot);
    return ok;
}

bool bert_forward(struct bert *b, const struct batch *batch, const int32_t *rows, int n_rows,
                  float *hidden, struct status *status)
{
    const int n = rows ? n_rows : batch->n_rows;
    const float *x = run_layers(b, batch, rows, n, status);

    return take_result(b, batch, hidden, x, (size_t)n * (size_t)b->config.dim, status);
}

/* logits = classifier(tanh(pooler(x))), x: [n][dim] */
static void classify(struct bert *b, const float *x, int n)
{
    const struct backend *op = b->backend;
    struct device *d = b->device;
    const struct bert_weights *w = &b->weights;

    op->linear(d, b->v, x, w->pooler.weight, w->pooler.bias, n);
    op->tanh(d, b->v, (size_t)n * (size_t)b->config.dim);
    op->linear(d, b->logits, b->v, w->classifier.weight, w->classifier.bias, n);
}

bool bert_classify(struct bert *b, const struct batch *batch, float *logits, struct status *status)
{
    const int n = batch->n_segments;
    const float *x;

    assert(b->logits);
    for (int i = 0; i < n; i++)
        b->first_rows[i] = batch->segments[i].first_row;
    x = run_layers(b, batch, b->first_rows, n, status);
    if (x)
        classify(b, x, n);
    return take_result(b, batch, logits, x ? b->logits : NULL,
                       (size_t)n * (size_t)b->config.n_labels, status);
}
