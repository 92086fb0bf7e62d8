/* The longest of many keys that a text begins with, in time proportional to its length.
 *
 * A trie over bytes whose edges lie in one hash table; a node's name is the slot of the edge that
 * leads to it, so a step is one look-up.
 */
#ifndef TEXT_TRIE_H
#define TEXT_TRIE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/text.h"

struct trie_edge {
    uint32_t key;  /* parent node << 8 | byte, plus 1; 0: free */
    int32_t value; /* of the key that ends here; -1: none */
};

/* Zeroed = valid and empty. */
struct trie {
    struct trie_edge *edges; /* ours; a power of two of them */
    uint32_t n_slots;
    uint32_t n_edges;
};

/* keys[i] (not empty, no two the same) has the value values[i] >= 0. STATUS_CONFIG if the keys are
 * more than 8 million distinct beginnings. */
bool trie_init(struct trie *trie, const struct text *keys, const int32_t *values, size_t n,
               struct status *status) MUST_CHECK;
void trie_release(struct trie *trie);

/* The value of the longest key that text begins with at `at`, and its length; -1 if there is none.
 */
int32_t trie_longest(const struct trie *trie, struct text text, size_t at, size_t *len);

#endif
