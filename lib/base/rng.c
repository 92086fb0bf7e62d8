#include "base/rng.h"

enum { ROUNDS = 10 };

static uint32_t multiply_high(uint32_t a, uint32_t b, uint32_t *low)
{
    const uint64_t product = (uint64_t)a * b;

    *low = (uint32_t)product;
    return (uint32_t)(product >> 32);
}

struct rng_block rng_philox(uint64_t key, const uint32_t counter[4])
{
    const uint32_t multiplier[2] = {0xD2511F53u, 0xCD9E8D57u};
    const uint32_t weyl[2] = {0x9E3779B9u, 0xBB67AE85u};
    uint32_t k[2] = {(uint32_t)key, (uint32_t)(key >> 32)};
    struct rng_block x = {{counter[0], counter[1], counter[2], counter[3]}};

    for (int round = 0; round < ROUNDS; round++) {
        uint32_t low0, low1;
        const uint32_t high0 = multiply_high(multiplier[0], x.word[0], &low0);
        const uint32_t high1 = multiply_high(multiplier[1], x.word[2], &low1);

        x = (struct rng_block){{high1 ^ x.word[1] ^ k[0], low1, high0 ^ x.word[3] ^ k[1], low0}};
        k[0] += weyl[0];
        k[1] += weyl[1];
    }
    return x;
}

double rng_uniform(uint64_t key, uint64_t position, uint32_t stream)
{
    const uint32_t counter[4] = {(uint32_t)position, (uint32_t)(position >> 32), stream, 0};
    const struct rng_block x = rng_philox(key, counter);
    const uint64_t bits = ((uint64_t)x.word[0] << 32 | x.word[1]) >> 11;

    return (double)bits * 0x1p-53;
}
