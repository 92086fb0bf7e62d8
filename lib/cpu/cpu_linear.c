/* y = x W^T + bias over panels of 16 outputs.
 *
 * An item is a group of panels for a block of rows. It goes over the columns in chunks: what a
 * chunk of some panels holds is expanded in scratch that stays in a cache, floats for one tile's
 * panels in the first level, words for several in the second. Then all tiles of the block are
 * multiplied with it, those of one row of tiles one after the other: their x stays in the first
 * level, and y is written where it was written just before. Where the chunks, blocks, tiles and
 * items lie changes who computes an output and when, never the order of its sum. */
#include <assert.h>

#include "cpu/cpu_addition.h"
#include "cpu/cpu_codes.h"
#include "cpu/cpu_device.h"

enum { MAX_GROUP = 8, ITEMS_PER_THREAD = 4, CACHE_LINE = 64 };

/* Rows that share one expansion of the weights. Of floats, their chunk stays in the second-level
 * cache; of words it is the expanded ones that do. */
#ifndef LINEAR_ROWS
#define LINEAR_ROWS 96
#endif
#ifndef WORD_ROWS
#define WORD_ROWS 512
#endif
/* Rows that are worth an expansion of their own: a thread then multiplies those it has made. */
#ifndef OWN_ROWS
#define OWN_ROWS 128
#endif
enum { WORD_BYTES = 192 << 10 }; /* expanded at a time */
/* Of the few outputs of an addition's A, so that all threads have some. */
#ifndef ADDITION_ROWS
#define ADDITION_ROWS 64
#endif

struct linear_job {
    const struct device *device;
    float *y;
    const float *x;
    const struct matrix *matrix;
    const float *bias;
    const struct cpu_addition *additions; /* [n_additions] */
    size_t n_additions;
    bool is_scaled;
    float scale;
    struct word_rows x_words; /* x, for sets that multiply words */
    size_t n;                 /* rows */
    size_t chunk;             /* columns at a time */
    size_t tile_rows, tile_panels;
    size_t together; /* panels that are expanded at a time */
    size_t n_steps;  /* the matrix in as many panels as a tile takes */
    size_t n_groups; /* items a block of rows */
    size_t n_blocks; /* blocks of rows */
};

