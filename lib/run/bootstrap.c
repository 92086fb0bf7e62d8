#include "run/bootstrap.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/rng.h"

enum { WORDS = 4, STREAM = 0x626f6f74 /* no other use of a record's key draws from this one */ };

struct bootstrap *bootstrap_new(void)
{
    return memory_zeroed(1, sizeof(struct bootstrap));
}

/* The number of thresholds that 32 random bits reach: 2^32 times the distribution function of
 * Poisson(1), sum over i <= k of e^-1 / i!, rounded. */
static unsigned poisson(uint32_t bits)
{
    static const uint32_t thresholds[] = {0x5e2d58d9, 0xbc5ab1b1, 0xeb715e1e, 0xfb239797,
                                          0xff1025f6, 0xffd90f3c, 0xfffa8b72, 0xffff540c,
                                          0xffffed1f, 0xfffffe21, 0xffffffd5, 0xfffffffc};
    unsigned n = 0;

    while (n < sizeof(thresholds) / sizeof(thresholds[0]) && bits >= thresholds[n])
        n++;
    return n;
}

static struct rng_block draw(uint64_t key, unsigned replicate)
{
    const uint32_t counter[4] = {replicate / WORDS, 0, STREAM, 0};

    return rng_philox(key, counter);
}

unsigned bootstrap_weight(uint64_t key, unsigned replicate)
{
    return poisson(draw(key, replicate).word[replicate % WORDS]);
}

static void add_term(struct bootstrap_mean *mean, const struct bootstrap_term *term, unsigned times)
{
    for (int leg = 0; leg < BOOTSTRAP_LEGS; leg++)
        exact_sum_add(&mean->sums[leg], term->value[leg], times * term->times);
    mean->weight += times * term->n;
}

void bootstrap_add(struct bootstrap *b, uint64_t key,
                   const struct bootstrap_term terms[BOOTSTRAP_KINDS])
{
    for (unsigned first = 0; first < BOOTSTRAP_REPLICATES; first += WORDS) {
        const struct rng_block block = draw(key, first);

        for (unsigned i = 0; i < WORDS; i++) {
            const unsigned times = poisson(block.word[i]);

            for (int kind = 0; times > 0 && kind < BOOTSTRAP_KINDS; kind++)
                add_term(&b->means[first + i][kind], &terms[kind], times);
        }
    }
}

void bootstrap_merge(struct bootstrap *b, const struct bootstrap *other)
{
    for (int i = 0; i < BOOTSTRAP_REPLICATES; i++) {
        for (int kind = 0; kind < BOOTSTRAP_KINDS; kind++) {
            struct bootstrap_mean *mean = &b->means[i][kind];

            for (int leg = 0; leg < BOOTSTRAP_LEGS; leg++)
                exact_sum_merge(&mean->sums[leg], &other->means[i][kind].sums[leg]);
            mean->weight += other->means[i][kind].weight;
        }
    }
}

static double statistic_of(const struct bootstrap_mean *mean, enum bootstrap_statistic statistic)
{
    const double base = exp(exact_sum_value(&mean->sums[0]) / (double)mean->weight);
    const double adapted = exp(exact_sum_value(&mean->sums[1]) / (double)mean->weight);

    return statistic == BOOTSTRAP_DIFFERENCE ? adapted - base : (base - adapted) / base * 100;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

bool bootstrap_interval(const struct bootstrap *b, enum bootstrap_kind kind,
                        enum bootstrap_statistic statistic, double interval[2])
{
    double values[BOOTSTRAP_REPLICATES];
    size_t n = 0, outside;

    for (int i = 0; i < BOOTSTRAP_REPLICATES; i++) {
        if (b->means[i][kind].weight == 0) /* no record was drawn */
            continue;
        values[n] = statistic_of(&b->means[i][kind], statistic);
        if (isnan(values[n]))
            return false;
        n++;
    }
    if (n == 0)
        return false;
    qsort(values, n, sizeof(*values), by_value);
    outside = n / 40; /* 2.5 % at either end */
    interval[0] = values[outside];
    interval[1] = values[n - 1 - outside];
    return isfinite(interval[0]) && isfinite(interval[1]);
}
