#include "compute/kv_cache.h"

#include <assert.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/memory.h"

int kv_cache_blocks(int n_tokens)
{
    return n_tokens / KV_BLOCK_TOKENS + (n_tokens % KV_BLOCK_TOKENS > 0);
}

size_t kv_cache_block_size(const struct backend *backend, const struct device *device, int n_layers,
                           int n_kv_heads, int head_dim)
{
    size_t size = sizeof(float);

    if (n_layers < 1 || n_kv_heads < 1 || head_dim < 1 || head_dim > KV_MAX_HEAD_DIM ||
        !checked_mul(size, backend->kv_head_floats(device, head_dim), &size) ||
        !checked_mul(size, (size_t)n_layers, &size) ||
        !checked_mul(size, (size_t)n_kv_heads, &size))
        return 0;
    return size;
}

struct kv_cache *kv_cache_open(const struct backend *backend, struct device *device, int n_layers,
                               int n_kv_heads, int head_dim, int n_slots, int max_blocks,
                               struct status *status)
{
    const size_t size = kv_cache_block_size(backend, device, n_layers, n_kv_heads, head_dim);
    struct kv_cache *kv;

    assert(n_slots >= 1 && max_blocks >= 0);
    if (head_dim > KV_MAX_HEAD_DIM) {
        status_set(status, STATUS_CONFIG, "heads of %d elements: at most %d are supported",
                   head_dim, KV_MAX_HEAD_DIM);
        return NULL;
    }
    if (size == 0) {
        status_set(status, STATUS_MEMORY,
                   "a KV cache of %d layers, %d heads of %d elements cannot be addressed", n_layers,
                   n_kv_heads, head_dim);
        return NULL;
    }
    kv = memory_zeroed(1, sizeof(*kv));
    kv->backend = backend;
    kv->device = device;
    kv->n_layers = n_layers;
    kv->n_kv_heads = n_kv_heads;
    kv->head_dim = head_dim;
    kv->head_floats = backend->kv_head_floats(device, head_dim);
    kv->block_floats = size / sizeof(float);
    kv->n_slots = n_slots;
    kv->slots = memory_zeroed((size_t)n_slots, sizeof(*kv->slots));
    kv->max_blocks = max_blocks;
    kv->spare = kv->oldest = kv->newest = -1;
    return kv;
}

void kv_cache_set_window(struct kv_cache *kv, int window, int max_rows)
{
    assert(window >= 1 && max_rows >= 1);
    kv->window = window;
    kv->window_blocks = kv_cache_blocks(window) + kv_cache_blocks(max_rows) + 1;
}

void kv_cache_close(struct kv_cache *kv)
{
    if (!kv)
        return;
    for (int i = 0; i < kv->n_slots; i++)
        free(kv->slots[i].blocks);
    for (int i = 0; i < kv->n_blocks; i++)
        kv->backend->free(kv->device, kv->blocks[i].data);
    kv_index_release(&kv->index);
    free(kv->blocks);
    free(kv->slots);
    free(kv);
}

static void push_spare(struct kv_cache *kv, int block)
{
    kv->blocks[block].older = kv->spare;
    kv->spare = block;
    kv->n_spare++;
}

/* Puts a complete block of a head, which no slot holds any more, with those that are kept. */
static void keep(struct kv_cache *kv, int block)
{
    struct kv_block *b = &kv->blocks[block];

    b->older = kv->newest;
    b->newer = -1;
    if (kv->newest >= 0)
        kv->blocks[kv->newest].newer = block;
    else
        kv->oldest = block;
    kv->newest = block;
    kv->n_kept++;
}

static void unkeep(struct kv_cache *kv, const struct kv_block *b)
{
    if (b->older >= 0)
        kv->blocks[b->older].newer = b->newer;
    else
        kv->oldest = b->newer;
    if (b->newer >= 0)
        kv->blocks[b->newer].older = b->older;
    else
        kv->newest = b->older;
    kv->n_kept--;
}

