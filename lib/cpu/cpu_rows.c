/* What is done row by row or element by element: embedding, norms, activations, rope. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpu_device.h"

static void run_embed(const struct rows_job *job, size_t first, size_t end)
{
    const struct matrix *m = job->matrix;

    for (size_t i = first; i < end; i++)
        cpu_matrix_row(m, (size_t)job->ids[i], 0, m->cols, job->y + i * m->cols, 1);
}

void cpu_embed(struct device *d, float *y, const struct matrix *matrix, const int32_t *ids, int n)
{
    struct rows_job job = {.run = run_embed,
                           .n = n > 0 ? (size_t)n : 0,
                           .floats = matrix->cols,
                           .y = y,
                           .matrix = matrix,
                           .ids = ids};

    if (matrix->pairs) {
        cpu_device_fail(d, STATUS_INTERNAL, "an embedding was loaded as a linear layer");
        return;
    }
    for (int i = 0; i < n; i++) {
        if (ids[i] < 0 || (size_t)ids[i] >= matrix->rows) {
            cpu_device_fail(d, STATUS_INTERNAL, "an id is not in the embedding");
            return;
        }
    }
    cpu_rows_run(d, &job);
}

/* y = some norm of the rows of x. */
static void add_norm(struct device *d, void (*run)(const struct rows_job *, size_t, size_t),
                     float *y, const float *x, const float *weight, const float *bias, int n,
                     int dim, float eps)
{
    const struct rows_job job = {.run = run,
                                 .n = (size_t)n,
                                 .floats = (size_t)dim,
                                 .y = y,
                                 .x = x,
                                 .weight = weight,
                                 .bias = bias,
                                 .dim = (size_t)dim,
                                 .eps = eps};

    cpu_later_add(d, &job);
}

static void run_rmsnorm(const struct rows_job *job, size_t first, size_t end)
{
    for (size_t at = first * job->dim; at < end * job->dim; at += job->dim)
        job->device->kernels->rmsnorm(job->y + at, job->x + at, job->weight, job->dim, job->eps);
}

void cpu_rmsnorm(struct device *d, float *y, const float *x, const float *weight, int n, int dim,
                 float eps)
{
    add_norm(d, run_rmsnorm, y, x, weight, NULL, n, dim, eps);
}

static void run_layernorm(const struct rows_job *job, size_t first, size_t end)
{
    for (size_t at = first * job->dim; at < end * job->dim; at += job->dim)
        job->device->kernels->layernorm(job->y + at, job->x + at, job->weight, job->bias, job->dim,
                                        job->eps);
}

void cpu_layernorm(struct device *d, float *y, const float *x, const float *weight,
                   const float *bias, int n, int dim, float eps)
{
    add_norm(d, run_layernorm, y, x, weight, bias, n, dim, eps);
}

static void add_elements(struct device *d, void (*run)(const struct rows_job *, size_t, size_t),
                         float *y, const float *x, const float *x2, size_t count)
{
    const struct rows_job job = {
        .run = run, .n = count, .of_elements = true, .floats = 1, .y = y, .x = x, .x2 = x2};

    cpu_later_add(d, &job);
}

static void run_add(const struct rows_job *job, size_t first, size_t end)
{
    job->device->kernels->add(job->y + first, job->x + first, end - first);
}

void cpu_add(struct device *d, float *y, const float *x, size_t count)
{
    add_elements(d, run_add, y, x, NULL, count);
}

static void run_silu_mul(const struct rows_job *job, size_t first, size_t end)
{
    job->device->kernels->silu_mul(job->y + first, job->x + first, job->x2 + first, end - first);
}

void cpu_silu_mul(struct device *d, float *y, const float *gate, const float *up, size_t count)
{
    add_elements(d, run_silu_mul, y, gate, up, count);
}

static void run_gelu(const struct rows_job *job, size_t first, size_t end)
{
    job->device->kernels->gelu(job->y + first, end - first);
}

void cpu_gelu(struct device *d, float *y, size_t count)
{
    add_elements(d, run_gelu, y, NULL, NULL, count);
}

/* y / 2 * (1 + tanh(u)) = y * sigmoid(2u), 2u = y * t with t = 2 sqrt(2 / pi) (1 + 0.044715 y^2):
 * a silu of 2u, times 1 / t. */
static void run_gelu_tanh(const struct rows_job *job, size_t first, size_t end)
{
    enum { STEP = 256 };
    float gate[STEP], up[STEP];

    for (size_t at = first; at < end; at += STEP) {
        const size_t n = end - at < STEP ? end - at : STEP;
        float *y = job->y + at;

        for (size_t i = 0; i < n; i++) {
            const float t = 1.5957691f + 0.071354816f * (y[i] * y[i]);

            gate[i] = y[i] * t;
            up[i] = 1.0f / t;
        }
        job->device->kernels->silu_mul(y, gate, up, n);
    }
}

void cpu_gelu_tanh(struct device *d, float *y, size_t count)
{
    add_elements(d, run_gelu_tanh, y, NULL, NULL, count);
}

static void run_relu(const struct rows_job *job, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++)
        job->y[i] = job->y[i] < 0.0f ? 0.0f : job->y[i]; /* NaN stays */
}

void cpu_relu(struct device *d, float *y, size_t count)
{
    add_elements(d, run_relu, y, NULL, NULL, count);
}

/* One row a text asks for it: libm is fast enough. */
static void run_tanh(const struct rows_job *job, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++)
        job->y[i] = (float)tanh((double)job->y[i]);
}

