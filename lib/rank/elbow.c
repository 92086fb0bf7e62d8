#include "rank/elbow.h"

#include <math.h>

static const double flat = 1e-9; /* a smaller step is rounding, not a difference */
static const double steep = 1.0; /* z value above which a step is the elbow */

/* d_i of 1 <= i < n */
static double step(const double *scores, size_t i)
{
    const double d = scores[i - 1] - scores[i];

    return d < flat ? 0.0 : d;
}

/* The first step that stands out, or 0. */
static size_t first_steep(const double *scores, size_t n)
{
    const double n_steps = (double)(n - 1);
    double mean = 0.0;
    double variance = 0.0;
    double sigma;

    for (size_t i = 1; i < n; i++)
        mean += step(scores, i);
    mean /= n_steps;
    for (size_t i = 1; i < n; i++) {
        const double off = step(scores, i) - mean;

        variance += off * off;
    }
    sigma = sqrt(variance / n_steps);
    if (!(sigma > 0.0))
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((step(scores, i) - mean) / sigma > steep)
            return i;
    return 0;
}

/* The first i with the largest growth from step i to step i + 1; n >= 3. */
static size_t sharpest_bend(const double *scores, size_t n)
{
    size_t best = 1;
    double best_growth = step(scores, 2) - step(scores, 1);

    for (size_t i = 2; i + 1 < n; i++) {
        const double growth = step(scores, i + 1) - step(scores, i);

        if (growth > best_growth) {
            best = i;
            best_growth = growth;
        }
    }
    return best;
}

size_t elbow_cut(const double *scores, size_t n)
{
    size_t k;

    if (n <= 2)
        return n;
    k = n >= 4 ? first_steep(scores, n) : 0;
    return k > 0 ? k : sharpest_bend(scores, n);
}
