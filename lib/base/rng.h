/* Random numbers without state: Philox4x32-10 (Salmon et al., SC 2011, "Parallel random numbers:
 * as easy as 1, 2, 3"). A number is a function of key and counter alone, so records can be drawn in
 * any order, batch or shard and give the same bits.
 */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdint.h>

struct rng_block {
    uint32_t word[4];
};

/* The 128 random bits of this key and counter. */
struct rng_block rng_philox(uint64_t key, const uint32_t counter[4]);

/* A uniform double in [0, 1) with 53 random bits, for draw `position` of stream `stream` (the
 * number of a sample) under `key` (the job's seed mixed with the record's). */
double rng_uniform(uint64_t key, uint64_t position, uint32_t stream);

#endif
