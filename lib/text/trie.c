#include "text/trie.h"

#include <stdlib.h>

#include "base/memory.h"

enum {
    MAX_SLOTS = 1 << 24, /* a node's name has 24 bits */
    ROOT = MAX_SLOTS - 1,
};

/* The slot of this edge, or the free slot where it would be. */
static uint32_t find_edge(const struct trie *trie, uint32_t node, unsigned char byte)
{
    const uint32_t mask = trie->n_slots - 1;
    const uint32_t key = (node << 8 | byte) + 1;
    uint32_t i = (key * UINT32_C(0x9E3779B1)) >> 7 & mask;

    while (trie->edges[i].key != 0 && trie->edges[i].key != key)
        i = (i + 1) & mask;
    return i;
}

/* False when the table is half full. */
static bool add(struct trie *trie, struct text key, int32_t value)
{
    uint32_t node = ROOT;

    for (size_t i = 0; i < key.len; i++) {
        const unsigned char byte = (unsigned char)key.ptr[i];
        const uint32_t child = find_edge(trie, node, byte);

        if (trie->edges[child].key == 0) {
            if (trie->n_edges >= trie->n_slots / 2)
                return false;
            trie->edges[child] = (struct trie_edge){(node << 8 | byte) + 1, -1};
            trie->n_edges++;
        }
        node = child;
    }
    trie->edges[node].value = value;
    return true;
}

static bool add_all(struct trie *trie, const struct text *keys, const int32_t *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!add(trie, keys[i], values[i]))
            return false;
    }
    return true;
}

bool trie_init(struct trie *trie, const struct text *keys, const int32_t *values, size_t n,
               struct status *status)
{
    *trie = (struct trie){0};
    if (n == 0)
        return true;
    /* Nodes cannot move, so a table that proves too small is filled anew. */
    for (uint32_t n_slots = 64; n_slots < MAX_SLOTS; n_slots *= 2) {
        *trie = (struct trie){memory_zeroed(n_slots, sizeof(*trie->edges)), n_slots, 0};
        if (add_all(trie, keys, values, n))
            return true;
        trie_release(trie);
    }
    return status_fail(status, STATUS_CONFIG, "the vocabulary is too large");
}

void trie_release(struct trie *trie)
{
    free(trie->edges);
    *trie = (struct trie){0};
}

int32_t trie_longest(const struct trie *trie, struct text text, size_t at, size_t *len)
{
    int32_t value = -1;
    uint32_t node = ROOT;

    *len = 0;
    if (trie->n_slots == 0)
        return -1;
    for (size_t i = at; i < text.len; i++) {
        node = find_edge(trie, node, (unsigned char)text.ptr[i]);
        if (trie->edges[node].key == 0)
            break;
        if (trie->edges[node].value >= 0) {
            value = trie->edges[node].value;
            *len = i + 1 - at;
        }
    }
    return value;
}
