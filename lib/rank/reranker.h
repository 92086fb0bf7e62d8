/* Records with query, passages and rationales -> ranked, selected and explained evidence.
 *
 *   begin    reads the members; a record that the encoder has to read joins the queue
 *   embed    the next texts of the queue, across records, in one batch
 *   next     the first record of the queue, once all its texts are embedded
 *   finish   similarities -> selection -> JSON members
 *
 * A cross-encoder reads each passage together with the query; then a "text" here is such a pair,
 * and "embedding" it gives its score.
 *
 * With method bm25, and for records without passages, there is nothing to embed: finish follows
 * begin.
 */
#ifndef RANK_RERANKER_H
#define RANK_RERANKER_H

#include "model/cross_encoder.h"
#include "model/encoder.h"
#include "rank/cut.h"
#include "rank/passages.h"

/* Similarities a record may have: passages times rationales. Each is written out. */
#define RERANKER_MAX_SIMILARITIES 1000000

enum rerank_method {
    RERANK_METEORA, /* pair, pool, expand */
    RERANK_PAIR,    /* each rationale's best passage */
    RERANK_POOL,    /* the mean of the rationales, cut */
    RERANK_QUERY,   /* the query's own embedding, cut */
    RERANK_CROSS,   /* the cross-encoder's logit of query and passage, cut */
    RERANK_BM25,    /* the query's words, cut; no encoder */
};

/* The names of --method in the order of the enum, NULL behind the last. */
extern const char *const reranker_methods[];

struct reranker {
    enum rerank_method method;
    struct cut cut; /* zeroed: elbow */
    size_t window;
    size_t batch;                   /* texts that one call of embed takes */
    struct encoder *encoder;        /* the caller's; NULL with bm25 and cross */
    struct cross_encoder *cross;    /* the caller's, of one label; NULL but with cross */
    struct reranking *first, *last; /* the queue */
    struct {                        /* what was done, for --stats */
        size_t n_passages;
        size_t n_selected;
        size_t n_truncated;   /* texts that the encoder cut */
        size_t n_query_alone; /* records that wanted rationales and had none */
        size_t n_tokens;      /* that the encoder read */
    } done;
};

struct reranking; /* one record's */

/* The record must outlive the reranking; `owner` is what reranker_next gives back. NULL: this
 * record failed. A rationale of white space alone is left out: it is the best match of no passage.
 */
struct reranking *reranker_begin(struct reranker *reranker, const struct record *record,
                                 void *owner, struct status *status) MUST_CHECK;

/* True once all its texts are embedded. */
bool reranker_ready(const struct reranking *reranking);

/* Embeds the next texts of the queue, first come, first served. False: the encoder failed, which
 * ends the run. */
bool reranker_embed(struct reranker *reranker, struct status *status) MUST_CHECK;

/* The owner of the queue's first reranking if that is ready, which leaves the queue; else NULL. */
void *reranker_next(struct reranker *reranker);

/* Appends the members `evidence` and `selection`. False: this record failed. */
bool reranker_finish(struct reranker *reranker, struct reranking *reranking, struct buf *members,
                     struct status *status) MUST_CHECK;

void reranker_free(struct reranker *reranker, struct reranking *reranking); /* NULL allowed */

/* Appends the members of --stats. */
void reranker_stats(const struct reranker *reranker, struct buf *members);

#endif
