/* Attention over the blocks of the KV cache.
 *
 * The rows of a segment are its pairs of (token, head of the kv head's group): heads that share
 * keys and values share a tile. An item is up to ITEM_ROWS such rows of one kv head. It goes over
 * the sequence's blocks from the first: products of its tiles with 64 keys, a softmax that goes on
 * from the blocks before, and the weighted sum of 64 values. What a row reads begins and ends with
 * the tokens it may see, and each of its sums runs over them in order, so a row's bits depend
 * neither on how its prompt was cut nor on its tile. Blocks that a window has left behind for all
 * rows of an item are passed over. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compute/kv_cache.h"
#include "cpu/cpu_device.h"

enum { ITEM_ROWS = 24 }; /* whole tiles of every set */

struct attention_job {
    struct device *device;
    float *out;
    const float *q;
    const struct kv_cache *kv;
    const struct batch *batch;
    int layer, n_heads, group; /* group: heads a kv head */
    bool causal;
    int window;   /* tokens that a row sees, itself included; 0: all */
    float factor; /* 1 / sqrt(head_dim) */
};

/* One item on its way; the arrays are in scratch. */
struct attention_item {
    const struct attention_job *job;
    const struct segment *segment;
    int kv_head, first, n_rows; /* rows of the segment: first .. first + n_rows */
    float *q, *sums;            /* [n_rows][padded_dim] */
    float *scores;              /* [tile_rows][KV_BLOCK_TOKENS] */
    float max[ITEM_ROWS], total[ITEM_ROWS];
};

size_t cpu_attention_scratch(void)
{
    return 2 * ITEM_ROWS * KV_MAX_HEAD_DIM + MAX_TILE_ROWS * KV_BLOCK_TOKENS;
}

static int min_int(int a, int b)
{
    return a < b ? a : b;
}

/* Where in q and out row `row` of the item lies. */
static size_t place(const struct attention_item *item, int row)
{
    const struct attention_job *job = item->job;
    const int at = item->first + row;
    const int token = item->segment->first_row + at / job->group;
    const int head = item->kv_head * job->group + at % job->group;

    return ((size_t)token * (size_t)job->n_heads + (size_t)head) * (size_t)job->kv->head_dim;
}

/* Behind the last token of its slot that row `row` may see. */
static int visible_end(const struct attention_item *item, int row)
{
    const struct segment *s = item->segment;

    if (!item->job->causal)
        return s->position + s->n_rows;
    return s->position + (item->first + row) / item->job->group + 1;
}

/* The first token of its slot that row `row` may see. */
static int visible_first(const struct attention_item *item, int row)
{
    const int window = item->job->window, end = visible_end(item, row);

    return window > 0 && end > window ? end - window : 0;
}

/* Tokens of a block. */
struct span {
    int first, end; /* none when they are equal */
};

/* What row `row` sees of the block that begins at token `start`. */
static struct span seen_by(const struct attention_item *item, int row, int start)
{
    const int first = visible_first(item, row) - start, end = visible_end(item, row) - start;

    return (struct span){first < 0 ? 0 : min_int(first, KV_BLOCK_TOKENS),
                         end < 0 ? 0 : min_int(end, KV_BLOCK_TOKENS)};
}

/* Products become weights, and the rows' sums so far shrink to the new maximum. */
static void weigh(struct attention_item *item, int row, int n, int start)
{
    const struct cpu_kernels *kernels = item->job->device->kernels;
    const size_t padded = (size_t)item->job->kv->padded_dim;

    for (int r = 0; r < n; r++) {
        const struct span seen = seen_by(item, row + r, start);
        float *sums = item->sums + (size_t)(row + r) * padded, shrink;

        if (seen.first == seen.end)
            continue;
        shrink = kernels->softmax_block(item->scores + r * KV_BLOCK_TOKENS + seen.first,
                                        seen.end - seen.first, item->job->factor,
                                        &item->max[row + r], &item->total[row + r]);
        if (shrink != 1.0f)
            kernels->scale(sums, sums, shrink, padded);
    }
}

/* What all of these rows see, or the end of the block if they go alone: where they have nothing in
 * common, or see different tokens and the set sums in a wider type than it stores. */
static struct span common_to(const struct attention_item *item, int row, int n, int start)
{
    const struct span alone = {KV_BLOCK_TOKENS, KV_BLOCK_TOKENS};
    const struct span first = seen_by(item, row, start), last = seen_by(item, row + n - 1, start);
    const struct span common = {last.first, first.end};
    const bool all_same = first.first == last.first && first.end == last.end;

    if (common.first >= common.end || (item->job->device->kernels->sums_in_double && !all_same))
        return alone;
    return common;
}

/* sums [n][padded_dim] += weights of rows [r, r + n) of the tile times `span` of value panels with
 * n_cols columns */
