#include "run/record_keys.h"

#include <stdlib.h>

#include "base/memory.h"

void record_keys_release(struct record_keys *k)
{
    free(k->keys);
    *k = (struct record_keys){.max = k->max};
}

static int by_key(const void *a, const void *b)
{
    const struct record_key *x = a, *y = b;

    return x->key < y->key ? -1 : x->key > y->key;
}

void record_keys_settle(struct record_keys *k)
{
    size_t n = 0;

    if (k->n_sorted == k->n)
        return;
    qsort(k->keys, k->n, sizeof(*k->keys), by_key);
    for (size_t i = 0; i < k->n; i++) {
        if (n > 0 && k->keys[n - 1].key == k->keys[i].key)
            k->keys[n - 1].repeated = true;
        else
            k->keys[n++] = k->keys[i];
    }
    k->n = k->n_sorted = n < k->max ? n : k->max;
}

static void push(struct record_keys *k, struct record_key key)
{
    if (k->n == k->cap && k->cap < 2 * k->max) {
        k->cap = k->cap > 0 ? 2 * k->cap : 64;
        k->cap = k->cap < 2 * k->max ? k->cap : 2 * k->max;
        k->keys = memory_resize(k->keys, k->cap, sizeof(*k->keys));
    }
    k->keys[k->n++] = key;
    if (k->n == 2 * k->max)
        record_keys_settle(k);
}

void record_keys_add(struct record_keys *k, uint64_t key)
{
    /* once there are enough, what is above them is of no use any more */
    if (k->n_sorted == k->max && key > k->keys[k->max - 1].key)
        return;
    push(k, (struct record_key){.key = key});
}

size_t record_keys_common(const struct record_keys *k, const struct record_keys *other,
                          uint32_t *shard)
{
    size_t n = 0;

    for (size_t i = 0, j = 0; i < k->n && j < other->n;) {
        const uint64_t a = k->keys[i].key, b = other->keys[j].key;

        if (a == b && n++ == 0)
            *shard = k->keys[i].shard;
        i += a <= b;
        j += b <= a;
    }
    return n;
}

void record_keys_merge(struct record_keys *k, const struct record_keys *other, uint32_t shard)
{
    for (size_t i = 0; i < other->n; i++) {
        struct record_key key = other->keys[i];

        key.shard = shard;
        push(k, key);
    }
    record_keys_settle(k);
}

size_t record_keys_repeated(const struct record_keys *k)
{
    size_t n = 0;

    for (size_t i = 0; i < k->n; i++)
        n += k->keys[i].repeated;
    return n;
}
