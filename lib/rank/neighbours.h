/* Which passages stand next to which.
 *
 * Where passages have a place, the neighbours of one are those of the same `doc` whose `pos` is 1
 * to `window` away (not those at the same `pos`), and a passage without a place has none. Where no
 * passage has one, the list itself is the document: neighbours are at most `window` away in input
 * order.
 */
#ifndef RANK_NEIGHBOURS_H
#define RANK_NEIGHBOURS_H

#include "rank/passages.h"

struct neighbours {
    const struct passages *passages;
    size_t *by_place; /* ours: indexes, by doc and pos; NULL where input order counts */
    size_t *place_of; /* ours: index -> where it stands in by_place */
    size_t n_placed;
};

void neighbours_init(struct neighbours *neighbours, const struct passages *passages);
void neighbours_release(struct neighbours *neighbours);

/* Calls visit(context, neighbour) for each neighbour of `index`, itself left out. */
typedef void neighbours_visit(void *context, size_t neighbour);
void neighbours_each(const struct neighbours *neighbours, size_t index, size_t window,
                     neighbours_visit *visit, void *context);

#endif
