/* y = x W^T + bias over panels of 16 outputs.
 *
 * An item is a group of panels for a block of rows. It goes over the columns in chunks: each
 * panel's chunk is expanded to floats in scratch that stays in the first-level cache, and all tiles
 * of the block are multiplied with it. Where the chunks, blocks, tiles and items lie changes who
 * computes an output and when, never the order of its sum. */
#include "cpu/cpu_device.h"

enum { MAX_GROUP = 8, ITEMS_PER_THREAD = 4, CACHE_LINE = 64 };

/* Rows that share one expansion of the weights: their chunk stays in the second-level cache. */
#ifndef LINEAR_ROWS
#define LINEAR_ROWS 96
#endif

struct linear_job {
    const struct device *device;
    float *y;
    const float *x;
    const struct matrix *matrix;
    const float *bias;
    size_t n;        /* rows */
    size_t chunk;    /* columns at a time */
    size_t n_steps;  /* the matrix in as many panels as a tile takes */
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
    return chunk_of(kernels, cols) * PANEL_ROWS * (size_t)kernels->tile_panels;
}

/* Bytes of a panel that are wanted soon. */
struct ahead {
    const uint8_t *at;
    size_t size;
};

/* Columns [k, k + chunk) of a panel; nothing beyond the last column. */
static struct ahead chunk_bytes(const struct linear_job *job, size_t panel, size_t k)
{
    const struct matrix *m = job->matrix;
    const size_t left = k < m->cols ? m->cols - k : 0, n = left < job->chunk ? left : job->chunk;

    return (struct ahead){cpu_matrix_at(m, panel, k), n / dtype_block_elements(m->dtype) *
                                                          dtype_block_bytes(m->dtype) * PANEL_ROWS};
}

/* Asks for the next n bytes, for the second-level cache. */
static void ask_for(struct ahead *ahead, size_t n)
{
    n = n < ahead->size ? n : ahead->size;
    for (size_t i = 0; i < n; i += CACHE_LINE)
        __builtin_prefetch(ahead->at + i, 0, 2);
    ahead->at += n;
    ahead->size -= n;
}

/* The block's rows times a chunk of as many panels as a tile takes, up to `end`; x points at the
 * chunk of its first row. What comes next is fetched meanwhile, a share with each tile. */
static void multiply_panels(const struct linear_job *job, size_t panel, size_t end, const float *x,
                            size_t first_row, size_t n_rows, const float *w, size_t w_stride,
                            size_t n_k, bool go_on, struct ahead ahead)
{
    const struct cpu_kernels *kernels = job->device->kernels;
    const size_t x_stride = job->matrix->cols;
    const size_t y_stride = job->matrix->rows, left = y_stride - panel * PANEL_ROWS;
    const size_t n_tiles = ceil_div(n_rows, (size_t)kernels->tile_rows);
    const size_t width = (end - panel) * PANEL_ROWS;
    const int n_cols = (int)(left < width ? left : width);
    float *y = job->y + first_row * y_stride + panel * PANEL_ROWS;
    const size_t share_ahead = ceil_div(ahead.size / CACHE_LINE, n_tiles) * CACHE_LINE;
    int rows = (int)(n_rows / n_tiles) + 1; /* of the first tiles; the others have one less */

    for (size_t t = 0; t < n_tiles; t++) {
        if (t == n_rows % n_tiles)
            rows--;
        ask_for(&ahead, share_ahead);
        kernels->tile(y, y_stride, n_cols, x, x_stride, rows, w, w_stride, n_k, go_on);
        y += (size_t)rows * y_stride;
        x += (size_t)rows * x_stride;
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

/* Rows [row, row + n_rows) times panels [first, end), by way of scratch. */
static void multiply_block(const struct linear_job *job, size_t row, size_t n_rows, size_t first,
                           size_t end, float *scratch)
{
    const struct matrix *m = job->matrix;
    const size_t step = (size_t)job->device->kernels->tile_panels;

    for (size_t k = 0; k < m->cols; k += job->chunk) {
        const size_t n_k = m->cols - k < job->chunk ? m->cols - k : job->chunk;
        const float *x = job->x + row * m->cols + k;

        for (size_t p = first; p < end; p += step) {
            const size_t next = p + step < end ? p + step : end;
            const float *w = scratch;
            size_t w_stride = job->chunk * PANEL_ROWS;
            const struct ahead ahead =
                next < end ? chunk_bytes(job, next, k) : chunk_bytes(job, first, k + job->chunk);

            if (m->dtype == DTYPE_F32) {
                w = (const float *)(const void *)cpu_matrix_at(m, p, k);
                w_stride = m->panel_size / sizeof(float);
            }
            for (size_t i = p; m->dtype != DTYPE_F32 && i < next; i++)
                job->device->kernels->expand(scratch + (i - p) * w_stride, m, i, k, n_k);
            multiply_panels(job, p, next, x, row, n_rows, w, w_stride, n_k, k > 0, ahead);
        }
    }
}

static void linear_item(void *context, size_t item, int thread)
{
    const struct linear_job *job = context;
    const struct cpu_kernels *kernels = job->device->kernels;
    const size_t block = item / job->n_groups, group = item % job->n_groups;
    const size_t row = share(job->n, job->n_blocks, block);
    const size_t n_rows = share(job->n, job->n_blocks, block + 1) - row;
    const size_t step = (size_t)kernels->tile_panels;
    const size_t first = share(job->n_steps, job->n_groups, group) * step;
    const size_t last = share(job->n_steps, job->n_groups, group + 1) * step;
    const size_t end = last < job->matrix->n_panels ? last : job->matrix->n_panels;

    if (job->n <= (size_t)kernels->few_rows && job->matrix->dtype != DTYPE_F32)
        kernels->few(job->y, job->x, (int)job->n, job->matrix, first, end);
    else
        multiply_block(job, row, n_rows, first, end, job->device->scratch[thread]);
    if (job->bias)
        add_bias(job, first, end, row, row + n_rows);
}

void cpu_linear(struct device *d, float *y, const float *x, const struct matrix *matrix,
                const float *bias, int n)
{
    const size_t n_threads = (size_t)thread_pool_size(d->pool);
    struct linear_job job = {.device = d, .y = y, .x = x, .matrix = matrix, .bias = bias};

    if (n <= 0)
        return;
    job.n = (size_t)n;
    job.chunk = chunk_of(d->kernels, matrix->cols);
    /* a multiple of the threads, so that equally fast ones are done together */
    job.n_steps = ceil_div(matrix->n_panels, (size_t)d->kernels->tile_panels);
    job.n_groups = ceil_div(matrix->n_panels, n_threads * MAX_GROUP) * n_threads;
    if (job.n_groups < n_threads * ITEMS_PER_THREAD)
        job.n_groups = n_threads * ITEMS_PER_THREAD;
    if (job.n_groups > job.n_steps)
        job.n_groups = job.n_steps;
    job.n_blocks = ceil_div(job.n, LINEAR_ROWS);
    thread_pool_for(d->pool, job.n_groups * job.n_blocks, linear_item, &job);
}