static void add_span(const struct attention_item *item, float *sums, int n_cols, int r, int n,
                     const float *values, struct span span)
{
    const size_t stride = (size_t)KV_LANES * KV_BLOCK_TOKENS;

    if (span.first < span.end)
        item->job->device->kernels->tile(sums, (size_t)item->job->kv->padded_dim, n_cols,
                                         item->scores + r * KV_BLOCK_TOKENS + span.first,
                                         KV_BLOCK_TOKENS, n, values + span.first * KV_LANES, stride,
                                         (size_t)(span.end - span.first), true);
}

/* Adds the weighted values: a row's own tokens before those that all rows see, these for all at
 * once, a row's own behind them. */
static void add_values(struct attention_item *item, int row, int n, const float *values, int start)
{
    const size_t padded = (size_t)item->job->kv->padded_dim;
    const struct span common = common_to(item, row, n, start);
    const size_t width = (size_t)item->job->device->kernels->tile_panels * KV_LANES;
    struct span seen[MAX_TILE_ROWS];

    for (int r = 0; r < n; r++)
        seen[r] = seen_by(item, row + r, start);
    for (size_t c = 0; c < padded; c += width, values += width * KV_BLOCK_TOKENS) {
        const int n_cols = (int)(padded - c < width ? padded - c : width);
        float *sums = item->sums + (size_t)row * padded + c;

        for (int r = 0; r < n; r++)
            add_span(item, sums + (size_t)r * padded, n_cols, r, 1, values,
                     (struct span){seen[r].first, min_int(seen[r].end, common.first)});
        add_span(item, sums, n_cols, 0, n, values, common);
        for (int r = 0; r < n; r++)
            add_span(item, sums + (size_t)r * padded, n_cols, r, 1, values,
                     (struct span){common.end, seen[r].end});
    }
}

/* Rows [row, row + n) of the item against the block that begins at token `start`. */
static void attend_tile(struct attention_item *item, int row, int n, const float *keys, int start)
{
    const size_t dim = (size_t)item->job->kv->head_dim, padded = (size_t)item->job->kv->padded_dim;
    const int first = seen_by(item, row, start).first;
    const int end = seen_by(item, row + n - 1, start).end;

    const struct cpu_kernels *kernels = item->job->device->kernels;
    const int width = kernels->tile_panels * KV_LANES;

    for (int t = first / width * width; t < end; t += width)
        kernels->tile(item->scores + t, KV_BLOCK_TOKENS, width, item->q + (size_t)row * padded,
                      padded, n, keys + (size_t)t * padded, KV_LANES * padded, dim, false);
    weigh(item, row, n, start);
    add_values(item, row, n, keys + KV_BLOCK_TOKENS * padded, start);
}

static void attend(struct attention_item *item)
{
    const struct kv_cache *kv = item->job->kv;
    const size_t offset = kv_cache_offset(kv, item->job->layer, item->kv_head);
    const size_t dim = (size_t)kv->head_dim, padded = (size_t)kv->padded_dim;
    const int first_block = visible_first(item, 0) / KV_BLOCK_TOKENS;
    const int last_end = visible_end(item, item->n_rows - 1);
    const int tile_rows = item->job->device->kernels->tile_rows;
    const int n_tiles = (item->n_rows + tile_rows - 1) / tile_rows;

    for (int r = 0; r < item->n_rows; r++) {
        memcpy(item->q + (size_t)r * padded, item->job->q + place(item, r), dim * sizeof(float));
        item->max[r] = -INFINITY;
        item->total[r] = 0;
    }
    memset(item->sums, 0, (size_t)item->n_rows * padded * sizeof(float));
    for (int b = first_block; b * KV_BLOCK_TOKENS < last_end; b++) {
        const float *keys = kv_cache_block(kv, item->segment->slot, b) + offset;

        for (int t = 0; t < n_tiles; t++) {
            const int row = item->n_rows * t / n_tiles, end = item->n_rows * (t + 1) / n_tiles;

            attend_tile(item, row, end - row, keys, b * KV_BLOCK_TOKENS);
        }
    }
    for (int r = 0; r < item->n_rows; r++)
        item->job->device->kernels->scale(item->job->out + place(item, r),
                                          item->sums + (size_t)r * padded, 1.0f / item->total[r],
                                          dim);
}

/* Items of a segment: all kv heads of its first rows, then of the next. */
static size_t n_items_of(const struct attention_job *job, const struct segment *s)
{
    const size_t n_rows = (size_t)s->n_rows * (size_t)job->group;

    return (n_rows + ITEM_ROWS - 1) / ITEM_ROWS * (size_t)job->kv->n_kv_heads;
}

