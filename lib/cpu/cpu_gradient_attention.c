/* Attention over whole sequences, and back. Queries go in groups of ATTENTION_QUERIES, whose scores
 * lie side by side: [keys][queries]. So keys and values are the rows of a product where they lie,
 * and a softmax runs down the columns.
 *
 * Forward, an item is a group of queries of one head. Backward, where the queries of all heads of
 * a group add to the same keys and values, it is a kv head of a sequence: head by head, queries
 * ascending. */
#include <math.h>
#include <string.h>

#include "compute/kv_cache.h"
#include "cpu/cpu_gradient.h"

enum { KEYS = 64, QUERIES = ATTENTION_QUERIES };

struct attention_job {
    const struct device *device;
    const struct cpu_kernels *kernels;
    const struct train_attention *shape;
    const struct train_batch *batch;
    float *out, *lse, *dq, *dk, *dv;
    const float *q, *k, *v, *dy, *made, *made_lse; /* made: out, on the way back */
    size_t dim, q_stride, kv_stride, group;
    float factor;
    size_t most_groups; /* of queries, in the longest sequence */
};

/* Queries [first, first + n) of a sequence that begins with row `row`, in one head. */
struct queries {
    size_t row, first, n, head;
    size_t first_key, end_key; /* that some of them see; first_key a multiple of KEYS */
};

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Panels of so many columns of QUERIES or KEYS elements each, or the other way round. */
static size_t panels_of(size_t dim, size_t n)
{
    return gradient_padded(dim) * gradient_padded(n);
}

size_t cpu_gradient_attention_scratch(size_t n_rows)
{
    const size_t dim = KV_MAX_HEAD_DIM, scores = (gradient_padded(n_rows) + KEYS) * QUERIES;
    const size_t forward = scores + panels_of(dim, QUERIES) + panels_of(dim, KEYS) + KEYS * QUERIES;
    const size_t backward = 3 * KEYS * QUERIES + 4 * panels_of(dim, QUERIES) + panels_of(dim, KEYS);

    return larger(forward, backward);
}

static struct attention_job job_of(const struct device *d, const struct train_attention *shape,
                                   const struct train_batch *batch)
{
    struct attention_job job = {.device = d, .kernels = d->kernels, .shape = shape, .batch = batch};

    job.dim = (size_t)shape->head_dim;
    job.q_stride = (size_t)shape->n_heads * job.dim;
    job.kv_stride = (size_t)shape->n_kv_heads * job.dim;
    job.group = (size_t)(shape->n_heads / shape->n_kv_heads);
    job.factor = 1.0f / sqrtf((float)shape->head_dim);
    for (int i = 0; i < batch->n_sequences; i++)
        job.most_groups =
            larger(job.most_groups, ((size_t)batch->sequences[i].n_rows + QUERIES - 1) / QUERIES);
    return job;
}

static struct queries queries_of(const struct attention_job *job, const struct train_sequence *s,
                                 size_t first, size_t head)
{
    const size_t n = gradient_least(QUERIES, (size_t)s->n_rows - first);
    const size_t window = (size_t)job->shape->window;
    struct queries q = {(size_t)s->first_row, first, n, head, 0, first + n};

    if (window > 0 && first + 1 > window)
        q.first_key = (first + 1 - window) / KEYS * KEYS;
    return q;
}

/* Where a query's part begins in q and its like, and a key's in k and its like. */
static size_t query_at(const struct attention_job *job, const struct queries *q)
{
    return (q->row + q->first) * job->q_stride + q->head * job->dim;
}

static size_t key_at(const struct attention_job *job, const struct queries *q, size_t key)
{
    return (q->row + key) * job->kv_stride + q->head / job->group * job->dim;
}

/* y [n_keys][QUERIES] = products of keys (or values) from `key` on with the packed queries. */
static void multiply_keys(const struct attention_job *job, const struct queries *q, float *y,
                          const float *keys, size_t key, size_t n_keys, const float *packed)
{
    cpu_gradient_multiply(job->kernels, y, QUERIES, QUERIES, keys + key_at(job, q, key),
                          job->kv_stride, n_keys, packed, job->dim * PANEL_ROWS, job->dim, false);
}

/* Scores of keys that a query does not see, as they lie behind it or before its window. */
static void hide(const struct attention_job *job, const struct queries *q, float *scores,
                 size_t key, size_t n_keys)
{
    const size_t window = (size_t)job->shape->window;

    for (size_t i = key; i < key + n_keys; i++, scores += QUERIES) {
        for (size_t c = q->first; c < i && c < q->first + QUERIES; c++)
            scores[c - q->first] = -INFINITY;
        for (size_t c = larger(i + window, q->first); window > 0 && c < q->first + q->n; c++)
            scores[c - q->first] = -INFINITY;
    }
}

