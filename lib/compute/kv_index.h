/* From tokens to the block of the KV cache that holds their keys and values.
 *
 * What a block holds is a function of its 64 tokens and of all before them. So a block is found by
 * its tokens and its parent, the block of the 64 tokens before; a sequence's first block has its
 * adapter's root for a parent. Both are compared in full; the hash only says where to look. A block
 * leaves after the blocks whose parent it is, so that a parent's number always means the tokens
 * that it meant when it was noted.
 */
#ifndef COMPUTE_KV_INDEX_H
#define COMPUTE_KV_INDEX_H

#include <stdint.h>

struct kv_index_entry;

struct kv_index {
    struct kv_index_entry *entries; /* ours; [n_entries] by number of block */
    int n_entries;
    int *buckets; /* ours; [n_buckets] the first block of each; -1: none */
    int n_buckets;
};

void kv_index_release(struct kv_index *index); /* it begins as zeroes */

/* What stands for the parent of first blocks: another number for each adapter >= 0, and for the
 * base alone (-1). */
static inline int kv_index_root(int adapter)
{
    return -2 - adapter;
}

/* The block of these KV_BLOCK_TOKENS tokens behind `parent`; -1: none. */
int kv_index_find(const struct kv_index *index, int parent, const int32_t *tokens);

/* Notes a block that is not in the index; tokens are copied. */
void kv_index_add(struct kv_index *index, int block, int parent, const int32_t *tokens);

/* Forgets a block that is in the index and no block's parent. */
void kv_index_remove(struct kv_index *index, int block);

#endif
