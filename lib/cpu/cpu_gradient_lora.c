/* What an adapter under training adds to a linear layer, and its gradients. A and B change with
 * every step, so they are packed when they are needed; masks are drawn again rather than kept. */
#include <string.h>

#include "cpu/cpu_gradient.h"

enum {
    ROWS = 48,     /* an item's, forward and back to x */
    TOKENS = 256,  /* that are packed at a time for the gradients of A and B */
    COLUMNS = 128, /* of A that an item has: whole groups of masks */
    OUTPUTS = 64,  /* of B that an item has */
    RANKS = 64,    /* of them that are taken together */
    LINE_FLOATS = 16,
};

struct lora_job {
    const struct device *device;
    const struct cpu_kernels *kernels;
    const struct lora_linear *lora;
    const struct train_batch *batch;
    float *y, *u, *du, *dx;
    const float *x, *dy, *made; /* made: u, on the way back */
    size_t rank, in, out, n;
    /* Panels. Forward: A by ranks, B by outputs. Backward: B by ranks, A by columns. */
    float *first, *second;
    size_t n_first; /* of them, behind which the second's begin */
    /* [rank][stride]: scale * A drop(x) and scale * B^T dy, transposed */
    float *u_columns, *du_columns;
    size_t stride, n_a; /* n_a: items of A's gradient */
};