/* The queries' part of x as panels of queries; QUERIES of them, zeros where there are less. */
static void pack_queries(const struct attention_job *job, const struct queries *q, float *w,
                         const float *x)
{
    const size_t size = job->dim * PANEL_ROWS;

    if (q->n <= PANEL_ROWS)
        memset(w + size, 0, size * sizeof(*w));
    cpu_gradient_pack_transposed(job->kernels, w, size, x + query_at(job, q), job->q_stride,
                                 job->dim, q->n);
}

/* y [QUERIES][KEYS] = x [n_keys][QUERIES] transposed, by whole panels. */
static void transpose_keys(const struct attention_job *job, float *y, const float *x, size_t n_keys)
{
    for (size_t k = 0; k < n_keys; k += PANEL_ROWS) {
        for (size_t c = 0; c < QUERIES; c += PANEL_ROWS)
            job->kernels->gradient->transpose(y + c * KEYS + k, KEYS, x + k * QUERIES + c, QUERIES);
    }
}

/* The queries' part of y (go_on: +)= x [QUERIES][KEYS] times keys (or values) from `key` on. */
static void add_keys(const struct attention_job *job, const struct queries *q, float *y,
                     const float *x, const float *keys, size_t key, size_t n_keys, float *scratch,
                     bool go_on)
{
    cpu_gradient_pack(scratch, KEYS * PANEL_ROWS, keys + key_at(job, q, key), job->kv_stride,
                      n_keys, job->dim);
    cpu_gradient_multiply(job->kernels, y + query_at(job, q), job->q_stride, job->dim, x, KEYS,
                          q->n, scratch, KEYS * PANEL_ROWS, n_keys, go_on);
}

/* ---- forward ------------------------------------------------------------------------------- */

static void forward_queries(const struct attention_job *job, const struct queries *q,
                            float *scratch)
{
    const size_t n_keys = q->end_key - q->first_key;
    float *scores = scratch, *packed = scores + (gradient_padded(n_keys) + KEYS) * QUERIES;
    float *weights = packed + panels_of(job->dim, QUERIES), *values = weights + KEYS * QUERIES;
    float lse[QUERIES];

    pack_queries(job, q, packed, job->q);
    multiply_keys(job, q, scores, job->k, q->first_key, n_keys, packed);
    hide(job, q, scores, q->first_key, n_keys);
    job->kernels->gradient->softmax(scores, n_keys, job->factor, lse);
    for (size_t i = 0; i < q->n; i++)
        job->lse[(q->row + q->first + i) * (size_t)job->shape->n_heads + q->head] = lse[i];
    for (size_t k = q->first_key; k < q->end_key; k += KEYS) {
        const size_t n = gradient_least(KEYS, q->end_key - k);

        transpose_keys(job, weights, scores + (k - q->first_key) * QUERIES, n);
        add_keys(job, q, job->out, weights, job->v, k, n, values, k > q->first_key);
    }
}

/* Items: [sequence][group of queries][head]; those behind a shorter sequence's end are empty. */
static void forward_item(void *context, size_t item, int thread)
{
    const struct attention_job *job = context;
    const size_t n_heads = (size_t)job->shape->n_heads, group = item / n_heads;
    const struct train_sequence *s = &job->batch->sequences[group / job->most_groups];
    const size_t first = group % job->most_groups * QUERIES;

    if (first < (size_t)s->n_rows) {
        const struct queries q = queries_of(job, s, first, item % n_heads);

        forward_queries(job, &q, job->device->scratch[thread]);
    }
}

void cpu_train_attention(struct device *d, float *out, float *lse, const float *q, const float *k,
                         const float *v, const struct train_attention *shape,
                         const struct train_batch *batch)
{
    struct attention_job job = job_of(d, shape, batch);

    job.out = out;
    job.lse = lse;
    job.q = q;
    job.k = k;
    job.v = v;
    cpu_loop(d, (size_t)batch->n_sequences * job.most_groups * (size_t)shape->n_heads, forward_item,
             &job);
}

/* ---- backward ------------------------------------------------------------------------------ */

/* A thread's scratch. */
struct way_back {
    float *scores, *slopes;  /* [KEYS][QUERIES] */
    float *by_query;         /* [QUERIES][KEYS] */
    float *q, *dy;           /* panels of queries, [dim][16] each */
    float *q_rows, *dy_rows; /* panels of elements, [QUERIES][16] each */
    float *keys;             /* panels of elements, [KEYS][16] each */
    float lse[QUERIES], inner[QUERIES];
};

