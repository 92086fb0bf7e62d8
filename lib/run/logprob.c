#include "run/logprob.h"

#include <math.h>

static float highest(const float *logits, int n)
{
    float max = -INFINITY;

    for (int i = 0; i < n; i++)
        max = logits[i] > max ? logits[i] : max;
    return max;
}

double logprob_normalizer(const float *logits, int n)
{
    const float max = highest(logits, n);
    double sum = 0;

    if (!isfinite(max))
        return (double)NAN;
    for (int i = 0; i < n; i++)
        sum += (double)expf(logits[i] - max); /* each within an ulp of float, their sum in double */
    return (double)max + log(sum);
}
