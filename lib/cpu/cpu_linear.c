/* y = x W^T + bias over panels of 16 outputs.
 *
 * An item is a group of panels for a block of rows. It goes over the columns in chunks: the rows'
 * chunk is copied together (rows as far apart as a power of two would share a few cache sets), each
 * panel's chunk is expanded to floats in scratch that stays in the first-level cache, and all tiles
 * of the block are multiplied with it. Where the chunks, blocks, tiles and items lie changes who
 * computes an output and when, never the order of its sum. */
#include <string.h>

#include "cpu/cpu_device.h"

enum { MAX_GROUP = 8, ITEMS_PER_THREAD = 4, ROW_PAD = 16 };

struct linear_job {
    const struct device *device;
    float *y;
    const float *x;
    const struct matrix *matrix;
    const float *bias;
    size_t n;        /* rows */
    size_t chunk;    /* columns at a time */
    size_t group;    /* panels an item */
    size_t n_groups; /* items a block of rows */
    size_t n_blocks; /* blocks of rows */
};

static size_t ceil_div(size_t a, size_t b)
{
    return a / b + (a % b > 0);
}

/* The first of n things when they are shared as evenly as can be by n_parts. */
static size_t share(size_t n, size_t n_parts, size_t part)
{
    return n / n_parts * part + (part < n % n_parts ? part : n % n_parts);
}

/* Columns at a time: as few chunks as the kernels' chunk allows, of about one size. */
static size_t chunk_of(const struct cpu_kernels *kernels, size_t cols)
{
    if (cols <= kernels->chunk)
        return cols;
    return ceil_div(ceil_div(cols, ceil_div(cols, kernels->chunk)), QUANT_BLOCK) * QUANT_BLOCK;
}

size_t cpu_linear_scratch(const struct cpu_kernels *kernels, size_t cols)
{
    const size_t chunk = chunk_of(kernels, cols);

    return chunk * PANEL_ROWS + (cols > chunk ? LINEAR_ROWS * (chunk + ROW_PAD) : 0);
}

static void multiply_panel(const struct linear_job *job, size_t panel, const float *x,
                           size_t x_stride, size_t first_row, size_t n_rows, const float *w,
                           size_t n_k, bool go_on)
{
    const size_t y_stride = job->matrix->rows, left = y_stride - panel * PANEL_ROWS;
    const size_t n_tiles = ceil_div(n_rows, TILE_ROWS);
    float *y = job->y + first_row * y_stride + panel * PANEL_ROWS;

    for (size_t t = 0; t < n_tiles; t++) {
        const size_t r = share(n_rows, n_tiles, t), end = share(n_rows, n_tiles, t + 1);

        job->device->kernels->tile(y + r * y_stride, y_stride,
                                   left < PANEL_ROWS ? (int)left : PANEL_ROWS, x + r * x_stride,
                                   x_stride, (int)(end - r), w, n_k, go_on);
    }
}

static void add_bias(const struct linear_job *job, size_t panel, size_t end_panel, size_t row,
                     size_t end_row)
{
    const size_t first = panel * PANEL_ROWS, cols = job->matrix->rows;
    const size_t end = end_panel * PANEL_ROWS < cols ? end_panel * PANEL_ROWS : cols;

    for (; row < end_row; row++)
        job->device->kernels->add(job->y + row * cols + first, job->bias + first, end - first);
}

static void linear_item(void *context, size_t item, int thread)
{
    const struct linear_job *job = context;
    const struct matrix *m = job->matrix;
    const struct cpu_kernels *kernels = job->device->kernels;
    const size_t block = item / job->n_groups;
    const size_t row = share(job->n, job->n_blocks, block);
    const size_t n_rows = share(job->n, job->n_blocks, block + 1) - row;
    const size_t first = share(m->n_panels, job->n_groups, item % job->n_groups);
    const size_t end = share(m->n_panels, job->n_groups, item % job->n_groups + 1);
    const bool copy = n_rows > TILE_ROWS && job->chunk < m->cols;
    float *expanded = job->device->scratch[thread];
    float *copied = expanded + job->chunk * PANEL_ROWS;

    for (size_t k = 0; k < m->cols; k += job->chunk) {
        const size_t n_k = m->cols - k < job->chunk ? m->cols - k : job->chunk;
        const float *x = job->x + row * m->cols + k;

        for (size_t r = 0; copy && r < n_rows; r++)
            memcpy(copied + r * (job->chunk + ROW_PAD), x + r * m->cols, n_k * sizeof(float));
        for (size_t p = first; p < end; p++) {
            const float *w = expanded;

            if (m->dtype == DTYPE_F32)
                w = (const float *)(const void *)(m->data + p * m->panel_size) + k * PANEL_ROWS;
            else
                kernels->expand(expanded, m, p, k, n_k);
            multiply_panel(job, p, copy ? copied : x, copy ? job->chunk + ROW_PAD : m->cols, row,
                           n_rows, w, n_k, k > 0);
        }
    }
    if (job->bias)
        add_bias(job, first, end, row, row + n_rows);
}

void cpu_linear(struct device *d, float *y, const float *x, const struct matrix *matrix,
                const float *bias, int n)
{
    const size_t n_items = (size_t)thread_pool_size(d->pool) * ITEMS_PER_THREAD;
    struct linear_job job = {.device = d, .y = y, .x = x, .matrix = matrix, .bias = bias};

    if (n <= 0)
        return;
    job.n = (size_t)n;
    job.chunk = chunk_of(d->kernels, matrix->cols);
    job.group = matrix->n_panels / n_items;
    job.group = job.group < 1 ? 1 : job.group > MAX_GROUP ? MAX_GROUP : job.group;
    job.n_groups = ceil_div(matrix->n_panels, job.group);
    job.n_blocks = ceil_div(job.n, LINEAR_ROWS);
    thread_pool_for(d->pool, job.n_groups * job.n_blocks, linear_item, &job);
}
