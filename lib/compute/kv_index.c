#include "compute/kv_index.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "compute/kv_cache.h"

enum { FIRST_BUCKETS = 64 };

struct kv_index_entry {
    uint64_t hash;
    int parent;
    int n_children; /* blocks whose parent this one is */
    int next;       /* in its bucket; -1: none */
    int32_t tokens[KV_BLOCK_TOKENS];
};

static uint64_t hash_key(int parent, const int32_t *tokens)
{
    const uint64_t h = hash_more(HASH_START, &parent, sizeof(parent));

    return hash_mix(hash_more(h, tokens, KV_BLOCK_TOKENS * sizeof(*tokens)));
}

static int *bucket_of(const struct kv_index *index, uint64_t hash)
{
    return &index->buckets[hash & (uint64_t)(index->n_buckets - 1)];
}

static void put(struct kv_index *index, int block)
{
    int *bucket = bucket_of(index, index->entries[block].hash);

    index->entries[block].next = *bucket;
    *bucket = block;
}

/* As many buckets as blocks, or more. */
static void grow(struct kv_index *index, int n_entries)
{
    struct kv_index old = *index;

    index->n_entries = old.n_entries ? old.n_entries : FIRST_BUCKETS;
    while (index->n_entries < n_entries)
        index->n_entries *= 2;
    index->entries =
        memory_resize(index->entries, (size_t)index->n_entries, sizeof(*index->entries));
    index->n_buckets = index->n_entries;
    index->buckets = memory_zeroed((size_t)index->n_buckets, sizeof(*index->buckets));
    memset(index->buckets, 0xFF, (size_t)index->n_buckets * sizeof(*index->buckets)); /* -1 */
    for (int b = 0; b < old.n_buckets; b++) {
        for (int i = old.buckets[b], next; i >= 0; i = next) {
            next = index->entries[i].next;
            put(index, i);
        }
    }
    free(old.buckets);
}

void kv_index_release(struct kv_index *index)
{
    free(index->entries);
    free(index->buckets);
    *index = (struct kv_index){0};
}

int kv_index_find(const struct kv_index *index, int parent, const int32_t *tokens)
{
    const uint64_t hash = hash_key(parent, tokens);
    int block = index->n_buckets ? *bucket_of(index, hash) : -1;

    while (block >= 0) {
        const struct kv_index_entry *e = &index->entries[block];

        if (e->hash == hash && e->parent == parent &&
            memcmp(e->tokens, tokens, sizeof(e->tokens)) == 0)
            break;
        block = e->next;
    }
    return block;
}

void kv_index_add(struct kv_index *index, int block, int parent, const int32_t *tokens)
{
    struct kv_index_entry *e;

    if (block >= index->n_entries)
        grow(index, block + 1);
    e = &index->entries[block];
    *e = (struct kv_index_entry){.hash = hash_key(parent, tokens), .parent = parent};
    memcpy(e->tokens, tokens, sizeof(e->tokens));
    if (parent >= 0)
        index->entries[parent].n_children++;
    put(index, block);
}

void kv_index_remove(struct kv_index *index, int block)
{
    const struct kv_index_entry *e = &index->entries[block];
    int *place = bucket_of(index, e->hash);

    assert(e->n_children == 0);
    while (*place != block)
        place = &index->entries[*place].next;
    *place = e->next;
    if (e->parent >= 0)
        index->entries[e->parent].n_children--;
}
