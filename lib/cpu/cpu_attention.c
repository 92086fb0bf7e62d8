/* Attention over the blocks of the KV cache.
 *
 * The rows of a segment are its pairs of (token, head of the kv head's group): heads that share
 * keys and values share a tile. An item is up to ATTENTION_ROWS such rows of one kv head. It goes
 * over the sequence's blocks from the first: products of its tiles with 64 keys, a softmax that
 * goes on from the blocks before, and the weighted sum of 64 values. What a row reads begins and
 * ends with the tokens it may see, and its sums over blocks run in order, so a row's bits depend
 * neither on how its prompt was cut nor on its tile. Of an item's rows, those that see nothing of a
 * block (it is behind them, or their window has left it) are passed over. */
#include "cpu/cpu_attention.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CACHE_LINE_FLOATS = 16 };

size_t cpu_attention_scratch(void)
{
    return 2 * ATTENTION_ROWS * KV_MAX_HEAD_DIM + MAX_TILE_ROWS * KV_BLOCK_TOKENS + ATTENTION_SPARE;
}

static const struct attention_way *way_of(const struct device *d)
{
    return d->kernels->words ? &attention_words : &attention_floats;
}

size_t cpu_kv_head_floats(const struct device *d, int head_dim)
{
    return way_of(d)->head_floats((size_t)head_dim);
}

static int min_int(int a, int b)
{
    return a < b ? a : b;
}

size_t attention_place(const struct attention_item *item, int row)
{
    const struct attention_job *job = item->job;
    const int at = item->first + row;
    const int token = item->segment->first_row + at / job->group;
    const int head = item->kv_head * job->group + at % job->group;

    return ((size_t)token * (size_t)job->n_heads + (size_t)head) * job->dim;
}

/* The tokens of its slot that row `row` may see. */
static struct token_span visible_to(const struct attention_item *item, int row)
{
    const struct segment *s = item->segment;
    const int window = item->job->window;
    struct token_span visible = {0, s->position + s->n_rows};

    if (item->job->causal)
        visible.end = s->position + (item->first + row) / item->job->group + 1;
    if (window > 0 && visible.end > window)
        visible.first = visible.end - window;
    return visible;
}

/* Those of the block that begins at token `start`. */
static struct token_span seen_of(struct token_span visible, int start)
{
    const int first = visible.first - start, end = visible.end - start;

    return (struct token_span){first < 0 ? 0 : min_int(first, KV_BLOCK_TOKENS),
                               end < 0 ? 0 : min_int(end, KV_BLOCK_TOKENS)};
}

/* Asks for a block's part while the one before is multiplied, where rows are so few that memory is
 * what is waited for. */
static void ask_for(const struct attention_item *item, int block)
{
    const struct attention_job *job = item->job;
    const float *part =
        kv_cache_head(job->kv, item->segment->slot, block, job->layer, item->kv_head);

    for (size_t i = 0; i < job->kv->head_floats; i += CACHE_LINE_FLOATS)
        __builtin_prefetch(part + i, 0, 2);
}

/* The rows that see something of a block: later rows see later tokens, so they are in one piece. */
static void attend_block(struct attention_item *item, const struct token_span *visible, int block)
{
    const struct attention_job *job = item->job;
    const float *part =
        kv_cache_head(job->kv, item->segment->slot, block, job->layer, item->kv_head);
    int first = item->n_rows, end = 0, n_tiles;

    for (int r = 0; r < item->n_rows; r++) {
        item->seen[r] = seen_of(visible[r], block * KV_BLOCK_TOKENS);
        if (item->seen[r].first < item->seen[r].end) {
            first = min_int(first, r);
            end = r + 1;
        }
    }
    n_tiles = (end - first + job->tile_rows - 1) / job->tile_rows;
    for (int t = 0; t < n_tiles; t++) {
        const int row = first + (end - first) * t / n_tiles;

        job->way->attend(item, row, first + (end - first) * (t + 1) / n_tiles - row, part);
    }
}