static size_t ceil_div(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

/* From a rank to the next in u_columns: an odd number of lines of a cache. */
static size_t stride_of(size_t n)
{
    return (ceil_div(n, LINE_FLOATS) | 1) * LINE_FLOATS;
}

size_t cpu_gradient_lora_panels(size_t widest, size_t rank)
{
    return gradient_padded(rank) * widest + gradient_padded(widest) * rank;
}

size_t cpu_gradient_lora_rows(size_t n_rows, size_t rank)
{
    return n_rows * rank + 2 * rank * stride_of(n_rows);
}

size_t cpu_gradient_lora_scratch(void)
{
    return (size_t)TOKENS * COLUMNS + (size_t)RANKS * OUTPUTS;
}

static struct lora_job job_of(struct device *d, const struct lora_linear *lora,
                              const struct train_batch *batch)
{
    struct lora_job job = {.device = d, .kernels = d->kernels, .lora = lora, .batch = batch};

    job.rank = (size_t)lora->rank;
    job.in = (size_t)lora->in;
    job.out = (size_t)lora->out;
    job.n = (size_t)batch->n_rows;
    job.stride = stride_of(job.n);
    return job;
}

/* ---- dropout ------------------------------------------------------------------------------- */

/* Rows [row, row + n_rows), columns [first, first + n): y (add: +)= drop(x). x and y point at
 * column `first`; first is a multiple of DROP_GROUP. */
static void drop_rows(const struct lora_job *job, float *y, size_t y_stride, const float *x,
                      size_t x_stride, size_t row, size_t n_rows, size_t first, size_t n, bool add)
{
    const float kept = 1.0f - (float)job->lora->drop_below / 65536.0f;
    struct drop_row drop = {0, 0, job->lora->module, job->lora->drop_below, 1.0f / kept};
    const struct train_sequence *s = job->batch->sequences;

    for (size_t i = 0; i < n_rows; i++, x += x_stride, y += y_stride) {
        while (row + i >= (size_t)s->first_row + (size_t)s->n_rows)
            s++;
        drop.key = s->key;
        drop.position = (uint32_t)job->batch->positions[row + i];
        if (job->lora->drop_below > 0)
            job->kernels->gradient->drop(y, x, &drop, first, n, add);
        else if (add)
            job->kernels->add(y, x, n);
        else
            memcpy(y, x, n * sizeof(*y));
    }
}

/* ---- forward ------------------------------------------------------------------------------- */

static void pack_forward(void *context, size_t item, int thread)
{
    const struct lora_job *job = context;
    const size_t panel = item < job->n_first ? item : item - job->n_first, at = panel * PANEL_ROWS;

    (void)thread;
    if (item < job->n_first)
        cpu_gradient_pack_transposed(job->kernels, job->first + at * job->in, 0,
                                     job->lora->a + at * job->in, job->in, job->in,
                                     gradient_least(PANEL_ROWS, job->rank - at));
    else
        cpu_gradient_pack_transposed(job->kernels, job->second + at * job->rank, 0,
                                     job->lora->b + at * job->rank, job->rank, job->rank,
                                     gradient_least(PANEL_ROWS, job->out - at));
}

/* u = scale * A drop(x) for some rows. */
static void shrink(const struct lora_job *job, size_t row, size_t n_rows, float *scratch)
{
    float *u = job->u + row * job->rank;

    for (size_t k = 0; k < job->in; k += GRADIENT_CHUNK) {
        const size_t n_k = gradient_least(GRADIENT_CHUNK, job->in - k);
        const float *x = job->x + row * job->in + k;
        const bool drops = job->lora->drop_below > 0;

        if (drops)
            drop_rows(job, scratch, GRADIENT_CHUNK, x, job->in, row, n_rows, k, n_k, false);
        cpu_gradient_multiply(job->kernels, u, job->rank, job->rank, drops ? scratch : x,
                              drops ? GRADIENT_CHUNK : job->in, n_rows, job->first + k * PANEL_ROWS,
                              job->in * PANEL_ROWS, n_k, k > 0);
    }
    job->kernels->scale(u, u, job->lora->scale, n_rows * job->rank);
}

static void forward_item(void *context, size_t item, int thread)
{
    const struct lora_job *job = context;
    const size_t row = item * ROWS, n_rows = gradient_least(ROWS, job->n - row);

    shrink(job, row, n_rows, job->device->scratch[thread]);
    if (job->y)
        cpu_gradient_multiply(job->kernels, job->y + row * job->out, job->out, job->out,
                              job->u + row * job->rank, job->rank, n_rows, job->second,
                              job->rank * PANEL_ROWS, job->rank, true);
}

void cpu_lora(struct device *d, float *y, float *u, const float *x, const struct lora_linear *lora,
              const struct train_batch *batch)
{
    struct lora_job job = job_of(d, lora, batch);
    const size_t widest = job.in > job.out ? job.in : job.out;

    job.y = y;
    job.u = u;
    job.x = x;
    job.first = cpu_device_scratch(d, &d->lora_panels, cpu_gradient_lora_panels(widest, job.rank),
                                   sizeof(float));
    if (!job.first || job.n == 0)
        return;
    job.n_first = ceil_div(job.rank, PANEL_ROWS);
    job.second = job.first + gradient_padded(job.rank) * job.in;
    cpu_loop(d, job.n_first + (y ? ceil_div(job.out, PANEL_ROWS) : 0), pack_forward, &job);
    cpu_loop(d, ceil_div(job.n, ROWS), forward_item, &job);
}

/* ---- backward ------------------------------------------------------------------------------ */

static void pack_backward(void *context, size_t item, int thread)
{
    const struct lora_job *job = context;
    const size_t panel = item < job->n_first ? item : item - job->n_first, at = panel * PANEL_ROWS;

    (void)thread;
    if (item < job->n_first)
        cpu_gradient_pack(job->first + at * job->out, 0, job->lora->b + at, job->rank, job->out,
                          gradient_least(PANEL_ROWS, job->rank - at));
    else
        cpu_gradient_pack(job->second + at * job->rank, 0, job->lora->a + at, job->in, job->rank,
                          gradient_least(PANEL_ROWS, job->in - at));
}

/* The ranks of some rows as columns. */
static void keep_columns(const struct lora_job *job, float *columns, const float *rows, size_t row,
                         size_t n_rows)
{
    for (size_t r = 0; r < job->rank; r++) {
        for (size_t i = 0; i < n_rows; i++)
            columns[r * job->stride + row + i] = rows[(row + i) * job->rank + r];
    }
}

/* du = scale * B^T dy, dx += drop'(A^T du), for some rows. */
static void backward_item(void *context, size_t item, int thread)
{
    const struct lora_job *job = context;
    const size_t row = item * ROWS, n_rows = gradient_least(ROWS, job->n - row);
    float *du = job->du + row * job->rank, *scratch = job->device->scratch[thread];

    for (size_t k = 0; k < job->out; k += GRADIENT_CHUNK)
        cpu_gradient_multiply(job->kernels, du, job->rank, job->rank, job->dy + row * job->out + k,
                              job->out, n_rows, job->first + k * PANEL_ROWS, job->out * PANEL_ROWS,
                              gradient_least(GRADIENT_CHUNK, job->out - k), k > 0);
    job->kernels->scale(du, du, job->lora->scale, n_rows * job->rank);
    keep_columns(job, job->u_columns, job->made, row, n_rows);
    keep_columns(job, job->du_columns, job->du, row, n_rows);
    for (size_t c = 0; job->dx && c < job->in; c += GRADIENT_CHUNK) {
        const size_t n = gradient_least(GRADIENT_CHUNK, job->in - c);

        cpu_gradient_multiply(job->kernels, scratch, GRADIENT_CHUNK, n, du, job->rank, n_rows,
                              job->second + c * job->rank, job->rank * PANEL_ROWS, job->rank,
                              false);
        drop_rows(job, job->dx + row * job->in + c, job->in, scratch, GRADIENT_CHUNK, row, n_rows,
                  c, n, true);
    }
}

/* drop(x) of some tokens and columns as panels of columns. */
static void pack_dropped(const struct lora_job *job, float *w, size_t token, size_t n_tokens,
                         size_t first, size_t n)
{
    const float *x = job->x + token * job->in + first;
    float line[COLUMNS];

    if (job->lora->drop_below == 0) {
        cpu_gradient_pack(w, (size_t)TOKENS * PANEL_ROWS, x, job->in, n_tokens, n);
        return;
    }
    for (size_t t = 0; t < n_tokens; t++, x += job->in) {
        drop_rows(job, line, COLUMNS, x, job->in, token + t, 1, first, n, false);
        cpu_gradient_pack(w + t * PANEL_ROWS, (size_t)TOKENS * PANEL_ROWS, line, COLUMNS, 1, n);
    }
}

/* Some columns of A's gradient += du^T drop(x), token by token. */
static void add_to_a(const struct lora_job *job, size_t first, size_t token, size_t n_tokens,
                     float *scratch)
{
    const size_t n = gradient_least(COLUMNS, job->in - first);

    pack_dropped(job, scratch, token, n_tokens, first, n);
    cpu_gradient_multiply(job->kernels, job->lora->a_gradient + first, job->in, n,
                          job->du_columns + token, job->stride, job->rank, scratch,
                          (size_t)TOKENS * PANEL_ROWS, n_tokens, true);
}

/* Between B's gradient, [outputs][rank], and what tiles add to, [ranks][OUTPUTS]. */
static void move_b(const struct lora_job *job, size_t first, size_t n, size_t rank, size_t n_ranks,
                   float *sums, bool back)
{
    for (size_t i = 0; i < n; i++) {
        float *gradient = job->lora->b_gradient + (first + i) * job->rank + rank;

        for (size_t r = 0; r < n_ranks; r++) {
            if (back)
                gradient[r] = sums[r * OUTPUTS + i];
            else
                sums[r * OUTPUTS + i] = gradient[r];
        }
    }
}

/* Some outputs of B's gradient += dy^T u, token by token. */
static void add_to_b(const struct lora_job *job, size_t first, size_t token, size_t n_tokens,
                     float *scratch)
{
    const size_t n = gradient_least(OUTPUTS, job->out - first);
    float *sums = scratch + (size_t)TOKENS * COLUMNS;

    cpu_gradient_pack(scratch, (size_t)TOKENS * PANEL_ROWS, job->dy + token * job->out + first,
                      job->out, n_tokens, n);
    for (size_t r = 0; r < job->rank; r += RANKS) {
        const size_t n_ranks = gradient_least(RANKS, job->rank - r);

        move_b(job, first, n, r, n_ranks, sums, false);
        cpu_gradient_multiply(job->kernels, sums, OUTPUTS, n,
                              job->u_columns + r * job->stride + token, job->stride, n_ranks,
                              scratch, (size_t)TOKENS * PANEL_ROWS, n_tokens, true);
        move_b(job, first, n, r, n_ranks, sums, true);
    }
}

/* A sum is cut where a sequence is, so that its bits do not tell what it was in a batch with. */
static void gradient_item(void *context, size_t item, int thread)
{
    const struct lora_job *job = context;
    float *scratch = job->device->scratch[thread];

    for (int i = 0; i < job->batch->n_sequences; i++) {
        const struct train_sequence *s = &job->batch->sequences[i];
        const size_t n_rows = (size_t)s->n_rows, row = (size_t)s->first_row;

        for (size_t t = 0; t < n_rows; t += TOKENS) {
            const size_t n = gradient_least(TOKENS, n_rows - t);

            if (item < job->n_a)
                add_to_a(job, item * COLUMNS, row + t, n, scratch);
            else
                add_to_b(job, (item - job->n_a) * OUTPUTS, row + t, n, scratch);
        }
    }
}

void cpu_lora_backward(struct device *d, float *dx, const float *dy, const float *u, const float *x,
                       const struct lora_linear *lora, const struct train_batch *batch)
{
    struct lora_job job = job_of(d, lora, batch);
    const size_t widest = job.in > job.out ? job.in : job.out;

    job.dx = dx;
    job.dy = dy;
    job.made = u;
    job.x = x;
    job.first = cpu_device_scratch(d, &d->lora_panels, cpu_gradient_lora_panels(widest, job.rank),
                                   sizeof(float));
    job.du = cpu_device_scratch(d, &d->lora_rows, cpu_gradient_lora_rows(job.n, job.rank),
                                sizeof(float));
    if (!job.first || !job.du || job.n == 0)
        return;
    job.u_columns = job.du + job.n * job.rank;
    job.du_columns = job.u_columns + job.rank * job.stride;
    job.n_first = ceil_div(job.rank, PANEL_ROWS);
    job.second = job.first + gradient_padded(job.rank) * job.out;
    cpu_loop(d, job.n_first + (dx ? ceil_div(job.in, PANEL_ROWS) : 0), pack_backward, &job);
    cpu_loop(d, ceil_div(job.n, ROWS), backward_item, &job);
    job.n_a = ceil_div(job.in, COLUMNS);
    cpu_loop(d, job.n_a + ceil_div(job.out, OUTPUTS), gradient_item, &job);
}
