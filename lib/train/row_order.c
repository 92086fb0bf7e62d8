#include "train/row_order.h"

enum { N = 624, M = 397 };

struct twister {
    uint32_t state[N];
    int next;
};

static void seed_twister(struct twister *t, uint32_t seed)
{
    t->state[0] = seed;
    for (uint32_t i = 1; i < N; i++) {
        const uint32_t before = t->state[i - 1];

        t->state[i] = 1812433253u * (before ^ before >> 30) + i;
    }
    t->next = N;
}

static void refill(struct twister *t)
{
    for (int i = 0; i < N; i++) {
        const uint32_t y = (t->state[i] & 0x80000000u) | (t->state[(i + 1) % N] & 0x7fffffffu);

        t->state[i] = t->state[(i + M) % N] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    t->next = 0;
}

static uint32_t draw(struct twister *t)
{
    uint32_t y;

    if (t->next == N)
        refill(t);
    y = t->state[t->next++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

void row_order(uint64_t seed, uint32_t *order, size_t n)
{
    struct twister t;

    seed_twister(&t, (uint32_t)seed);
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    for (size_t i = 0; i + 1 < n; i++) {
        const size_t other = i + draw(&t) % (n - i);
        const uint32_t row = order[i];

        order[i] = order[other];
        order[other] = row;
    }
}