/* The segment that item belongs to: the last that begins at or before it. */
static size_t segment_of(const struct attention_job *job, size_t item)
{
    size_t low = 0, high = (size_t)job->batch->n_segments;

    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;

        if (job->device->items[middle] <= item)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static void attention_item(void *context, size_t item, int thread)
{
    const struct attention_job *job = context;
    const size_t s = segment_of(job, item), at = item - job->device->items[s];
    const size_t n_kv_heads = (size_t)job->kv->n_kv_heads;
    const struct segment *segment = &job->batch->segments[s];
    struct attention_item it = {.job = job, .segment = segment};

    it.kv_head = (int)(at % n_kv_heads);
    it.first = (int)(at / n_kv_heads) * ITEM_ROWS;
    it.n_rows = min_int(segment->n_rows * job->group - it.first, ITEM_ROWS);
    it.q = job->device->scratch[thread];
    it.sums = it.q + ITEM_ROWS * KV_MAX_HEAD_DIM;
    it.scores = it.sums + ITEM_ROWS * KV_MAX_HEAD_DIM;
    attend(&it);
}

static bool reserve_items(struct device *d, size_t n)
{
    size_t *grown;

    if (n <= d->items_cap)
        return true;
    grown = n <= SIZE_MAX / sizeof(*grown) ? realloc(d->items, n * sizeof(*grown)) : NULL;
    if (!grown)
        return false;
    d->items = grown;
    d->items_cap = n;
    return true;
}

void cpu_attention(struct device *d, float *out, const float *q, const struct kv_cache *kv,
                   int layer, const struct batch *batch, int n_heads, bool causal, int window)
{
    struct attention_job job = {.device = d,
                                .out = out,
                                .q = q,
                                .kv = kv,
                                .batch = batch,
                                .layer = layer,
                                .n_heads = n_heads,
                                .group = n_heads / kv->n_kv_heads,
                                .causal = causal,
                                .window = window,
                                .factor = 1.0f / sqrtf((float)kv->head_dim)};
    size_t n_items = 0;

    assert(n_heads % kv->n_kv_heads == 0 && window >= 0 && (causal || window == 0));
    if (!reserve_items(d, (size_t)batch->n_segments)) {
        cpu_device_fail(d, STATUS_MEMORY, "no memory for the segments of a batch");
        return;
    }
    for (int i = 0; i < batch->n_segments; i++) {
        d->items[i] = n_items;
        n_items += n_items_of(&job, &batch->segments[i]);
    }
    thread_pool_for(d->pool, n_items, attention_item, &job);
}

/* One row: token t of a block becomes lane t % 16 of a key panel, and row t of the value panels. */
static void append_row(const struct kv_cache *kv, int layer, int slot, int position, const float *k,
                       const float *v)
{
    float *block = kv_cache_block(kv, slot, position / KV_BLOCK_TOKENS);
    const size_t t = (size_t)(position % KV_BLOCK_TOKENS);
    const size_t dim = (size_t)kv->head_dim, padded = (size_t)kv->padded_dim;

    for (int h = 0; h < kv->n_kv_heads; h++, k += dim, v += dim) {
        float *keys = block + kv_cache_offset(kv, layer, h);
        float *values = keys + KV_BLOCK_TOKENS * padded + t * KV_LANES;

        keys += t / KV_LANES * KV_LANES * padded + t % KV_LANES;
        for (size_t i = 0; i < dim; i++)
            keys[i * KV_LANES] = k[i];
        for (size_t i = 0; i < dim; i++)
            values[i / KV_LANES * KV_LANES * KV_BLOCK_TOKENS + i % KV_LANES] = v[i];
    }
}

struct append_job {
    const struct kv_cache *kv;
    const struct batch *batch;
    const float *k, *v;
    int layer;
};

enum { APPEND_ROWS = 16 }; /* an item */

static void append_item(void *context, size_t item, int thread)
{
    const struct append_job *job = context;
    const struct batch *b = job->batch;
    const size_t dim = (size_t)job->kv->n_kv_heads * (size_t)job->kv->head_dim;
    const int first = (int)item * APPEND_ROWS, end = min_int(first + APPEND_ROWS, b->n_rows);
    const struct segment *s = b->segments;

    (void)thread;
    for (int row = first; row < end; row++) {
        while (row >= s->first_row + s->n_rows)
            s++;
        append_row(job->kv, job->layer, s->slot, s->position + row - s->first_row,
                   job->k + (size_t)row * dim, job->v + (size_t)row * dim);
    }
}

void cpu_kv_append(struct device *d, struct kv_cache *kv, int layer, const float *k, const float *v,
                   const struct batch *batch)
{
    struct append_job job = {kv, batch, k, v, layer};

    for (int i = 0; i < batch->n_segments; i++) {
        const struct segment *s = &batch->segments[i];

        assert(s->position + s->n_rows <= kv->slots[s->slot].n_tokens);
        (void)s; /* without assertions */
    }
    thread_pool_for(d->pool, ((size_t)batch->n_rows + APPEND_ROWS - 1) / APPEND_ROWS, append_item,
                    &job);
}