static struct way_back divide(float *scratch, size_t dim)
{
    struct way_back b = {.scores = scratch};

    b.slopes = b.scores + KEYS * QUERIES;
    b.by_query = b.slopes + KEYS * QUERIES;
    b.q = b.by_query + KEYS * QUERIES;
    b.dy = b.q + panels_of(dim, QUERIES);
    b.q_rows = b.dy + panels_of(dim, QUERIES);
    b.dy_rows = b.q_rows + panels_of(dim, QUERIES);
    b.keys = b.dy_rows + panels_of(dim, QUERIES);
    return b;
}

static void prepare(const struct attention_job *job, const struct queries *q, struct way_back *b)
{
    const size_t at = query_at(job, q);

    pack_queries(job, q, b->q, job->q);
    pack_queries(job, q, b->dy, job->dy);
    cpu_gradient_pack(b->q_rows, QUERIES * PANEL_ROWS, job->q + at, job->q_stride, q->n, job->dim);
    cpu_gradient_pack(b->dy_rows, QUERIES * PANEL_ROWS, job->dy + at, job->q_stride, q->n,
                      job->dim);
    memset(b->lse, 0, sizeof(b->lse));
    memset(b->inner, 0, sizeof(b->inner));
    for (size_t i = 0; i < q->n; i++) {
        const size_t row = q->row + q->first + i;

        b->lse[i] = job->made_lse[row * (size_t)job->shape->n_heads + q->head];
        b->inner[i] = job->kernels->gradient->dot(job->dy + at + i * job->q_stride,
                                                  job->made + at + i * job->q_stride, job->dim);
    }
}

/* keys' part of y += x [n_keys][QUERIES] times the queries' rows. */
static void add_queries(const struct attention_job *job, const struct queries *q, float *y,
                        const float *x, const float *rows, size_t key, size_t n_keys)
{
    cpu_gradient_multiply(job->kernels, y + key_at(job, q, key), job->kv_stride, job->dim, x,
                          QUERIES, n_keys, rows, QUERIES * PANEL_ROWS, q->n, true);
}

static void backward_queries(const struct attention_job *job, const struct queries *q,
                             struct way_back *b)
{
    prepare(job, q, b);
    for (size_t k = q->first_key; k < q->end_key; k += KEYS) {
        const size_t n = gradient_least(KEYS, q->end_key - k);

        multiply_keys(job, q, b->scores, job->k, k, n, b->q);
        multiply_keys(job, q, b->slopes, job->v, k, n, b->dy);
        hide(job, q, b->scores, k, n);
        job->kernels->gradient->softmax_backward(b->scores, b->slopes, n, job->factor, b->lse,
                                                 b->inner);
        add_queries(job, q, job->dv, b->scores, b->dy_rows, k, n);
        add_queries(job, q, job->dk, b->slopes, b->q_rows, k, n);
        transpose_keys(job, b->by_query, b->slopes, n);
        add_keys(job, q, job->dq, b->by_query, job->k, k, n, b->keys, k > q->first_key);
    }
}

static void backward_item(void *context, size_t item, int thread)
{
    const struct attention_job *job = context;
    const size_t n_kv_heads = (size_t)job->shape->n_kv_heads, kv_head = item % n_kv_heads;
    const struct train_sequence *s = &job->batch->sequences[item / n_kv_heads];
    struct way_back b = divide(job->device->scratch[thread], job->dim);

    for (size_t row = (size_t)s->first_row; row < (size_t)s->first_row + (size_t)s->n_rows; row++) {
        memset(job->dk + row * job->kv_stride + kv_head * job->dim, 0, job->dim * sizeof(float));
        memset(job->dv + row * job->kv_stride + kv_head * job->dim, 0, job->dim * sizeof(float));
    }
    for (size_t head = kv_head * job->group; head < (kv_head + 1) * job->group; head++) {
        for (size_t first = 0; first < (size_t)s->n_rows; first += QUERIES) {
            const struct queries q = queries_of(job, s, first, head);

            backward_queries(job, &q, &b);
        }
    }
}

void cpu_train_attention_backward(struct device *d, float *dq, float *dk, float *dv,
                                  const float *dy, const float *out, const float *lse,
                                  const float *q, const float *k, const float *v,
                                  const struct train_attention *shape,
                                  const struct train_batch *batch)
{
    struct attention_job job = job_of(d, shape, batch);

    job.dq = dq;
    job.dk = dk;
    job.dv = dv;
    job.dy = dy;
    job.made = out;
    job.made_lse = lse;
    job.q = q;
    job.k = k;
    job.v = v;
    cpu_loop(d, (size_t)batch->n_sequences * (size_t)shape->n_kv_heads, backward_item, &job);
}
