/* A heap of the k best so far with the worst of them on top: most logits of a row fail at the
 * comparison with the top, most runs of RUN logits even at once by their greatest, so a row costs
 * little more than reading it. */
#include "run/candidates.h"

#include <stdbool.h>

enum { RUN = 64, LANES = 16 };

/* The greatest of RUN logits, in lanes that compilers keep in vectors. */
static float greatest(const float *logits)
{
    float lanes[LANES];

    for (int i = 0; i < LANES; i++)
        lanes[i] = logits[i];
    for (int first = LANES; first < RUN; first += LANES) {
        for (int i = 0; i < LANES; i++)
            lanes[i] = logits[first + i] > lanes[i] ? logits[first + i] : lanes[i];
    }
    for (int n = LANES / 2; n > 0; n /= 2) {
        for (int i = 0; i < n; i++)
            lanes[i] = lanes[i + n] > lanes[i] ? lanes[i + n] : lanes[i];
    }
    return lanes[0];
}

/* The first id from `id` on whose logit is above `bound`; n: there is none. */
static int32_t find_above(const float *logits, int32_t id, int32_t n, float bound)
{
    while (id < n) {
        if (n - id >= RUN && !(greatest(logits + id) > bound)) {
            id += RUN;
            continue;
        }
        for (const int32_t end = n - id >= RUN ? id + RUN : n; id < end; id++) {
            if (logits[id] > bound)
                return id;
        }
    }
    return n;
}

/* Does a come before b? */
static bool better(struct candidate a, struct candidate b)
{
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

/* Puts c at the top of the heap of n and moves it down to its place: worse ones above. */
static void sift_down(struct candidate *heap, int n, struct candidate c)
{
    int i = 0;

    for (;;) {
        int child = 2 * i + 1;

        if (child >= n)
            break;
        if (child + 1 < n && better(heap[child], heap[child + 1]))
            child++;
        if (!better(c, heap[child]))
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = c;
}

static void sift_up(struct candidate *heap, int i, struct candidate c)
{
    while (i > 0 && better(heap[(i - 1) / 2], c)) {
        heap[i] = heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    heap[i] = c;
}

int32_t candidates_first(const float *logits, int n)
{
    int32_t best = 0;

    for (int32_t id = 1; (id = find_above(logits, id, n, logits[best])) < n; id++)
        best = id;
    return best;
}

int candidates_best(const float *logits, int n, int k, struct candidate *best)
{
    const int kept = k < n ? k : n;

    if (kept < 1)
        return 0;
    for (int32_t id = 0; id < kept; id++)
        sift_up(best, id, (struct candidate){logits[id], id});
    /* an equal one has a higher id: not better */
    for (int32_t id = kept; (id = find_above(logits, id, n, best[0].logit)) < n; id++)
        sift_down(best, kept, (struct candidate){logits[id], id});
    for (int left = kept - 1; left > 0; left--) { /* heap sort: the worst goes last */
        const struct candidate worst = best[0];

        sift_down(best, left, best[left]);
        best[left] = worst;
    }
    return kept;
}

/* How many of the n logits are above `bound`. */
static int count_above(const float *logits, int n, float bound)
{
    int lanes[LANES] = {0}, count = 0, i = 0;

    for (; n - i >= LANES; i += LANES) {
        for (int lane = 0; lane < LANES; lane++)
            lanes[lane] += logits[i + lane] > bound;
    }
    for (int lane = 0; lane < LANES; lane++)
        count += lanes[lane];
    for (; i < n; i++)
        count += logits[i] > bound;
    return count;
}

int candidates_rank(const float *logits, int n, int32_t id)
{
    int rank = 1 + count_above(logits, n, logits[id]);

    for (int32_t i = 0; i < id; i++)
        rank += logits[i] == logits[id];
    return rank;
}
