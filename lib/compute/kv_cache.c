#include "compute/kv_cache.h"

#include <assert.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/memory.h"

static int padded(int head_dim)
{
    return (head_dim + KV_LANES - 1) / KV_LANES * KV_LANES;
}

int kv_cache_blocks(int n_tokens)
{
    return n_tokens / KV_BLOCK_TOKENS + (n_tokens % KV_BLOCK_TOKENS > 0);
}

size_t kv_cache_block_size(int n_layers, int n_kv_heads, int head_dim)
{
    size_t size = 2 * KV_BLOCK_TOKENS * sizeof(float);

    if (n_layers < 1 || n_kv_heads < 1 || head_dim < 1 || head_dim > KV_MAX_HEAD_DIM ||
        !checked_mul(size, (size_t)padded(head_dim), &size) ||
        !checked_mul(size, (size_t)n_layers, &size) ||
        !checked_mul(size, (size_t)n_kv_heads, &size))
        return 0;
    return size;
}

struct kv_cache *kv_cache_open(const struct backend *backend, struct device *device, int n_layers,
                               int n_kv_heads, int head_dim, int n_slots, int max_blocks,
                               struct status *status)
{
    const size_t size = kv_cache_block_size(n_layers, n_kv_heads, head_dim);
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
    kv->padded_dim = padded(head_dim);
    kv->block_floats = size / sizeof(float);
    kv->n_slots = n_slots;
    kv->slots = memory_zeroed((size_t)n_slots, sizeof(*kv->slots));
    kv->max_blocks = max_blocks;
    return kv;
}

void kv_cache_close(struct kv_cache *kv)
{
    if (!kv)
        return;
    for (int i = 0; i < kv->n_slots; i++) {
        for (int b = 0; b < kv->slots[i].n_blocks; b++)
            kv->backend->free(kv->device, kv->slots[i].blocks[b]);
        free(kv->slots[i].blocks);
    }
    for (int i = 0; i < kv->n_spare; i++)
        kv->backend->free(kv->device, kv->spare[i]);
    free(kv->spare);
    free(kv->slots);
    free(kv);
}

bool kv_cache_reserve(struct kv_cache *kv, int slot, int n_tokens)
{
    struct kv_slot *s = &kv->slots[slot];
    const int n = kv_cache_blocks(n_tokens);

    assert(s->n_reserved == 0 && n_tokens >= 0);
    if (n > kv->max_blocks - kv->n_reserved)
        return false;
    if (n > s->cap) {
        s->blocks = memory_resize(s->blocks, (size_t)n, sizeof(*s->blocks));
        s->cap = n;
    }
    s->n_reserved = n;
    kv->n_reserved += n;
    return true;
}

bool kv_cache_grow(struct kv_cache *kv, int slot, int n_tokens, struct status *status)
{
    struct kv_slot *s = &kv->slots[slot];
    const int n = kv_cache_blocks(n_tokens);

    assert(n <= s->n_reserved);
    while (s->n_blocks < n) {
        float *block;

        if (kv->n_spare > 0) {
            block = kv->spare[--kv->n_spare];
        } else {
            block = kv->backend->alloc(kv->device, kv->block_floats, status);
            if (!block)
                return status_context(status, "KV cache, block %d of %d", kv->n_allocated + 1,
                                      kv->max_blocks);
            kv->n_allocated++;
        }
        s->blocks[s->n_blocks++] = block;
    }
    return true;
}

void kv_cache_free_slot(struct kv_cache *kv, int slot)
{
    struct kv_slot *s = &kv->slots[slot];

    if (kv->n_spare + s->n_blocks > kv->spare_cap) {
        kv->spare_cap = kv->n_allocated;
        kv->spare = memory_resize(kv->spare, (size_t)kv->spare_cap, sizeof(*kv->spare));
    }
    while (s->n_blocks > 0)
        kv->spare[kv->n_spare++] = s->blocks[--s->n_blocks];
    kv->n_reserved -= s->n_reserved;
    s->n_reserved = 0;
}
