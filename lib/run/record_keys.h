/* Which records a run has seen, in bounded memory: the smallest of their 64-bit keys.
 *
 * Keys are hashes (formats/record.h), so the smallest ones are a sample that every shard draws
 * alike: a record that two shards share, and whose key is small enough, is in both samples. While
 * there are no more keys than are kept, no common record is missed. Of n records with m in common,
 * n above max, all m go unseen with a probability of about (1 - max/n)^m.
 */
#ifndef RUN_RECORD_KEYS_H
#define RUN_RECORD_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORD_KEYS_MAX ((size_t)1 << 18) /* 8 MiB of memory, 4 MiB of text */

struct record_key {
    uint64_t key;
    uint32_t shard; /* of those merged, the one it is from */
    bool repeated;  /* seen more than once within its shard */
};

/* Zeroed = empty, but for max. */
struct record_keys {
    size_t max;              /* keys to keep: RECORD_KEYS_MAX, less in tests */
    struct record_key *keys; /* [n] ours; the first n_sorted ascending and different */
    size_t n, n_sorted, cap;
};

void record_keys_release(struct record_keys *keys);
void record_keys_add(struct record_keys *keys, uint64_t key);

/* Sorts what was added: after it keys[0..n) ascend and differ, and are the smallest of all. */
void record_keys_settle(struct record_keys *keys);

/* Keys that both have, and of the smallest of them the shard in `keys`; 0: none. Both settled. */
size_t record_keys_common(const struct record_keys *keys, const struct record_keys *other,
                          uint32_t *shard);

/* Takes over the keys of a settled other one, as those of `shard`. */
void record_keys_merge(struct record_keys *keys, const struct record_keys *other, uint32_t shard);

/* Of the keys kept, those that were seen more than once. Settled. */
size_t record_keys_repeated(const struct record_keys *keys);

#endif
