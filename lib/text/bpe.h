/* Byte-pair encoding: merges adjacent symbols, the pair of lowest rank first, leftmost among
 * equals.
 *
 * Works on token ids alone, so any alphabet can feed it: bytes now, characters for other models.
 */
#ifndef TEXT_BPE_H
#define TEXT_BPE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "text/tokens.h"

struct bpe_merge {
    int32_t left, right; /* these two ids, side by side, ... */
    int32_t result;      /* ... become this one */
    uint32_t rank;       /* lower first; set by bpe_init, given to bpe_init_ranked */
};

/* Zeroed = valid and without merges. */
struct bpe {
    struct bpe_merge *merges; /* ours, [n_merges], ranks ascending */
    uint32_t n_merges;
    uint32_t *slots; /* ours; hash of a pair -> merge + 1, 0: free; a power of two of them */
    size_t n_slots;
    bool *orderly; /* ours, [n_merges]: do all pairs with a result of this rank have higher ones? */
};

struct bpe_symbol;
struct bpe_entry;
struct bpe_chain;

/* What one bpe_encode at a time needs; kept for the next. Zeroed = valid and empty. */
struct bpe_scratch {
    struct bpe_symbol *symbols;
    size_t cap_symbols;
    struct bpe_entry *entries;
    size_t n_entries, cap_entries;
    uint32_t free_entry; /* head of the list of unused entries, plus 1; 0: none */
    struct bpe_chain *heap;
    size_t n_heap, cap_heap;
    uint32_t *merged; /* positions of the merges whose new pairs are not looked at yet */
    size_t n_merged;
    int32_t last_left, last_right; /* the pair that was looked up last; -1: none yet */
    uint32_t last_merge;           /* and its merge */
    uint32_t *tails; /* [n_merges]: last entry of the rank's open chain, plus 1; 0: none */
};

/* Takes `merges` (made by malloc), also on failure; their order is their rank. STATUS_CONFIG if a
 * pair is there twice. */
bool bpe_init(struct bpe *bpe, struct bpe_merge *merges, size_t n_merges,
              struct status *status) MUST_CHECK;

/* The same with the ranks that the merges bring: ascending, below n_merges, several may be equal
 * (then the leftmost pair goes first, whichever it is). */
bool bpe_init_ranked(struct bpe *bpe, struct bpe_merge *merges, size_t n_merges,
                     struct status *status) MUST_CHECK;
void bpe_release(struct bpe *bpe);
void bpe_scratch_release(struct bpe_scratch *scratch);

/* Merge the n symbols `ids` (written over) as far as it goes and append the result to *out. Time
 * n log n at worst, n for runs; n < 2^31. */
void bpe_encode(const struct bpe *bpe, struct bpe_scratch *scratch, int32_t *ids, size_t n,
                struct tokens *out);

#endif
