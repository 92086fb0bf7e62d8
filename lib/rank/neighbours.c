#include "rank/neighbours.h"

#include <stdlib.h>

#include "base/memory.h"

struct place {
    const struct passage *passage;
    size_t index;
};

static int compare(const void *left, const void *right)
{
    const struct place *x = left;
    const struct place *y = right;
    const struct text a = x->passage->doc;
    const struct text b = y->passage->doc;
    const size_t shorter = a.len < b.len ? a.len : b.len;
    const int order = memcmp(a.ptr, b.ptr, shorter);

    if (order != 0)
        return order;
    if (a.len != b.len)
        return a.len > b.len ? 1 : -1;
    if (x->passage->pos != y->passage->pos)
        return x->passage->pos > y->passage->pos ? 1 : -1;
    return (x->index > y->index) - (x->index < y->index);
}

void neighbours_init(struct neighbours *neighbours, const struct passages *passages)
{
    struct place *places;
    size_t n = 0;

    *neighbours = (struct neighbours){.passages = passages};
    if (!passages->placed)
        return;
    places = memory_zeroed(passages->n, sizeof(*places));
    for (size_t i = 0; i < passages->n; i++)
        if (passages->list[i].placed)
            places[n++] = (struct place){&passages->list[i], i};
    qsort(places, n, sizeof(*places), compare);
    neighbours->by_place = memory_zeroed(n, sizeof(size_t));
    neighbours->place_of = memory_zeroed(passages->n, sizeof(size_t));
    for (size_t i = 0; i < n; i++) {
        neighbours->by_place[i] = places[i].index;
        neighbours->place_of[places[i].index] = i;
    }
    neighbours->n_placed = n;
    free(places);
}

void neighbours_release(struct neighbours *neighbours)
{
    free(neighbours->by_place);
    free(neighbours->place_of);
    *neighbours = (struct neighbours){0};
}

/* How far apart, UINT64_MAX in different documents. pos may be any 64-bit integer: no overflow. */
static uint64_t distance(const struct passage *a, const struct passage *b)
{
    if (!text_equals(a->doc, b->doc))
        return UINT64_MAX;
    return a->pos > b->pos ? (uint64_t)a->pos - (uint64_t)b->pos
                           : (uint64_t)b->pos - (uint64_t)a->pos;
}

static void each_in_order(const struct neighbours *neighbours, size_t index, size_t window,
                          neighbours_visit *visit, void *context)
{
    const size_t last = neighbours->passages->n - 1;
    const size_t from = index > window ? index - window : 0;
    const size_t to = last - index > window ? index + window : last;

    for (size_t i = from; i <= to; i++)
        if (i != index)
            visit(context, i);
}

/* False once `other`, and all behind it, are too far. */
static bool visit_if_near(const struct neighbours *neighbours, size_t index, size_t other,
                          size_t window, neighbours_visit *visit, void *context)
{
    const struct passage *list = neighbours->passages->list;
    const uint64_t apart = distance(&list[index], &list[other]);

    if (apart > window)
        return false;
    if (apart > 0)
        visit(context, other);
    return true;
}

void neighbours_each(const struct neighbours *neighbours, size_t index, size_t window,
                     neighbours_visit *visit, void *context)
{
    const struct passage *list = neighbours->passages->list;
    size_t at;

    if (!neighbours->passages->placed) {
        each_in_order(neighbours, index, window, visit, context);
        return;
    }
    if (!list[index].placed)
        return;
    at = neighbours->place_of[index];
    for (size_t i = at; i-- > 0;)
        if (!visit_if_near(neighbours, index, neighbours->by_place[i], window, visit, context))
            break;
    for (size_t i = at + 1; i < neighbours->n_placed; i++)
        if (!visit_if_near(neighbours, index, neighbours->by_place[i], window, visit, context))
            break;
}