void cpu_tanh(struct device *d, float *y, size_t count)
{
    add_elements(d, run_tanh, y, NULL, NULL, count);
}

static float *grow_floats(float *old, size_t n)
{
    return n <= SIZE_MAX / sizeof(*old) ? realloc(old, n * sizeof(*old)) : NULL;
}

/* On failure what was grown stays grown. */
static bool reserve_angles(struct cpu_angles *a, size_t n, size_t half, size_t floats)
{
    if (half > a->half_cap) {
        float *grown = grow_floats(a->inv_freq, half);

        if (!grown)
            return false;
        a->inv_freq = grown;
        a->half_cap = half;
    }
    if (n > a->cap) {
        int32_t *grown = realloc(a->positions, n * sizeof(*grown));

        if (!grown)
            return false;
        a->positions = grown;
        a->cap = n;
    }
    if (floats > a->floats_cap) {
        float *cosine = grow_floats(a->cosine, floats), *sine;

        if (!cosine)
            return false;
        a->cosine = cosine;
        sine = grow_floats(a->sine, floats);
        if (!sine)
            return false;
        a->sine = sine;
        a->floats_cap = floats;
    }
    return true;
}

/* As transformers computes them: the product of frequency and position rounds to float (at position
 * 8000 that moves an angle by 2e-4, and models were trained with it), the cosine and sine of that
 * angle are exact up to their own rounding. */
static void fill_angles(struct cpu_angles *a)
{
    for (int i = 0; i < a->half; i++) {
        for (int r = 0; r < a->n; r++) {
            const float angle = (float)a->positions[r] * a->inv_freq[i];
            const size_t at = (size_t)r * (size_t)a->half + (size_t)i;

            a->cosine[at] = (float)cos((double)angle);
            a->sine[at] = (float)sin((double)angle);
        }
    }
}

/* The angles of these positions; every layer of a step asks for the same. */
static bool prepare_angles(struct device *d, const int32_t *positions, int n, const float *inv_freq,
                           int half)
{
    struct cpu_angles *a = &d->angles;
    const size_t size = (size_t)n * sizeof(*positions);
    const size_t freq_size = (size_t)half * sizeof(*inv_freq);

    if (a->n == n && a->half == half && memcmp(a->positions, positions, size) == 0 &&
        memcmp(a->inv_freq, inv_freq, freq_size) == 0)
        return true;
    cpu_later_run(d); /* by the angles it was put off with */
    a->n = 0;
    if (!reserve_angles(a, (size_t)n, (size_t)half, (size_t)n * (size_t)half))
        return false;
    memcpy(a->positions, positions, size);
    memcpy(a->inv_freq, inv_freq, freq_size);
    a->n = n;
    a->half = half;
    fill_angles(a);
    return true;
}

static void run_rope(const struct rows_job *job, size_t first, size_t end)
{
    const struct cpu_angles *a = &job->device->angles;
    const size_t half = job->dim / 2, n_heads = (size_t)job->n_heads;

    for (size_t i = first; i < end; i++) {
        for (size_t h = 0; h < n_heads; h++)
            job->rope(job->y + (i * n_heads + h) * job->dim, a->cosine + i * half,
                      a->sine + i * half, half);
    }
}

static void rotate(struct device *d, float *x, const int32_t *positions, int n, int n_heads,
                   int head_dim, const float *inv_freq, rope_kernel *rope)
{
    const struct rows_job job = {.run = run_rope,
                                 .n = n > 0 ? (size_t)n : 0,
                                 .floats = (size_t)n_heads * (size_t)head_dim,
                                 .y = x,
                                 .dim = (size_t)head_dim,
                                 .n_heads = n_heads,
                                 .rope = rope};

    if (n <= 0)
        return;
    if (!prepare_angles(d, positions, n, inv_freq, head_dim / 2)) {
        cpu_device_fail(d, STATUS_MEMORY, "no memory for the angles of a batch");
        return;
    }
    cpu_later_add(d, &job);
}

void cpu_rope(struct device *d, float *x, const int32_t *positions, int n, int n_heads,
              int head_dim, const float *inv_freq)
{
    rotate(d, x, positions, n, n_heads, head_dim, inv_freq, d->kernels->rope);
}

void cpu_rope_backward(struct device *d, float *dx, const int32_t *positions, int n, int n_heads,
                       int head_dim, const float *inv_freq)
{
    rotate(d, dx, positions, n, n_heads, head_dim, inv_freq, d->kernels->gradient->rope);
}

static void run_log_sum_exp(const struct rows_job *job, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++)
        job->sums[i] = job->device->kernels->log_sum_exp(job->x + i * job->dim, job->dim);
}

void cpu_log_sum_exp(struct device *d, double *y, const float *x, int n, int dim)
{
    struct rows_job job = {.run = run_log_sum_exp,
                           .n = (size_t)n,
                           .floats = (size_t)dim,
                           .x = x,
                           .sums = y,
                           .dim = (size_t)dim};

    cpu_rows_run(d, &job);
}

void cpu_gather_rows(struct device *d, float *y, const float *x, const int32_t *rows, int n,
                     int dim)
{
    cpu_later_run(d);
    for (int i = 0; i < n; i++)
        memcpy(y + (size_t)i * (size_t)dim, x + (size_t)rows[i] * (size_t)dim,
               (size_t)dim * sizeof(float));
}
