/* Keys and values of the tokens that the running sequences have passed.
 *
 * A sequence holds a slot; a slot holds blocks of 64 tokens, from position 0 on, so where a
 * sequence lies never changes what it computes. Blocks are allocated when a sequence first needs
 * them, and reused when it has ended. To never run out half-way, a sequence reserves its worst case
 * at admission (prompt and all tokens it may yet write); growing within a reservation takes a block
 * that is kept for it.
 *
 * Sequences that begin with the same tokens hold the same blocks for the whole blocks of that head.
 * Whoever comes to a block first computes it; the others go on behind it, in the same step at the
 * earliest: a layer appends all keys before it attends. When the last of them has ended, complete
 * blocks are kept for sequences to come, until the room is needed: the one not used for longest
 * goes first, and of a sequence's the last, so a block never goes before those that are computed
 * from it.
 *
 * Where a row sees a window of tokens alone, a slot gives back the blocks of its own that the
 * window has left behind, and reserves no more than a window and a step need beside its head, of
 * which it shares no more than a window is long.
 *
 * A block holds all layers: [n_layers][n_kv_heads][head_floats]. How the keys and values of a
 * head's 64 tokens lie in its part is the device's own affair; new parts are zero.
 */
#ifndef COMPUTE_KV_CACHE_H
#define COMPUTE_KV_CACHE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "compute/backend.h"
#include "compute/kv_index.h"

enum { KV_BLOCK_TOKENS = 64, KV_MAX_HEAD_DIM = 512 };

/* Complete blocks without a slot that stay rather than leave their memory to new ones, where the
 * cache might still grow: 2048 tokens of prompts that may come again. */
enum { KV_KEPT_BLOCKS = 32 };

struct kv_block {
    float *data;      /* device memory, ours; NULL before its first tokens */
    int n_slots;      /* that hold it */
    bool is_head;     /* in the index: others may hold it too; and if so: */
    bool is_complete; /* all its tokens are in, at the latest in the step at hand */
    int writer;       /* else: the slot that is at it; -1: none */
    int older, newer; /* in the list of kept ones, -1: none; older also in the one of spare ones */
};

struct kv_slot {
    int *blocks;    /* [n_blocks] numbers of blocks, ours */
    int n_blocks;   /* taken */
    int n_head;     /* the first of them, which may be shared */
    int n_gone;     /* those behind them that a window has left behind: given back */
    int n_tokens;   /* addressable */
    int n_reserved; /* blocks this slot may use, >= n_blocks - n_gone; 0: free, or in need of none
                     */
    int cap;        /* of blocks */
};

struct kv_cache {
    const struct backend *backend;
    struct device *device;
    int n_layers, n_kv_heads, head_dim;
    size_t head_floats;  /* of a (layer, kv head) of a block: the device's kv_head_floats */
    size_t block_floats; /* of a block */

    int n_slots;
    struct kv_slot *slots; /* [n_slots] */
    int max_blocks;        /* of all slots together */
    int n_reserved;        /* of all slots together; a block that several hold counts once */
    int window;            /* tokens that a row sees, itself included; 0: all before it */
    int window_blocks;     /* that a slot needs for them at most, beside its head */

    struct kv_block *blocks; /* [n_blocks] ours */
    int n_blocks, blocks_cap;
    int spare; /* the first of the blocks that a slot has given back; -1: none */
    int n_spare;
    struct kv_index index; /* of heads */
    int oldest, newest;    /* of the blocks that no slot holds and the index does; -1: none */
    int n_kept;
    int n_allocated; /* blocks with memory: the high-water mark */
};

/* A cache of at most max_blocks blocks for n_slots sequences. BERT's encoder opens one with
 * n_layers 1 and uses it again for each layer. Takes no block yet. NULL and STATUS_CONFIG when
 * head_dim is over KV_MAX_HEAD_DIM, STATUS_MEMORY when a block's size overflows. */
struct kv_cache *kv_cache_open(const struct backend *backend, struct device *device, int n_layers,
                               int n_kv_heads, int head_dim, int n_slots, int max_blocks,
                               struct status *status) MUST_CHECK;
void kv_cache_close(struct kv_cache *kv); /* NULL allowed */

/* Before any reservation: rows will see `window` >= 1 tokens, and each kv_cache_grow adds max_rows
 * at most. */
void kv_cache_set_window(struct kv_cache *kv, int window, int max_rows);

/* Blocks for n_tokens tokens. */
int kv_cache_blocks(int n_tokens);

/* Bytes of one block of such a cache on that device; 0 when they overflow or a number is out of its
 * range. */
size_t kv_cache_block_size(const struct backend *backend, const struct device *device, int n_layers,
                           int n_kv_heads, int head_dim);

/* Reserves room for n_tokens >= 0 tokens in a free slot; false (and nothing changed) when
 * max_blocks do not leave it. */
bool kv_cache_reserve(struct kv_cache *kv, int slot, int n_tokens) MUST_CHECK;

/* The same for a sequence that begins with n_head <= n_tokens tokens which others may share: their
 * whole blocks are looked for, and if they are new, noted for others to find. A block that a slot
 * holds already needs no more room. Only sequences of the same adapter share (-1: those of the base
 * alone): another one makes other keys of the same tokens. */
bool kv_cache_reserve_head(struct kv_cache *kv, int slot, int n_tokens, const int32_t *head,
                           int n_head, int adapter) MUST_CHECK;

/* Where the slot's sequence goes on: behind the tokens it has appended and those of its head that
 * others have. -1: another slot is at the next block; wait until its step has been filled. */
int kv_cache_catch_up(struct kv_cache *kv, int slot);

/* Makes the slot's first n_tokens tokens addressable; before the step that appends all that are
 * behind kv_cache_catch_up. n_tokens is within the reservation. STATUS_MEMORY when the device has
 * no more. */
bool kv_cache_grow(struct kv_cache *kv, int slot, int n_tokens, struct status *status) MUST_CHECK;

/* Ends the slot's sequence, complete or not: its blocks and its reservation are free again. */
void kv_cache_free_slot(struct kv_cache *kv, int slot);

/* The i-th block of a slot, which has not been left behind. */
static inline float *kv_cache_block(const struct kv_cache *kv, int slot, int i)
{
    return kv->blocks[kv->slots[slot].blocks[i]].data;
}

/* A head's part of it. */
static inline float *kv_cache_head(const struct kv_cache *kv, int slot, int i, int layer,
                                   int kv_head)
{
    return kv_cache_block(kv, slot, i) +
           ((size_t)layer * (size_t)kv->n_kv_heads + (size_t)kv_head) * kv->head_floats;
}

#endif
