#include "rank/ranking.h"

#include <stdlib.h>

#include "base/memory.h"

struct scored {
    double score;
    size_t index;
};

static int compare(const void *left, const void *right)
{
    const struct scored *x = left;
    const struct scored *y = right;

    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

void ranking_order(const double *scores, size_t n, size_t *order)
{
    struct scored *sorted = memory_zeroed(n + 1, sizeof(*sorted));

    for (size_t i = 0; i < n; i++)
        sorted[i] = (struct scored){scores[i], i};
    qsort(sorted, n, sizeof(*sorted), compare);
    for (size_t i = 0; i < n; i++)
        order[i] = sorted[i].index;
    free(sorted);
}
