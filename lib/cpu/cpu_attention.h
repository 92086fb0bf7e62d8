/* What the files of attention share: an item on its way over the blocks of its sequence, and the
 * two ways of keeping and multiplying keys and values.
 *
 * cpu_attention.c walks: which rows meet which block, and what they see of it. A way owns the
 * layout of the part of one (layer, kv head) in a block of the KV cache, and the products. */
#ifndef CPU_CPU_ATTENTION_H
#define CPU_CPU_ATTENTION_H

#include "compute/kv_cache.h"
#include "cpu/cpu_device.h"

enum { ATTENTION_ROWS = 24 }; /* an item: whole tiles of every set */

struct attention_way;

struct attention_job {
    struct device *device;
    const struct attention_way *way;
    float *out;
    const float *q;
    const struct kv_cache *kv;
    const struct batch *batch;
    int layer, n_heads, group; /* group: heads a kv head */
    size_t dim, padded;        /* a head's elements, and rounded up to whole panels */
    int tile_rows;
    bool causal;
    int window;   /* tokens that a row sees, itself included; 0: all */
    float factor; /* 1 / sqrt(head_dim) */
};

/* The arrays are in scratch, aligned to 64. */
struct attention_item {
    const struct attention_job *job;
    const struct segment *segment;
    int kv_head, first, n_rows; /* rows of the segment: first .. first + n_rows */
    void *q;                    /* [ATTENTION_ROWS][padded] 4-byte things, the way's own form */
    float *sums;                /* [ATTENTION_ROWS][padded] */
    float *scores;              /* [MAX_TILE_ROWS][KV_BLOCK_TOKENS] */
    void *spare;                /* ATTENTION_SPARE 4-byte things, the way's */

    struct token_span seen[ATTENTION_ROWS]; /* of the block at hand */
    float max[ATTENTION_ROWS], total[ATTENTION_ROWS];
};

/* Scales of q, and a tile's weights with their scales and what sums shrink by. */
enum {
    ATTENTION_SPARE =
        ATTENTION_ROWS * (KV_MAX_HEAD_DIM / WORD_GROUP) + MAX_TILE_ROWS * (KV_BLOCK_TOKENS / 2 + 2)
};

struct attention_way {
    /* 4-byte things that such a head's part of a block takes, a multiple of 16. */
    size_t (*head_floats)(size_t dim);
    /* Writes a head's key and value, [dim], as token t of the block. */
    void (*append)(const struct cpu_kernels *kernels, float *part, size_t dim, size_t t,
                   const float *k, const float *v);
    /* Brings the item's rows of q into item->q. */
    void (*begin)(struct attention_item *item);
    /* Rows [row, row + n) of the item, 1 <= n <= the tile's, each of which sees something of the
     * block that the part is of: the products with its keys become weights by a softmax that goes
     * on from the blocks before, and the weighted values are added to the sums. */
    void (*attend)(struct attention_item *item, int row, int n, const float *part);
};

extern const struct attention_way attention_floats; /* as they come */
extern const struct attention_way attention_words;  /* 16-bit integers, of sets with words */

/* Where in q and out row `row` of the item lies. */
size_t attention_place(const struct attention_item *item, int row);

static inline size_t attention_padded(size_t dim)
{
    return (dim + PANEL_ROWS - 1) / PANEL_ROWS * PANEL_ROWS;
}

#endif