/* Gives up the kept block that was not used for longest. */
static void evict(struct kv_cache *kv)
{
    const int block = kv->oldest;

    assert(block >= 0); /* no more is reserved than there is */
    unkeep(kv, &kv->blocks[block]);
    kv_index_remove(&kv->index, block);
    push_spare(kv, block);
}

static int new_block(struct kv_cache *kv)
{
    if (kv->n_blocks == kv->blocks_cap) {
        kv->blocks_cap = kv->blocks_cap ? 2 * kv->blocks_cap : 64;
        kv->blocks = memory_resize(kv->blocks, (size_t)kv->blocks_cap, sizeof(*kv->blocks));
    }
    kv->blocks[kv->n_blocks].data = NULL;
    return kv->n_blocks++;
}

/* A block for one slot, within its reservation. */
static int take_block(struct kv_cache *kv)
{
    int block;

    if (kv->spare < 0 && (kv->n_kept > KV_KEPT_BLOCKS || kv->n_blocks == kv->max_blocks))
        evict(kv);
    block = kv->spare;
    if (block >= 0) {
        kv->spare = kv->blocks[block].older;
        kv->n_spare--;
    } else {
        block = new_block(kv);
    }
    kv->blocks[block] =
        (struct kv_block){.data = kv->blocks[block].data, .n_slots = 1, .writer = -1};
    return block;
}

/* The blocks of the index that hold the first tokens of the head, at most n, into `blocks`. */
static int find_head(const struct kv_cache *kv, const int32_t *head, int n, int root, int *blocks)
{
    int found = 0;

    for (; found < n; found++) {
        blocks[found] = kv_index_find(&kv->index, found > 0 ? blocks[found - 1] : root,
                                      head + (size_t)found * KV_BLOCK_TOKENS);
        if (blocks[found] < 0)
            break;
    }
    return found;
}

/* The slot holds the n_found blocks of its head that there are, and makes the others. */
static void hold_head(struct kv_cache *kv, struct kv_slot *s, const int32_t *head, int n_found,
                      int root)
{
    for (int i = 0; i < n_found; i++) {
        struct kv_block *b = &kv->blocks[s->blocks[i]];

        if (b->n_slots++ == 0)
            unkeep(kv, b);
    }
    for (int i = n_found; i < s->n_head; i++) {
        const int block = take_block(kv);

        kv->blocks[block].is_head = true;
        kv_index_add(&kv->index, block, i > 0 ? s->blocks[i - 1] : root,
                     head + (size_t)i * KV_BLOCK_TOKENS);
        s->blocks[i] = block;
    }
    s->n_blocks = s->n_head;
}

bool kv_cache_reserve_head(struct kv_cache *kv, int slot, int n_tokens, const int32_t *head,
                           int n_head, int adapter)
{
    const int root = kv_index_root(adapter);
    struct kv_slot *s = &kv->slots[slot];
    int n = kv_cache_blocks(n_tokens), n_found, n_held = 0;

    assert(s->n_reserved == 0 && n_tokens >= 0 && n_head >= 0 && n_head <= n_tokens);
    if (n > s->cap) {
        s->blocks = memory_resize(s->blocks, (size_t)n, sizeof(*s->blocks));
        s->cap = n;
    }
    if (kv->window > 0) {
        n_head = n_head < kv->window ? n_head : kv->window;
        if (n > n_head / KV_BLOCK_TOKENS + kv->window_blocks)
            n = n_head / KV_BLOCK_TOKENS + kv->window_blocks;
    }
    n_found = find_head(kv, head, n_head / KV_BLOCK_TOKENS, root, s->blocks);
    while (n_held < n_found && kv->blocks[s->blocks[n_held]].n_slots > 0)
        n_held++;
    if (n - n_held > kv->max_blocks - kv->n_reserved)
        return false;
    kv->n_reserved += n - n_held;
    s->n_reserved = n;
    s->n_head = n_head / KV_BLOCK_TOKENS;
    s->n_tokens = 0;
    hold_head(kv, s, head, n_found, root);
    return true;
}

