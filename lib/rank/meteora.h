/* METEORA's selection (Saxena et al., arXiv 2505.16014; the steps as its released code has them).
 *
 *   pair    each rationale takes the passage most similar to it, the first of equals; several may
 *           take the same one
 *   pool    one score a passage, its cosine with the mean of the rationales' vectors; the best
 *           are kept, as many as the cut says
 *   expand  the neighbours of what pair and pool took, and theirs no more
 * The selection is the union. The other methods are parts of it: `pair` alone, `pool` alone, or
 * `pool` with scores of the query in place of the rationales'.
 */
#ifndef RANK_METEORA_H
#define RANK_METEORA_H

#include "rank/cut.h"
#include "rank/neighbours.h"

enum via { /* how a passage was selected: bits */
           VIA_PAIR = 1,
           VIA_POOL = 2,
           VIA_EXPAND = 4, /* and by nothing else */
           VIA_QUERY = 8,  /* cosine with the query took the place of the pooled rationales */
           VIA_BM25 = 16,  /* BM25 of the query did */
           VIA_CROSS = 32, /* the cross-encoder's score of query and passage did */
};

struct meteora_scores {
    size_t n; /* passages */
    size_t n_rationales;
    const size_t *rationales; /* [n_rationales]: their indexes in the record's list */
    const double *similarity; /* [n_rationales][n]; NULL without rationales */
    const double *pooled;     /* [n]; NULL: no pool step */
    enum via pooled_via;      /* what pooled is: none of VIA_PAIR and VIA_EXPAND */
    bool pair;                /* take the pair step */
    struct cut cut;           /* of the pool step */
    size_t window;            /* of the expand step; 0: none */
};

struct choice {          /* what became of one passage */
    double score;        /* the larger of pooled and, where paired, the best similarity */
    unsigned via;        /* enum via bits; 0: not selected */
    size_t pooled_place; /* place by pooled, from 1; 0 without a pool step */
    size_t chosen_by;    /* number of rationales whose best match it is, with the pair step */
    size_t neighbour_of; /* VIA_EXPAND: the best ranked passage that brought it in */
};

struct meteora {
    size_t n;
    size_t n_selected;
    struct choice *choices; /* [n], ours */
    size_t *order;          /* [n], ours: indexes by score, best first, ties in input order */
    size_t *best;           /* [n_rationales], ours: each rationale's best match; NULL without */
    size_t n_pooled;        /* how many the cut kept */
    double last_pooled;     /* the lowest pooled score kept; 0 if none */
};

/* Scores are finite. neighbours may be NULL where window is 0. */
void meteora_select(struct meteora *meteora, const struct meteora_scores *scores,
                    const struct neighbours *neighbours);
void meteora_release(struct meteora *meteora);

#endif
