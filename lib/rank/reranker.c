#include "rank/reranker.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "formats/json_write.h"
#include "rank/bm25.h"
#include "rank/evidence.h"
#include "rank/similarity.h"

const char *const reranker_methods[] = {"meteora", "pair", "pool", "query", "cross", "bm25", NULL};

struct reranking {
    struct reranking *next; /* in the queue */
    void *owner;
    const struct record *record;
    struct passages passages;
    struct text query;
    bool query_alone; /* rationales were wanted, and there are none */
    size_t n_rationales;
    size_t *rationales; /* [n_rationales]: indexes in the record's list */
    /* What the encoder reads: the query or the rationales, n_first of them, then the passages. A
     * cross-encoder reads the passages, each with the query. */
    struct text *texts;
    size_t n_texts, n_first;
    size_t n_embedded;
    float
        *vectors; /* [n_texts][width]; NULL until the first is there, so that few records have it */
    bool *truncated; /* [n_texts]; likewise */
};

static bool wants_rationales(const struct reranker *reranker)
{
    return reranker->method == RERANK_METEORA || reranker->method == RERANK_PAIR ||
           reranker->method == RERANK_POOL;
}

static bool is_blank(struct text text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!strchr(" \t\r\n\v\f", text.ptr[i]) || text.ptr[i] == '\0')
            return false;
    return true;
}

/* Puts those that are not blank in front of list, and their indexes into r->rationales. */
static void keep_rationales(struct reranking *r, struct text *list, size_t n)
{
    r->rationales = memory_zeroed(n + 1, sizeof(*r->rationales));
    for (size_t i = 0; i < n; i++) {
        if (is_blank(list[i]))
            continue;
        list[r->n_rationales] = list[i];
        r->rationales[r->n_rationales++] = i;
    }
}

/* Floats that a text becomes. */
static size_t width(const struct reranker *reranker)
{
    return reranker->cross ? 1 : (size_t)encoder_dim(reranker->encoder);
}

/* texts: the query, or the rationales where they count, and the passages. */
static void gather_texts(const struct reranker *reranker, struct reranking *r,
                         const struct text *rationales)
{
    if (r->n_rationales > 0)
        r->n_first = r->n_rationales;
    else
        r->n_first = reranker->cross ? 0 : 1;
    r->n_texts = r->n_first + r->passages.n;
    r->texts = memory_zeroed(r->n_texts, sizeof(*r->texts));
    if (r->n_rationales > 0)
        memcpy(r->texts, rationales, r->n_first * sizeof(*r->texts));
    else if (r->n_first > 0)
        r->texts[0] = r->query;
    for (size_t i = 0; i < r->passages.n; i++)
        r->texts[r->n_first + i] = r->passages.list[i].text;
}

static bool read_rationales(const struct reranker *reranker, struct reranking *r,
                            struct status *status)
{
    struct text *list = NULL;
    size_t n = 0;
    bool found = false;
    bool ok = true;

    if (wants_rationales(reranker)) {
        if (!record_string_list(r->record, "rationales", &list, &n, &found, status))
            return false;
        keep_rationales(r, list, n);
        r->query_alone = r->n_rationales == 0;
        ok = r->n_rationales * r->passages.n <= RERANKER_MAX_SIMILARITIES ||
             record_fail(r->record, status, "too_many", "rationales",
                         "%zu rationales times %zu passages, %d similarities are the most",
                         r->n_rationales, r->passages.n, RERANKER_MAX_SIMILARITIES);
    }
    if (ok && reranker->method != RERANK_BM25 && r->passages.n > 0)
        gather_texts(reranker, r, list);
    free(list);
    return ok;
}

static bool read_query(struct reranking *r, struct status *status)
{
    bool found;

    if (!record_string(r->record, "query", &r->query, &found, status))
        return false;
    return found || record_fail_missing(r->record, "query", status);
}

static void join_queue(struct reranker *reranker, struct reranking *r)
{
    if (reranker->last)
        reranker->last->next = r;
    else
        reranker->first = r;
    reranker->last = r;
}

static void leave_queue(struct reranker *reranker, const struct reranking *r)
{
    struct reranking *before = NULL;

    for (struct reranking *at = reranker->first; at; before = at, at = at->next) {
        if (at != r)
            continue;
        *(before ? &before->next : &reranker->first) = at->next;
        if (!at->next)
            reranker->last = before;
        return;
    }
}

struct reranking *reranker_begin(struct reranker *reranker, const struct record *record,
                                 void *owner, struct status *status)
{
    struct reranking *r = memory_zeroed(1, sizeof(*r));

    r->record = record;
    r->owner = owner;
    if (!read_query(r, status) || !passages_read(&r->passages, record, status) ||
        !read_rationales(reranker, r, status)) {
        reranker_free(reranker, r);
        return NULL;
    }
    if (!reranker_ready(r))
        join_queue(reranker, r);
    return r;
}

bool reranker_ready(const struct reranking *reranking)
{
    return reranking->n_embedded == reranking->n_texts;
}

