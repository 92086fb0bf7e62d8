#include "run/loss_histogram.h"

void loss_histogram_add(struct loss_histogram *h, double loss)
{
    int bin = 0;

    if (loss >= LOSS_HISTOGRAM_MAX)
        bin = LOSS_HISTOGRAM_BINS - 1;
    else if (loss > 0)
        bin = (int)(loss * LOSS_HISTOGRAM_PER_NAT);
    h->bins[bin]++;
}

double loss_histogram_percentile(const struct loss_histogram *h, uint64_t n, int percent)
{
    /* n * percent / 100, rounded up, without overflow */
    const uint64_t share = (uint64_t)percent;
    const uint64_t rank = n / 100 * share + (n % 100 * share + 99) / 100;
    uint64_t seen = h->bins[0];
    int bin = 0;

    while (seen < rank && bin + 1 < LOSS_HISTOGRAM_BINS)
        seen += h->bins[++bin];
    if (bin == LOSS_HISTOGRAM_BINS - 1)
        return LOSS_HISTOGRAM_MAX;
    return (bin + 0.5) / LOSS_HISTOGRAM_PER_NAT;
}
