/* The table of training, its products by tiles, and what is done row by row. */
#include "cpu/cpu_gradient.h"

#include <assert.h>
#include <string.h>

/* ---- products ------------------------------------------------------------------------------ */

void cpu_gradient_multiply(const struct cpu_kernels *kernels, float *y, size_t y_stride,
                           size_t n_cols, const float *x, size_t x_stride, size_t n_rows,
                           const float *w, size_t w_stride, size_t n_k, bool go_on)
{
    const size_t width = (size_t)kernels->tile_panels * PANEL_ROWS;
    const size_t step = (size_t)kernels->tile_rows, n_tiles = (n_rows + step - 1) / step;

    assert(n_k > 0);
    for (size_t c = 0; c < n_cols; c += width, w += w_stride * (size_t)kernels->tile_panels) {
        size_t row = 0;

        for (size_t t = 0; t < n_tiles; t++) { /* of about the same size */
            const size_t n = n_rows / n_tiles + (t < n_rows % n_tiles);

            kernels->tile(y + row * y_stride + c, y_stride, (int)gradient_least(width, n_cols - c),
                          x + row * x_stride, x_stride, (int)n, w, w_stride, n_k, go_on);
            row += n;
        }
    }
}

void cpu_gradient_pack(float *w, size_t w_stride, const float *x, size_t x_stride, size_t n_k,
                       size_t n_cols)
{
    for (size_t c = 0; c < n_cols; c += PANEL_ROWS, w += w_stride) {
        if (n_cols - c >= PANEL_ROWS) {
            for (size_t k = 0; k < n_k; k++)
                memcpy(w + k * PANEL_ROWS, x + k * x_stride + c, PANEL_ROWS * sizeof(*w));
            continue;
        }
        memset(w, 0, n_k * PANEL_ROWS * sizeof(*w));
        for (size_t k = 0; k < n_k; k++)
            memcpy(w + k * PANEL_ROWS, x + k * x_stride + c, (n_cols - c) * sizeof(*w));
    }
}

void cpu_gradient_pack_transposed(const struct cpu_kernels *kernels, float *w, size_t w_stride,
                                  const float *x, size_t x_stride, size_t n_k, size_t n_cols)
{
    for (size_t c = 0; c < n_cols; c += PANEL_ROWS, w += w_stride) {
        const size_t lanes = gradient_least(PANEL_ROWS, n_cols - c);
        size_t k = 0;

        for (; lanes == PANEL_ROWS && n_k - k >= PANEL_ROWS; k += PANEL_ROWS)
            kernels->gradient->transpose(w + k * PANEL_ROWS, PANEL_ROWS, x + c * x_stride + k,
                                         x_stride);
        if (k == n_k)
            continue;
        memset(w + k * PANEL_ROWS, 0, (n_k - k) * PANEL_ROWS * sizeof(*w));
        for (size_t i = 0; i < lanes; i++) {
            for (size_t j = k; j < n_k; j++)
                w[j * PANEL_ROWS + i] = x[(c + i) * x_stride + j];
        }
    }
}

/* ---- scratch ------------------------------------------------------------------------------- */

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t thread_floats(size_t n_rows)
{
    return larger(larger(cpu_gradient_linear_scratch(), cpu_gradient_lora_scratch()),
                  cpu_gradient_attention_scratch(n_rows));
}

static bool reserve(struct device *d, int n, int widest, int rank, struct status *status)
{
    const size_t panels = cpu_gradient_lora_panels((size_t)widest, (size_t)rank);
    const size_t rows = cpu_gradient_lora_rows((size_t)n, (size_t)rank);

    if (!cpu_device_reserve(d, thread_floats((size_t)n), status))
        return false;
    return (cpu_device_scratch(d, &d->lora_panels, panels, sizeof(float)) &&
            cpu_device_scratch(d, &d->lora_rows, rows, sizeof(float))) ||
           status_fail(status, STATUS_MEMORY, "cannot have %zu x 4 bytes", panels + rows);
}

static size_t reserve_size(int n_threads, int n, int widest, int rank)
{
    return ((size_t)n_threads * thread_floats((size_t)n) +
            cpu_gradient_lora_panels((size_t)widest, (size_t)rank) +
            cpu_gradient_lora_rows((size_t)n, (size_t)rank)) *
           sizeof(float);
}