void *reranker_next(struct reranker *reranker)
{
    struct reranking *r = reranker->first;

    if (!r || !reranker_ready(r))
        return NULL;
    leave_queue(reranker, r);
    return r->owner;
}

/* What one call of embed takes out of the queue, and what came of it. */
struct step {
    size_t n;
    struct text *texts;
    enum encoder_role *roles;
    struct text_pair *pairs; /* in place of texts and roles */
    float *vectors;          /* [n][width] */
    int32_t *n_tokens;
};

static void step_init(struct step *step, const struct reranker *reranker)
{
    const size_t most = reranker->batch;

    *step = (struct step){0};
    if (reranker->cross) {
        step->pairs = memory_zeroed(most, sizeof(*step->pairs));
    } else {
        step->texts = memory_zeroed(most, sizeof(*step->texts));
        step->roles = memory_zeroed(most, sizeof(*step->roles));
    }
    step->vectors = memory_zeroed(most * width(reranker), sizeof(*step->vectors));
    step->n_tokens = memory_zeroed(most, sizeof(*step->n_tokens));
}

static void step_release(struct step *step)
{
    free(step->texts);
    free(step->roles);
    free(step->pairs);
    free(step->vectors);
    free(step->n_tokens);
}

/* The next texts of the queue, up to a batch. */
static void take_texts(struct step *step, const struct reranker *reranker)
{
    for (const struct reranking *r = reranker->first; r && step->n < reranker->batch; r = r->next) {
        for (size_t t = r->n_embedded; t < r->n_texts && step->n < reranker->batch; t++) {
            const size_t at = step->n++;

            if (reranker->cross) {
                step->pairs[at] = (struct text_pair){r->query, r->texts[t]};
            } else {
                step->texts[at] = r->texts[t];
                step->roles[at] = t < r->n_first ? ENCODER_QUERY : ENCODER_DOCUMENT;
            }
        }
    }
}

/* Hands the vectors out in the order of take_texts. */
static void give_vectors(struct reranker *reranker, const struct step *step)
{
    const size_t dim = width(reranker);
    const int32_t most = reranker->cross ? cross_encoder_max_tokens(reranker->cross)
                                         : encoder_max_tokens(reranker->encoder);
    size_t done = 0;

    for (struct reranking *r = reranker->first; done < step->n; r = r->next) {
        if (!r->vectors) {
            r->vectors = memory_zeroed(r->n_texts * dim, sizeof(*r->vectors));
            r->truncated = memory_zeroed(r->n_texts, sizeof(*r->truncated));
        }
        for (; r->n_embedded < r->n_texts && done < step->n; done++) {
            const size_t t = r->n_embedded++;
            const int32_t n_tokens = step->n_tokens[done];

            memcpy(r->vectors + t * dim, step->vectors + done * dim, dim * sizeof(*r->vectors));
            r->truncated[t] = n_tokens > most;
            reranker->done.n_truncated += r->truncated[t];
            reranker->done.n_tokens += (size_t)(r->truncated[t] ? most : n_tokens);
        }
    }
}

bool reranker_embed(struct reranker *reranker, struct status *status)
{
    struct step step;
    bool ok;

    step_init(&step, reranker);
    take_texts(&step, reranker);
    ok = reranker->cross ? cross_encoder_score(reranker->cross, step.pairs, step.n, step.vectors,
                                               step.n_tokens, status)
                         : encoder_embed(reranker->encoder, step.texts, step.roles, step.n,
                                         step.vectors, step.n_tokens, status);
    if (ok)
        give_vectors(reranker, &step);
    step_release(&step);
    return ok;
}

/* similarity[n_rationales][n], and pooled[n]: each passage's with the rationales' mean, or with the
 * query where there are none; cosines, or as the encoder wants it. False: a number is not finite.
 */
static bool compare_vectors(const struct reranker *reranker, const struct reranking *r,
                            double *similarity, double *pooled)
{
    const size_t dim = (size_t)encoder_dim(reranker->encoder);
    const float *passages = r->vectors + r->n_first * dim;
    bool (*const compare)(const float *, size_t, const float *, size_t, size_t, double *) =
        encoder_similarity(reranker->encoder) == SBERT_DOT ? similarity_products
                                                           : similarity_cosines;
    float *mean = memory_zeroed(dim, sizeof(*mean));
    bool finite;

    similarity_mean(r->vectors, r->n_first, dim, mean); /* of one vector: itself */
    finite = compare(mean, 1, passages, r->passages.n, dim, pooled) &&
             (r->n_rationales == 0 ||
              compare(r->vectors, r->n_rationales, passages, r->passages.n, dim, similarity));
    free(mean);
    return finite;
}

/* The logits as they are. False: one is not finite. */
static bool take_logits(const struct reranking *r, double *pooled)
{
    bool finite = true;

    for (size_t i = 0; i < r->passages.n; i++) {
        pooled[i] = (double)r->vectors[i];
        finite = finite && isfinite(pooled[i]);
    }
    return finite;
}

static void count_bm25(const struct reranking *r, double *scores)
{
    struct text *texts = memory_zeroed(r->passages.n + 1, sizeof(*texts));

    for (size_t i = 0; i < r->passages.n; i++)
        texts[i] = r->passages.list[i].text;
    bm25_scores(r->query, texts, r->passages.n, scores);
    free(texts);
}

