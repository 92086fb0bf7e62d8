/* Best first: by score, falling; equal scores in input order. */
#ifndef RANK_RANKING_H
#define RANK_RANKING_H

#include <stddef.h>

/* order[n] <- the indexes 0..n-1, best first. Scores are finite. */
void ranking_order(const double *scores, size_t n, size_t *order);

#endif
