/* Keys and values as they come. A head's part of a block:
 *     keys   float [64 / 16][padded][16]   16 tokens side by side: a product with q is a tile of
 *                                          them
 *     values float [padded / 16][64][16]   16 elements side by side: so is the product with weights
 * where padded is head_dim rounded up to 16; what pads it is zero. A float sum depends on where it
 * begins and ends: a row's begin and end with the tokens it sees. */
#include <string.h>

#include "cpu/cpu_attention.h"

static size_t head_floats(size_t dim)
{
    return 2 * KV_BLOCK_TOKENS * attention_padded(dim);
}

/* Token t becomes lane t % 16 of a key panel, and row t of the value panels. */
static void append(const struct cpu_kernels *kernels, float *part, size_t dim, size_t t,
                   const float *k, const float *v)
{
    const size_t padded = attention_padded(dim);
    float *keys = part + t / PANEL_ROWS * PANEL_ROWS * padded + t % PANEL_ROWS;
    float *values = part + KV_BLOCK_TOKENS * padded + t * PANEL_ROWS;

    (void)kernels;
    for (size_t i = 0; i < dim; i++)
        keys[i * PANEL_ROWS] = k[i];
    for (size_t i = 0; i < dim; i++)
        values[i / PANEL_ROWS * PANEL_ROWS * KV_BLOCK_TOKENS + i % PANEL_ROWS] = v[i];
}

static void begin(struct attention_item *item)
{
    const struct attention_job *job = item->job;
    float *q = item->q;

    for (int r = 0; r < item->n_rows; r++, q += job->padded)
        memcpy(q, job->q + attention_place(item, r), job->dim * sizeof(*q));
}

/* scores [n][64] = products with the keys that any of these rows sees */
static void multiply_keys(const struct attention_item *item, int row, int n, const float *keys)
{
    const struct attention_job *job = item->job;
    const struct cpu_kernels *kernels = job->device->kernels;
    const float *q = (const float *)item->q + (size_t)row * job->padded;
    const int width = kernels->tile_panels * PANEL_ROWS, end = item->seen[row + n - 1].end;

    for (int t = item->seen[row].first / width * width; t < end; t += width)
        kernels->tile(item->scores + t, KV_BLOCK_TOKENS, width, q, job->padded, n,
                      keys + (size_t)t * job->padded, PANEL_ROWS * job->padded, job->dim, false);
}

/* Products become weights, and the rows' sums so far shrink to the new maximum. */
static void weigh(struct attention_item *item, int row, int n)
{
    const struct cpu_kernels *kernels = item->job->device->kernels;
    const size_t padded = item->job->padded;

    for (int r = 0; r < n; r++) {
        const struct token_span seen = item->seen[row + r];
        float *sums = item->sums + (size_t)(row + r) * padded, shrink;

        shrink = kernels->softmax_block(item->scores + r * KV_BLOCK_TOKENS + seen.first,
                                        seen.end - seen.first, item->job->factor,
                                        &item->max[row + r], &item->total[row + r]);
        if (shrink != 1.0f)
            kernels->scale(sums, sums, shrink, padded);
    }
}

/* What all of these rows see, or the end of the block if they go alone: where they have nothing in
 * common, or see different tokens and the set sums in a wider type than it stores. */
static struct token_span common_to(const struct attention_item *item, int row, int n)
{
    const struct token_span alone = {KV_BLOCK_TOKENS, KV_BLOCK_TOKENS};
    const struct token_span first = item->seen[row], last = item->seen[row + n - 1];
    const struct token_span common = {last.first, first.end};
    const bool all_same = first.first == last.first && first.end == last.end;

    if (common.first >= common.end || (item->job->device->kernels->sums_in_double && !all_same))
        return alone;
    return common;
}

/* sums [n][padded] += weights of rows [r, r + n) of the tile times `span` of value panels with
 * n_cols columns */
static void add_span(const struct attention_item *item, float *sums, int n_cols, int r, int n,
                     const float *values, struct token_span span)
{
    if (span.first < span.end)
        item->job->device->kernels->tile(
            sums, item->job->padded, n_cols, item->scores + r * KV_BLOCK_TOKENS + span.first,
            KV_BLOCK_TOKENS, n, values + span.first * PANEL_ROWS,
            (size_t)PANEL_ROWS * KV_BLOCK_TOKENS, (size_t)(span.end - span.first), true);
}

/* Adds the weighted values: a row's own tokens before those that all rows see, these for all at
 * once, a row's own behind them. */
static void add_values(struct attention_item *item, int row, int n, const float *values)
{
    const size_t padded = item->job->padded;
    const struct token_span common = common_to(item, row, n), *seen = item->seen + row;
    const size_t width = (size_t)item->job->device->kernels->tile_panels * PANEL_ROWS;

    for (size_t c = 0; c < padded; c += width, values += width * KV_BLOCK_TOKENS) {
        const int n_cols = (int)(padded - c < width ? padded - c : width);
        float *sums = item->sums + (size_t)row * padded + c;

        for (int r = 0; r < n; r++) {
            const int end = seen[r].end < common.first ? seen[r].end : common.first;

            add_span(item, sums + (size_t)r * padded, n_cols, r, 1, values,
                     (struct token_span){seen[r].first, end});
        }
        add_span(item, sums, n_cols, 0, n, values, common);
        for (int r = 0; r < n; r++)
            add_span(item, sums + (size_t)r * padded, n_cols, r, 1, values,
                     (struct token_span){common.end, seen[r].end});
    }
}

static void attend(struct attention_item *item, int row, int n, const float *part)
{
    multiply_keys(item, row, n, part);
    weigh(item, row, n);
    add_values(item, row, n, part + KV_BLOCK_TOKENS * item->job->padded);
}

const struct attention_way attention_floats = {head_floats, append, begin, attend};