/* The scores' arrays: [n_rationales][n] and [n]. */
static bool fill_scores(const struct reranker *reranker, const struct reranking *r,
                        double *similarity, double *pooled, struct status *status)
{
    if (r->passages.n == 0)
        return true;
    if (reranker->method == RERANK_BM25) {
        count_bm25(r, pooled);
        return true;
    }
    if (reranker->method == RERANK_CROSS)
        return take_logits(r, pooled) ||
               record_fail(r->record, status, "not_finite", "passages", "a score is not finite");
    return compare_vectors(reranker, r, similarity, pooled) ||
           record_fail(r->record, status, "not_finite", "passages", "an embedding is not finite");
}

static enum via pooled_is(const struct reranker *reranker, const struct reranking *r)
{
    if (reranker->method == RERANK_BM25)
        return VIA_BM25;
    if (reranker->method == RERANK_CROSS)
        return VIA_CROSS;
    return r->n_rationales == 0 ? VIA_QUERY : VIA_POOL;
}

/* NULL: none. */
static const char *model_name(const struct reranker *reranker)
{
    if (reranker->cross)
        return cross_encoder_name(reranker->cross);
    return reranker->encoder ? encoder_name(reranker->encoder) : NULL;
}

static void write_members(struct reranker *reranker, const struct reranking *r,
                          const struct meteora_scores *scores, struct buf *members)
{
    struct neighbours neighbours = {0};
    struct meteora meteora;
    struct evidence evidence = {
        .passages = &r->passages,
        .scores = scores,
        .meteora = &meteora,
        .truncated = r->n_texts > 0 ? r->truncated + r->n_first : NULL,
        .method = reranker_methods[reranker->method],
        .encoder = model_name(reranker),
        .query_alone = r->query_alone,
    };

    if (scores->window > 0)
        neighbours_init(&neighbours, &r->passages);
    meteora_select(&meteora, scores, &neighbours);
    for (size_t t = 0; t < r->n_texts; t++)
        evidence.n_truncated += r->truncated[t];
    evidence_write(&evidence, members);
    reranker->done.n_passages += r->passages.n;
    reranker->done.n_selected += meteora.n_selected;
    reranker->done.n_query_alone += r->query_alone;
    neighbours_release(&neighbours);
    meteora_release(&meteora);
}

bool reranker_finish(struct reranker *reranker, struct reranking *r, struct buf *members,
                     struct status *status)
{
    const size_t n = r->passages.n;
    double *similarity = memory_zeroed(r->n_rationales * n + 1, sizeof(*similarity));
    double *pooled = memory_zeroed(n + 1, sizeof(*pooled));
    const bool pairs_alone = reranker->method == RERANK_PAIR && r->n_rationales > 0;
    const struct meteora_scores scores = {
        .n = n,
        .n_rationales = r->n_rationales,
        .rationales = r->rationales,
        .similarity = similarity,
        .pooled = pairs_alone ? NULL : pooled,
        .pooled_via = pairs_alone ? 0 : pooled_is(reranker, r),
        .pair = r->n_rationales > 0 && reranker->method != RERANK_POOL,
        .cut = reranker->cut,
        .window = reranker->window,
    };
    const bool ok = fill_scores(reranker, r, similarity, pooled, status);

    if (ok)
        write_members(reranker, r, &scores, members);
    free(similarity);
    free(pooled);
    return ok;
}

void reranker_free(struct reranker *reranker, struct reranking *r)
{
    if (!r)
        return;
    leave_queue(reranker, r);
    passages_release(&r->passages);
    free(r->rationales);
    free(r->texts);
    free(r->vectors);
    free(r->truncated);
    free(r);
}

void reranker_stats(const struct reranker *reranker, struct buf *members)
{
    struct buf cut = {0};

    cut_name(&reranker->cut, &cut);
    json_write_name(members, "method");
    json_write_string(members, text_of(reranker_methods[reranker->method]));
    json_write_name(members, "cut");
    json_write_string(members, buf_text(&cut));
    json_write_name(members, "window");
    json_write_uint(members, reranker->window);
    json_write_name(members, "passages");
    json_write_uint(members, reranker->done.n_passages);
    json_write_name(members, "selected");
    json_write_uint(members, reranker->done.n_selected);
    json_write_name(members, "without_rationales");
    json_write_uint(members, reranker->done.n_query_alone);
    if (model_name(reranker)) {
        json_write_name(members, "encoder");
        json_write_string(members, text_of(model_name(reranker)));
        json_write_name(members, "encoder_tokenizer");
        json_write_string(members,
                          text_of(reranker->cross ? cross_encoder_tokenizer(reranker->cross)
                                                  : encoder_tokenizer(reranker->encoder)));
        json_write_name(members, "encoder_tokens");
        json_write_uint(members, reranker->done.n_tokens);
        json_write_name(members, "truncated");
        json_write_uint(members, reranker->done.n_truncated);
    }
    buf_release(&cut);
}