static size_t ceil_div(size_t a, size_t b)
{
    return a / b + (a % b > 0);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* The first of n things when they are shared as evenly as can be by n_parts. */
static size_t share(size_t n, size_t n_parts, size_t part)
{
    return n / n_parts * part + (part < n % n_parts ? part : n % n_parts);
}

/* Columns at a time: as few chunks as the kernels' chunk allows, of about one size. */
static size_t chunk_of(const struct cpu_kernels *kernels, size_t cols)
{
    const size_t unit = kernels->words ? WORD_GROUP : QUANT_BLOCK;
    const size_t most = kernels->words ? kernels->words->chunk : kernels->chunk;

    if (cols <= most)
        return cols;
    return ceil_div(ceil_div(cols, ceil_div(cols, most)), unit) * unit;
}

/* Panels expanded at a time: a tile's, or as many words as stay in the second-level cache. */
static size_t panels_together(const struct cpu_kernels *kernels, size_t cols)
{
    const size_t size = chunk_of(kernels, cols) * PANEL_ROWS * 2; /* of a panel's words */
    size_t tile, n;

    if (!kernels->words)
        return (size_t)kernels->tile_panels;
    tile = (size_t)kernels->words->tile_panels;
    n = WORD_BYTES / size < MAX_GROUP ? WORD_BYTES / size : MAX_GROUP;
    return n < tile ? tile : n / tile * tile;
}

size_t cpu_linear_scratch(const struct cpu_kernels *kernels, size_t cols)
{
    const size_t n = chunk_of(kernels, cols) * PANEL_ROWS * panels_together(kernels, cols);
    const size_t scales = word_groups(chunk_of(kernels, cols)) * PANEL_ROWS;
    const size_t words = ceil_div(n, 2) + scales * panels_together(kernels, cols);
    const size_t measured = (WORD_GROUP + word_groups(cols)) * PANEL_ROWS;
    const size_t added = cpu_addition_scratch(kernels, cols);

    if (!kernels->words)
        return larger(n, added);
    return larger(larger(words, measured), added);
}

/* What is wanted soon: weights, then their scales. */
struct ahead {
    const uint8_t *at, *scales;
    size_t size, scales_size; /* bytes left */
};

/* Where the pairs of columns from k on lie in a panel of a matrix that was rounded once. */
static const int32_t *kept_pairs(const struct matrix *m, size_t panel, size_t k)
{
    return m->pairs + (panel * ceil_div(m->cols, 2) + k / 2) * PANEL_ROWS;
}

/* Where the scales, or their bytes, of columns from k on are. */
static size_t scale_index(const struct matrix *m, size_t panel, size_t k)
{
    return (panel * word_groups(m->cols) + k / WORD_GROUP) * PANEL_ROWS;
}

/* Columns [k, k + chunk) of panels [panel, end), if these are all columns, else of the first of
 * them; nothing beyond the last column. */
static struct ahead chunk_bytes(const struct linear_job *job, size_t panel, size_t end, size_t k)
{
    const struct matrix *m = job->matrix;
    const size_t left = k < m->cols ? m->cols - k : 0, n = least(left, job->chunk);
    const size_t n_panels = n == m->cols ? end - panel : 1;
    struct ahead ahead = {0};

    if (m->pairs) {
        ahead.at = (const uint8_t *)kept_pairs(m, panel, k);
        ahead.size = ceil_div(n, 2) * PANEL_ROWS * sizeof(int32_t) * n_panels;
    } else {
        ahead.at = m->data + panel * m->panel_size + k * m->panel_size / m->cols;
        ahead.size = n * m->panel_size / m->cols * n_panels;
    }
    if (m->scales && n > 0) {
        ahead.scales = (const uint8_t *)(m->scales + scale_index(m, panel, k));
        ahead.scales_size = word_groups(n) * PANEL_ROWS * sizeof(float) * n_panels;
    } else if (m->scale_bytes && n > 0) {
        ahead.scales = m->scale_bytes + scale_index(m, panel, k);
        ahead.scales_size = word_groups(n) * PANEL_ROWS * n_panels;
    }
    return ahead;
}

static size_t lines_of(const struct ahead *ahead)
{
    return ceil_div(ahead->size, CACHE_LINE) + ceil_div(ahead->scales_size, CACHE_LINE);
}

/* The next n lines of it, or fewer where the weights end. */
static const uint8_t *take_lines(struct ahead *ahead, size_t *n)
{
    const uint8_t *at = ahead->at;

    if (ahead->size == 0) {
        *ahead = (struct ahead){.at = ahead->scales, .size = ahead->scales_size};
        at = ahead->at;
    }
    *n = least(*n, ceil_div(ahead->size, CACHE_LINE));
    if (*n > 0)
        ahead->at += *n * CACHE_LINE;
    ahead->size -= least(ahead->size, *n * CACHE_LINE);
    return at;
}

/* Asks for the next n lines, for the second-level cache. */
static void ask_for(struct ahead *ahead, size_t n)
{
    const uint8_t *at = take_lines(ahead, &n);

    for (; n > 0; n--, at += CACHE_LINE)
        __builtin_prefetch(at, 0, 2);
}

/* The weights of a part as tiles take them: in scratch, or where they lie. */
struct expanded {
    const void *w;
    size_t stride; /* from a panel to the next one */
    const float *scales;
    size_t scale_stride;
};

/* A chunk of the columns of the panels that are expanded together, for a block's rows. */
struct part {
    size_t row, n_rows; /* rows of x */
    size_t panel, end;
    size_t k, n_k; /* columns */
};

static void run_float_tile(const struct linear_job *job, const struct part *part, size_t row,
                           int n_rows, float *y, int n_cols, const float *w, size_t w_stride)
{
    job->device->kernels->tile(y, job->matrix->rows, n_cols,
                               job->x + row * job->matrix->cols + part->k, job->matrix->cols,
                               n_rows, w, w_stride, part->n_k, part->k > 0);
}

static void run_word_tile(const struct linear_job *job, const struct part *part, size_t row,
                          int n_rows, size_t panel, float *y, int n_cols, const struct expanded *w,
                          struct ahead *ahead, size_t n_ahead)
{
    const struct word_rows *all = &job->x_words;
    const size_t i = panel - part->panel;
    const struct word_rows x = {all->pairs + row * all->stride + part->k / 2,
                                all->scales + part->k / WORD_GROUP * all->scale_stride + row,
                                all->stride,
                                all->scale_stride,
                                NULL,
                                0};
    const size_t n_groups = word_groups(part->n_k);
    size_t n_lines = ceil_div(n_ahead, n_groups) * n_groups;
    const uint8_t *at = take_lines(ahead, &n_lines);
    const struct word_panels panels = {(const int32_t *)w->w + i * w->stride,
                                       w->scales + i * w->scale_stride,
                                       w->stride,
                                       w->scale_stride,
                                       at,
                                       ceil_div(n_lines, n_groups)};

    job->device->kernels->words->tile(y, job->matrix->rows, n_cols, &x, n_rows, &panels, part->n_k,
                                      part->k > 0);
}

/* One tile: as many panels from `panel` on as it takes. w: the part's. n_ahead: the lines of what
 * is ahead that are fetched meanwhile, or a few more. */
static void multiply_tile(const struct linear_job *job, const struct part *part, size_t row,
                          int n_rows, size_t panel, const struct expanded *w, struct ahead *ahead,
                          size_t n_ahead)
{
    const size_t cols = job->matrix->rows, first = panel * PANEL_ROWS;
    const size_t most = panel + job->tile_panels, end = most < part->end ? most : part->end;
    const size_t width = (end - panel) * PANEL_ROWS, left = cols - first;
    const int n_cols = (int)(left < width ? left : width);
    float *y = job->y + row * cols + first;

    if (job->device->kernels->words) {
        run_word_tile(job, part, row, n_rows, panel, y, n_cols, w, ahead, n_ahead);
    } else {
        ask_for(ahead, n_ahead);
        run_float_tile(job, part, row, n_rows, y, n_cols,
                       (const float *)w->w + (panel - part->panel) * w->stride, w->stride);
    }
}

/* All tiles of a part; what comes next is fetched meanwhile, a share with each tile. */
static void multiply_panels(const struct linear_job *job, const struct part *part,
                            const struct expanded *w, struct ahead ahead)
{
    const size_t n_tiles = ceil_div(part->n_rows, job->tile_rows);
    const size_t n_steps = ceil_div(part->end - part->panel, job->tile_panels);
    const size_t n_ahead = ceil_div(lines_of(&ahead), n_tiles * n_steps);
    int rows = (int)(part->n_rows / n_tiles) + 1; /* of the first tiles; others have one less */
    size_t row = part->row;

    for (size_t t = 0; t < n_tiles; t++) {
        if (t == part->n_rows % n_tiles)
            rows--;
        for (size_t panel = part->panel; panel < part->end; panel += job->tile_panels)
            multiply_tile(job, part, row, rows, panel, w, &ahead, n_ahead);
        row += (size_t)rows;
    }
}

static struct expanded expand_words(const struct linear_job *job, const struct part *part,
                                    float *scratch)
{
    const struct cpu_words *words = job->device->kernels->words;
    const struct matrix *m = job->matrix;
    int32_t *pairs = (int32_t *)(void *)scratch;
    struct expanded y = {.scale_stride =
                             word_groups(m->scale_bytes ? job->chunk : m->cols) * PANEL_ROWS};

    y.scales = cpu_words_scales(words, m, part->panel, part->k, part->n_k, scratch);
    for (size_t i = 1; m->scale_bytes && i < part->end - part->panel; i++)
        cpu_words_scales(words, m, part->panel + i, part->k, part->n_k,
                         scratch + i * y.scale_stride);
    if (m->scale_bytes)
        pairs += job->together * y.scale_stride;
    if (m->pairs) {
        y.stride = ceil_div(m->cols, 2) * PANEL_ROWS;
        y.w = kept_pairs(m, part->panel, part->k);
        return y;
    }
    y.stride = ceil_div(job->chunk, 2) * PANEL_ROWS;
    y.w = pairs;
    for (size_t i = 0; i < part->end - part->panel; i++)
        words->expand(pairs + i * y.stride, m, y.scales + i * y.scale_stride, part->panel + i,
                      part->k, part->n_k);
    return y;
}

static struct expanded expand_part(const struct linear_job *job, const struct part *part,
                                   float *scratch)
{
    const struct cpu_kernels *kernels = job->device->kernels;
    const struct matrix *m = job->matrix;
    struct expanded y = {.w = scratch, .stride = job->chunk * PANEL_ROWS};

    if (kernels->words)
        return expand_words(job, part, scratch);
    if (m->dtype == DTYPE_F32) {
        y.stride = m->panel_size / sizeof(float);
        y.w = cpu_matrix_at(m, part->panel, part->k);
        return y;
    }
    for (size_t i = part->panel; i < part->end; i++)
        kernels->expand(scratch + (i - part->panel) * y.stride, m, i, part->k, part->n_k);
    return y;
}

/* Rows [row, row + n_rows) times panels [first, end). after: what is wanted behind them. */
static void multiply_block(const struct linear_job *job, size_t row, size_t n_rows, size_t first,
                           size_t end, struct ahead after, float *scratch)
{
    const struct matrix *m = job->matrix;

    for (size_t k = 0; k < m->cols; k += job->chunk) {
        const size_t n_k = m->cols - k < job->chunk ? m->cols - k : job->chunk;

        for (size_t p = first; p < end; p += job->together) {
            const size_t next = least(p + job->together, end);
            const struct part part = {row, n_rows, p, next, k, n_k};
            const struct ahead ahead =
                next < end ? chunk_bytes(job, next, least(next + job->together, end), k)
                : k + n_k < m->cols
                    ? chunk_bytes(job, first, least(first + job->together, end), k + n_k)
                    : after;
            const struct expanded w = expand_part(job, &part, scratch);

            multiply_panels(job, &part, &w, ahead);
        }
    }
}

/* What comes to the products of an item. */
static void finish_item(const struct linear_job *job, const struct cpu_area *area, float *scratch)
{
    const struct cpu_kernels *kernels = job->device->kernels;
    const size_t cols = job->matrix->rows, first = area->panel * PANEL_ROWS;
    const size_t n = least(area->end_panel * PANEL_ROWS, cols) - first;

    for (size_t i = 0; i < job->n_additions; i++)
        cpu_addition_add(kernels, &job->additions[i], job->y, area, scratch);
    for (size_t row = area->row; row < area->end_row; row++) {
        float *y = job->y + row * cols + first;

        if (job->bias)
            kernels->add(y, job->bias + first, n);
        if (job->is_scaled)
            kernels->scale(y, y, job->scale, n);
    }
}

/* The first panel of a group; of the one behind the last, the end of all. */
static size_t first_panel(const struct linear_job *job, size_t group)
{
    return least(share(job->n_steps, job->n_groups, group) * job->tile_panels,
                 job->matrix->n_panels);
}

static void multiply_item(const struct linear_job *job, size_t item, struct ahead after, int thread)
{
    const struct cpu_kernels *kernels = job->device->kernels;
    const size_t block = item / job->n_groups, group = item % job->n_groups;
    const size_t row = share(job->n, job->n_blocks, block);
    const size_t n_rows = share(job->n, job->n_blocks, block + 1) - row;
    const size_t first = first_panel(job, group), end = first_panel(job, group + 1);

    if (kernels->words && job->x_words.sums && dtype_block_elements(job->matrix->dtype) > 1)
        kernels->words->few(job->y, &job->x_words, (int)job->n, job->matrix, first, end);
    else if (!kernels->words && job->n <= (size_t)kernels->few_rows &&
             job->matrix->dtype != DTYPE_F32 && job->matrix->dtype != DTYPE_NF4 &&
             !cpu_codes_are(job->matrix->dtype))
        kernels->few(job->y, job->x, (int)job->n, job->matrix, first, end);
    else
        multiply_block(job, row, n_rows, first, end, after, job->device->scratch[thread]);
    finish_item(job, &(struct cpu_area){row, row + n_rows, first, end},
                job->device->scratch[thread]);
}

/* Layers of one x: for each part of the rows the items of the first layer, then of the next. */
struct linears_job {
    struct linear_job *layers;
    size_t n_parts; /* the blocks of all layers, where all have as many, else 1 */
    size_t n_items; /* a part */
};

/* The items of a layer in one part. */
static size_t n_items_of(const struct linears_job *job, const struct linear_job *layer)
{
    return layer->n_groups * (layer->n_blocks / job->n_parts);
}

/* The layer of an item, and which of the layer's items it is. */
static const struct linear_job *layer_of(const struct linears_job *job, size_t *item)
{
    const struct linear_job *layer = job->layers;
    const size_t part = *item / job->n_items;

    *item %= job->n_items;
    for (; *item >= n_items_of(job, layer); layer++)
        *item -= n_items_of(job, layer);
    *item += part * layer->n_groups;
    return layer;
}

/* The weights that an item begins with; nothing behind the last item. */
static struct ahead item_bytes(const struct linears_job *job, size_t item)
{
    const struct linear_job *layer;
    size_t first, end;

    if (item >= job->n_items * job->n_parts)
        return (struct ahead){0};
    layer = layer_of(job, &item);
    first = first_panel(layer, item % layer->n_groups);
    end = first_panel(layer, item % layer->n_groups + 1);
    return chunk_bytes(layer, first, least(first + layer->together, end), 0);
}

/* A thread takes the items of its share in order. */
static void linears_item(void *context, size_t item, int thread)
{
    const struct linears_job *job = context;
    const struct ahead after = item_bytes(job, item + 1);
    const struct linear_job *layer = layer_of(job, &item);

    multiply_item(layer, item, after, thread);
}

static void run(struct device *d, struct linear_job *layers, size_t n)
{
    struct linears_job job = {layers, layers->n_blocks, 0};

    for (size_t i = 1; i < n; i++) {
        if (layers[i].n_blocks != layers->n_blocks)
            job.n_parts = 1;
    }
    for (size_t i = 0; i < n; i++)
        job.n_items += n_items_of(&job, &layers[i]);
    cpu_loop(d, job.n_items * job.n_parts, linears_item, &job);
}

/* The layer of `matrix`, and how it is cut into items; what is common to all of an x is set. */
static void cut(struct linear_job *job, const struct matrix *matrix, size_t rows)
{
    const size_t n_threads = (size_t)thread_pool_size(job->device->pool);
    const struct cpu_kernels *kernels = job->device->kernels;
    const struct cpu_words *words = kernels->words;

    job->matrix = matrix;
    job->chunk = chunk_of(kernels, matrix->cols);
    job->tile_rows = (size_t)(words ? words->tile_rows : kernels->tile_rows);
    job->tile_panels = (size_t)(words ? words->tile_panels : kernels->tile_panels);
    job->together = panels_together(kernels, matrix->cols);
    /* a multiple of the threads, so that equally fast ones are done together */
    job->n_steps = ceil_div(matrix->n_panels, job->tile_panels);
    job->n_groups = ceil_div(matrix->n_panels, n_threads * MAX_GROUP) * n_threads;
    if (job->n_groups < n_threads * ITEMS_PER_THREAD)
        job->n_groups = n_threads * ITEMS_PER_THREAD;
    if (job->n_groups > job->n_steps)
        job->n_groups = job->n_steps;
    job->n_blocks = larger(ceil_div(job->n, rows), least(n_threads, job->n / OWN_ROWS));
}

/* ---- additions ---------------------------------------------------------------------------- */

/* t = scale * A x, for the rows of x that an addition is for. */
static struct linear_job product_of(const struct linear_job *common,
                                    const struct linear_addition *from, float *t)
{
    struct linear_job job = *common;
    const size_t row = (size_t)from->first_row;

    assert(from->n_rows >= 1 && row + (size_t)from->n_rows <= common->n);
    job.y = t;
    job.x += row * from->a->cols;
    if (job.device->kernels->words) {
        job.x_words.pairs += row * job.x_words.stride;
        job.x_words.scales += row;
        if (job.x_words.sums)
            job.x_words.sums += row * job.x_words.sum_stride;
    }
    job.n = (size_t)from->n_rows;
    job.is_scaled = true;
    job.scale = from->scale;
    cut(&job, from->a, ADDITION_ROWS);
    return job;
}

/* The products with A of all additions, in one loop; false after cpu_device_fail. */
static bool multiply_additions(struct device *d, const struct linear_job *common,
                               const struct linear_call *linears, int n_linears, size_t n_additions,
                               struct cpu_addition **additions)
{
    size_t n_floats = 0, n = 0;
    struct linear_job *products;
    float *t;

    for (int i = 0; i < n_linears; i++) {
        for (int j = 0; j < linears[i].n_additions; j++)
            n_floats += (size_t)linears[i].additions[j].n_rows * linears[i].additions[j].a->rows;
    }
    *additions = cpu_device_scratch(d, &d->additions, n_additions, sizeof(**additions));
    products = cpu_device_scratch(d, &d->jobs, n_additions, sizeof(*products));
    t = cpu_device_scratch(d, &d->products, n_floats, sizeof(*t));
    if (!*additions || !products || !t)
        return false;
    for (int i = 0; i < n_linears; i++) {
        for (int j = 0; j < linears[i].n_additions; j++, n++) {
            const struct linear_addition *from = &linears[i].additions[j];
            const size_t first = (size_t)from->first_row;

            assert(from->a->cols == linears->matrix->cols && from->b->cols == from->a->rows &&
                   from->b->rows == linears[i].matrix->rows);
            (*additions)[n] =
                (struct cpu_addition){from->b, t, first, first + (size_t)from->n_rows};
            products[n] = product_of(common, from, t);
            t += (size_t)from->n_rows * from->a->rows;
        }
    }
    run(d, products, n_additions);
    return true;
}

/* ------------------------------------------------------------------------------------------- */

void cpu_linears(struct device *d, const struct linear_call *linears, int n_linears, const float *x,
                 int n)
{
    struct linear_job layers[BACKEND_MAX_LINEARS];
    struct linear_job common = {.device = d, .x = x, .n = (size_t)n};
    struct cpu_addition *additions = NULL;
    size_t n_additions = 0;

    assert(n_linears >= 1 && n_linears <= BACKEND_MAX_LINEARS);
    if (n <= 0 || (d->kernels->words &&
                   !cpu_words_round(d, x, (size_t)n, linears->matrix->cols, &common.x_words)))
        return;
    for (int i = 0; i < n_linears; i++)
        n_additions += (size_t)linears[i].n_additions;
    if (n_additions > 0 &&
        !multiply_additions(d, &common, linears, n_linears, n_additions, &additions))
        return;
    for (int i = 0; i < n_linears; i++) {
        const struct linear_call *from = &linears[i];

        assert(from->matrix->cols == linears->matrix->cols);
        layers[i] = common;
        layers[i].y = from->y;
        layers[i].bias = from->bias;
        layers[i].additions = additions;
        layers[i].n_additions = (size_t)from->n_additions;
        if (additions)
            additions += from->n_additions;
        cut(&layers[i], from->matrix, d->kernels->words ? WORD_ROWS : LINEAR_ROWS);
    }
    run(d, layers, (size_t)n_linears);
}

void cpu_linear(struct device *d, float *y, const float *x, const struct matrix *matrix,
                const float *bias, int n)
{
    const struct linear_call one = {.y = y, .matrix = matrix, .bias = bias};

    cpu_linears(d, &one, 1, x, n);
}