static void attend(struct attention_item *item)
{
    const struct attention_job *job = item->job;
    struct token_span visible[ATTENTION_ROWS];
    int block, n_blocks;

    for (int r = 0; r < item->n_rows; r++) {
        visible[r] = visible_to(item, r);
        item->max[r] = -INFINITY;
        item->total[r] = 0;
    }
    memset(item->sums, 0, (size_t)item->n_rows * job->padded * sizeof(float));
    job->way->begin(item);
    block = visible[0].first / KV_BLOCK_TOKENS;
    n_blocks = kv_cache_blocks(visible[item->n_rows - 1].end);
    for (; block < n_blocks; block++) {
        if (item->n_rows <= job->tile_rows && block + 1 < n_blocks)
            ask_for(item, block + 1);
        attend_block(item, visible, block);
    }
    for (int r = 0; r < item->n_rows; r++)
        job->device->kernels->scale(job->out + attention_place(item, r),
                                    item->sums + (size_t)r * job->padded, 1.0f / item->total[r],
                                    job->dim);
}
/* Items of a segment: all kv heads of its first rows, then of the next. */
static size_t n_items_of(const struct attention_job *job, const struct segment *s)
{
    const size_t n_rows = (size_t)s->n_rows * (size_t)job->group;

    return (n_rows + ATTENTION_ROWS - 1) / ATTENTION_ROWS * (size_t)job->kv->n_kv_heads;
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
    it.first = (int)(at / n_kv_heads) * ATTENTION_ROWS;
    it.n_rows = min_int(segment->n_rows * job->group - it.first, ATTENTION_ROWS);
    it.q = job->device->scratch[thread];
    it.sums = job->device->scratch[thread] + ATTENTION_ROWS * KV_MAX_HEAD_DIM;
    it.scores = it.sums + ATTENTION_ROWS * KV_MAX_HEAD_DIM;
    it.spare = it.scores + MAX_TILE_ROWS * KV_BLOCK_TOKENS;
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
    const struct cpu_words *words = d->kernels->words;
    struct attention_job job = {.device = d,
                                .way = way_of(d),
                                .out = out,
                                .q = q,
                                .kv = kv,
                                .batch = batch,
                                .layer = layer,
                                .n_heads = n_heads,
                                .group = n_heads / kv->n_kv_heads,
                                .dim = (size_t)kv->head_dim,
                                .padded = attention_padded((size_t)kv->head_dim),
                                .tile_rows = words ? words->tile_rows : d->kernels->tile_rows,
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
    cpu_loop(d, n_items, attention_item, &job);
}

struct append_job {
    const struct cpu_kernels *kernels;
    const struct attention_way *way;
    const struct kv_cache *kv;
    const struct batch *batch;
    const float *k, *v;
    int layer;
};

/* One token's keys and values, [n_kv_heads][head_dim]. */
static void append_token(const struct append_job *job, int slot, int position, const float *k,
                         const float *v)
{
    const struct kv_cache *kv = job->kv;
    const size_t dim = (size_t)kv->head_dim, t = (size_t)(position % KV_BLOCK_TOKENS);
    float *part = kv_cache_head(kv, slot, position / KV_BLOCK_TOKENS, job->layer, 0);

    for (int h = 0; h < kv->n_kv_heads; h++, k += dim, v += dim, part += kv->head_floats)
        job->way->append(job->kernels, part, dim, t, k, v);
}

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
        append_token(job, s->slot, s->position + row - s->first_row, job->k + (size_t)row * dim,
                     job->v + (size_t)row * dim);
    }
}

void cpu_kv_append(struct device *d, struct kv_cache *kv, int layer, const float *k, const float *v,
                   const struct batch *batch)
{
    struct append_job job = {d->kernels, way_of(d), kv, batch, k, v, layer};

    for (int i = 0; i < batch->n_segments; i++) {
        const struct segment *s = &batch->segments[i];

        assert(s->position + s->n_rows <= kv->slots[s->slot].n_tokens);
        (void)s; /* without assertions */
    }
    cpu_loop(d, ((size_t)batch->n_rows + APPEND_ROWS - 1) / APPEND_ROWS, append_item, &job);
}
