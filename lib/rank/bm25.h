/* BM25 of the passages of one record, whose own passages are all the statistics there are.
 *
 * score(p) = sum over the distinct terms t of the query
 *            idf(t) * tf * (k1 + 1) / (tf + k1 * (1 - b + b * length(p) / mean length))
 * idf(t) = ln(1 + (n - df + 0.5) / (df + 0.5)), never negative; k1 = 1.2, b = 0.75
 * (Robertson and Zaragoza 2009, with the idf of Lucene). Terms are those of rank/terms.h.
 */
#ifndef RANK_BM25_H
#define RANK_BM25_H

#include <stddef.h>

#include "base/text.h"

/* scores[n], in the order of texts; all 0 where no term of the query occurs. */
void bm25_scores(struct text query, const struct text *texts, size_t n, double *scores);

#endif
