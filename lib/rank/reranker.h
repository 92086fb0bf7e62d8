/* Records with query, passages and rationales -> ranked, selected and explained evidence.
 *
 *   begin   reads the members, and with bm25 scores them
 *   embed   the texts of several records in one batch; without an encoder it has nothing to do
 *   finish  similarities -> selection -> JSON members
 */
#ifndef RANK_RERANKER_H
#define RANK_RERANKER_H

#include "model/encoder.h"
#include "rank/cut.h"
#include "rank/passages.h"

enum rerank_method {
    RERANK_METEORA, /* pair, pool, expand */
    RERANK_PAIR,    /* each rationale's best passage */
    RERANK_POOL,    /* the mean of the rationales, cut */
    RERANK_QUERY,   /* the query's own embedding, cut */
    RERANK_BM25,    /* the query's words, cut; no encoder */
};

/* The names of --method in the order of the enum, NULL behind the last. */
extern const char *const reranker_methods[];

struct reranker {
    enum rerank_method method;
    struct cut cut; /* zeroed: elbow */
    size_t window;
    struct encoder *encoder; /* the caller's; NULL with bm25 */
    const char *encoder_name;
    /* what was done, for --stats */
    size_t n_records;
    size_t n_passages;
    size_t n_selected;
    size_t n_truncated;   /* texts that the encoder cut */
    size_t n_query_alone; /* records that wanted rationales and had none */
    size_t n_tokens;      /* that the encoder read */
};

struct reranking; /* one record's */

/* The record must outlive the reranking. NULL: this record failed. */
struct reranking *reranker_begin(struct reranker *reranker, const struct record *record,
                                 struct status *status) MUST_CHECK;

/* How many texts of it the encoder has to read. */
size_t reranker_n_texts(const struct reranking *reranking);

/* Embeds the texts of all. False: the encoder failed, which ends the run. */
bool reranker_embed(struct reranker *reranker, struct reranking *const *rerankings, size_t n,
                    struct status *status) MUST_CHECK;

/* Appends the members `evidence` and `selection`. False: this record failed. */
bool reranker_finish(struct reranker *reranker, struct reranking *reranking, struct buf *members,
                     struct status *status) MUST_CHECK;

void reranker_free(struct reranking *reranking); /* NULL allowed */

#endif