bool kv_cache_reserve(struct kv_cache *kv, int slot, int n_tokens)
{
    return kv_cache_reserve_head(kv, slot, n_tokens, NULL, 0, -1);
}

int kv_cache_catch_up(struct kv_cache *kv, int slot)
{
    struct kv_slot *s = &kv->slots[slot];

    while (s->n_tokens < s->n_head * KV_BLOCK_TOKENS) {
        const struct kv_block *b = &kv->blocks[s->blocks[s->n_tokens / KV_BLOCK_TOKENS]];

        if (!b->is_complete)
            return b->writer < 0 || b->writer == slot ? s->n_tokens : -1;
        s->n_tokens += KV_BLOCK_TOKENS;
    }
    return s->n_tokens;
}

/* The i-th block of a slot is about to get tokens; with them it holds n_tokens or more. */
static bool prepare_block(struct kv_cache *kv, int slot, int i, int n_tokens, struct status *status)
{
    struct kv_slot *s = &kv->slots[slot];
    struct kv_block *b;

    if (i == s->n_blocks)
        s->blocks[s->n_blocks++] = take_block(kv);
    b = &kv->blocks[s->blocks[i]];
    if (!b->data) {
        b->data = kv->backend->alloc(kv->device, kv->block_floats, status);
        if (!b->data)
            return status_context(status, "KV cache, block %d of %d", kv->n_allocated + 1,
                                  kv->max_blocks);
        kv->n_allocated++;
    }
    if (b->is_head) {
        assert(!b->is_complete && (b->writer < 0 || b->writer == slot));
        b->is_complete = n_tokens >= KV_BLOCK_TOKENS;
        b->writer = b->is_complete ? -1 : slot;
    }
    return true;
}

/* A slot lets go of a block. An incomplete one that nobody holds is worth nothing. */
static void release_block(struct kv_cache *kv, int slot, int block)
{
    struct kv_block *b = &kv->blocks[block];

    if (b->writer == slot)
        b->writer = -1; /* who comes next begins it anew */
    if (--b->n_slots > 0)
        return;
    kv->n_reserved--;
    if (b->is_complete) {
        keep(kv, block);
        return;
    }
    if (b->is_head)
        kv_index_remove(&kv->index, block);
    push_spare(kv, block);
}

/* Lets go of the slot's own blocks that no row from its next on will see; it may take others for
 * them. */
static void leave_behind(struct kv_cache *kv, int slot)
{
    struct kv_slot *s = &kv->slots[slot];
    const int first = s->n_tokens + 1 - kv->window; /* what the next row sees */

    while (s->n_head + s->n_gone < first / KV_BLOCK_TOKENS) {
        release_block(kv, slot, s->blocks[s->n_head + s->n_gone++]);
        kv->n_reserved++;
    }
}

bool kv_cache_grow(struct kv_cache *kv, int slot, int n_tokens, struct status *status)
{
    struct kv_slot *s = &kv->slots[slot];
    const int n = kv_cache_blocks(n_tokens);

    if (kv->window > 0)
        leave_behind(kv, slot);
    assert(n - s->n_gone <= s->n_reserved);
    for (int i = s->n_tokens / KV_BLOCK_TOKENS; i < n; i++) {
        if (!prepare_block(kv, slot, i, n_tokens - i * KV_BLOCK_TOKENS, status))
            return false;
    }
    if (s->n_tokens < n_tokens)
        s->n_tokens = n_tokens;
    return true;
}

void kv_cache_free_slot(struct kv_cache *kv, int slot)
{
    struct kv_slot *s = &kv->slots[slot];

    kv->n_reserved -= s->n_reserved - (s->n_blocks - s->n_gone);
    while (s->n_blocks > s->n_head + s->n_gone) /* the last first: children before their parents */
        release_block(kv, slot, s->blocks[--s->n_blocks]);
    s->n_blocks -= s->n_gone;
    while (s->n_blocks > 0)
        release_block(kv, slot, s->blocks[--s->n_blocks]);
    s->n_reserved = s->n_head = s->n_gone = s->n_tokens = 0;
}
