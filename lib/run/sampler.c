#include "run/sampler.h"

#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/rng.h"
#include "run/candidates.h"

struct sampler {
    int vocab_size;
    struct candidate *candidates; /* [vocab_size] */
    double *masses;               /* [vocab_size] of each candidate; the best one's is 1 */
};

uint64_t sampler_key(uint64_t seed, uint64_t record_key)
{
    return hash_mix(hash_mix(seed) ^ record_key);
}

struct sampler *sampler_open(int vocab_size)
{
    struct sampler *s = memory_zeroed(1, sizeof(*s));

    s->vocab_size = vocab_size;
    s->candidates = memory_zeroed((size_t)vocab_size, sizeof(*s->candidates));
    s->masses = memory_zeroed((size_t)vocab_size, sizeof(*s->masses));
    return s;
}

void sampler_close(struct sampler *s)
{
    if (!s)
        return;
    free(s->candidates);
    free(s->masses);
    free(s);
}

/* exp((logit - best) / temperature): a probability but for a factor that all share. */
static double mass(float logit, float best, double temperature)
{
    return exp(((double)logit - (double)best) / temperature);
}

/* The sum over the first n candidates, in their order; fills their masses. */
static double weigh(struct sampler *s, int n, double temperature)
{
    double sum = 0;

    for (int i = 0; i < n; i++) {
        s->masses[i] = mass(s->candidates[i].logit, s->candidates[0].logit, temperature);
        sum += s->masses[i];
    }
    return sum;
}

/* How many of the first n candidates top_p and min_p leave: the shortest prefix with at least top_p
 * of the mass `total`, and of it those with a mass of at least min_p (the best one's is 1).
 * *kept_mass: theirs. */
static int filter(const struct sampler *s, int n, double total, const struct sampling *sampling,
                  double *kept_mass)
{
    double before = 0; /* mass of those that are better */
    int kept;

    for (kept = 0; kept < n; kept++) {
        const bool full = sampling->top_p < 1 && before >= sampling->top_p * total;

        if (kept > 0 && (full || s->masses[kept] < sampling->min_p))
            break;
        before += s->masses[kept];
    }
    *kept_mass = before;
    return kept;
}

/* The candidate that holds the point, in [0, mass of the first n), when their masses lie in a row.
 */
static int32_t draw(const struct sampler *s, int n, double point)
{
    double upto = 0;

    for (int i = 0; i < n - 1; i++) {
        upto += s->masses[i];
        if (point < upto)
            return s->candidates[i].id;
    }
    return s->candidates[n - 1].id;
}

/* Without top_k every token is a candidate, but those that matter are nearly always few, so the
 * best 256 are tried first, then eight times as many, and so on. They are enough when the filters
 * end among them, or, without filters, when the drawn point lies among them. */
static bool enough(const struct sampler *s, int n, double sum, double total,
                   const struct sampling *sampling, double u)
{
    if (n == s->vocab_size || s->masses[n - 1] < sampling->min_p)
        return true;
    if (sampling->top_p < 1)
        return sum >= sampling->top_p * total;
    return sampling->min_p <= 0 && u * total < sum;
}

static int32_t next_of_all(struct sampler *s, const float *logits, const struct sampling *sampling,
                           double u)
{
    const float best = logits[candidates_first(logits, s->vocab_size)];
    double total = 0, kept_mass;
    int n = 256;

    for (int i = 0; i < s->vocab_size; i++)
        total += mass(logits[i], best, sampling->temperature);
    for (;; n *= 8) {
        n = candidates_best(logits, s->vocab_size, n, s->candidates);
        if (enough(s, n, weigh(s, n, sampling->temperature), total, sampling, u))
            break;
    }
    if (sampling->top_p >= 1 && sampling->min_p <= 0)
        return draw(s, n, u * total);
    n = filter(s, n, total, sampling, &kept_mass);
    return draw(s, n, u * kept_mass);
}

int32_t sampler_next(struct sampler *s, const float *logits, const struct sampling *sampling,
                     uint64_t position)
{
    double u, kept_mass;
    int n;

    if (sampling->greedy || sampling->temperature <= 0)
        return candidates_first(logits, s->vocab_size);
    u = rng_uniform(sampling->key, position, sampling->stream);
    if (sampling->top_k <= 0 || sampling->top_k >= s->vocab_size)
        return next_of_all(s, logits, sampling, u);
    n = candidates_best(logits, s->vocab_size, sampling->top_k, s->candidates);
    n = filter(s, n, weigh(s, n, sampling->temperature), sampling, &kept_mass);
    return draw(s, n, u * kept_mass);
}