/* ---- rows ---------------------------------------------------------------------------------- */

/* Floats an item should have, so that taking it costs little beside doing it. */
enum { ITEM_FLOATS = 8192 };

struct gradient_job {
    const struct cpu_kernels *kernels;
    void (*run)(const struct gradient_job *job, size_t first, size_t end);
    size_t n, rows_an_item, dim;
    float *dx, *up; /* gate and up; logits */
    const float *dy, *x, *weight;
    const int32_t *targets;
    double *nll;
    float eps, nll_weight;
};

static void rows_item(void *context, size_t item, int thread)
{
    const struct gradient_job *job = context;
    const size_t first = item * job->rows_an_item;

    (void)thread;
    job->run(job, first, first + gradient_least(job->n - first, job->rows_an_item));
}

/* run(job, first, end) for parts of [0, n), rows of job->dim floats. */
static void for_rows(struct device *d, struct gradient_job *job, size_t n)
{
    job->kernels = d->kernels;
    job->n = n;
    job->rows_an_item = job->dim < ITEM_FLOATS ? ITEM_FLOATS / job->dim : 1;
    cpu_loop(d, (n + job->rows_an_item - 1) / job->rows_an_item, rows_item, job);
}

static void run_rmsnorm(const struct gradient_job *job, size_t first, size_t end)
{
    for (size_t at = first * job->dim; at < end * job->dim; at += job->dim)
        job->kernels->gradient->rmsnorm(job->dx + at, job->dy + at, job->x + at, job->weight,
                                        job->dim, job->eps);
}

static void rmsnorm(struct device *d, float *dx, const float *dy, const float *x,
                    const float *weight, int n, int dim, float eps)
{
    struct gradient_job job = {.run = run_rmsnorm,
                               .dim = (size_t)dim,
                               .dx = dx,
                               .dy = dy,
                               .x = x,
                               .weight = weight,
                               .eps = eps};

    for_rows(d, &job, (size_t)n);
}

static void run_silu_mul(const struct gradient_job *job, size_t first, size_t end)
{
    job->kernels->gradient->silu_mul(job->dx + first, job->up + first, job->dy + first,
                                     end - first);
}

static void silu_mul(struct device *d, float *gate, float *up, const float *dy, size_t count)
{
    struct gradient_job job = {.run = run_silu_mul, .dim = 1, .dx = gate, .up = up, .dy = dy};

    for_rows(d, &job, count);
}

static void run_cross_entropy(const struct gradient_job *job, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        float *row = job->dx + i * job->dim, *target = row + job->targets[i];
        const double lse = job->kernels->log_sum_exp(row, job->dim);

        job->nll[i] = lse - (double)*target;
        if (job->nll_weight == 0.0f)
            continue;
        job->kernels->gradient->exp_less(row, row, (float)lse, job->nll_weight, job->dim);
        *target -= job->nll_weight;
    }
}

static void cross_entropy(struct device *d, double *nll, float *logits, const int32_t *targets,
                          int n, int dim, float weight)
{
    struct gradient_job job = {.run = run_cross_entropy,
                               .dim = (size_t)dim,
                               .dx = logits,
                               .targets = targets,
                               .nll = nll,
                               .nll_weight = weight};

    for_rows(d, &job, (size_t)n);
}

static void scatter_rows(struct device *d, float *y, int n_y, const float *x, const int32_t *rows,
                         int n, int dim)
{
    const size_t size = (size_t)dim * sizeof(*y);

    cpu_later_run(d);
    memset(y, 0, (size_t)n_y * size);
    for (int i = 0; i < n; i++)
        memcpy(y + (size_t)rows[i] * (size_t)dim, x + (size_t)i * (size_t)dim, size);
}

const struct gradient_ops cpu_gradients = {
    .reserve = reserve,
    .reserve_size = reserve_size,
    .linear = cpu_gradient_linear,
    .lora = cpu_lora,
    .lora_backward = cpu_lora_backward,
    .rmsnorm = rmsnorm,
    .silu_mul = silu_mul,
    .rope = cpu_rope_backward,
    .attention = cpu_train_attention,
    .attention_backward = cpu_train_attention_backward,
    .cross_entropy = cross_entropy,
    .scatter_rows = scatter_rows,
};
