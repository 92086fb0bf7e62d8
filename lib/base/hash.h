/* A 64-bit hash of bytes: FNV-1a (Fowler, Noll, Vo; draft-eastlake-fnv) with a final mix.
 *
 * The mix is the 64-bit finaliser of MurmurHash3 (Appleby, public domain), without which the low
 * bits of short inputs move little. Not for adversaries; for keys of random numbers, names of
 * models, and golden files. tests/golden/common.py has the same function.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_START UINT64_C(0xcbf29ce484222325)

/* FNV-1a without the mix: chain calls, starting from HASH_START, then hash_mix once. */
static inline uint64_t hash_more(uint64_t state, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;

    for (size_t i = 0; i < n; i++)
        state = (state ^ p[i]) * UINT64_C(0x100000001b3);
    return state;
}

static inline uint64_t hash_mix(uint64_t h)
{
    h = (h ^ (h >> 33)) * UINT64_C(0xff51afd7ed558ccd);
    h = (h ^ (h >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
    return h ^ (h >> 33);
}

static inline uint64_t hash64(const void *bytes, size_t n)
{
    return hash_mix(hash_more(HASH_START, bytes, n));
}

#endif
