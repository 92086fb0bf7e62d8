#include "rank/bm25.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "rank/terms.h"

static const double k1 = 1.2;
static const double b = 0.75;

struct posting { /* a term of the query in a passage */
    size_t passage;
    size_t term;
    size_t frequency;
};

struct counts {         /* of one record */
    struct text *query; /* [n_terms], distinct, ascending by bytes */
    size_t n_terms;
    size_t *document_frequency; /* [n_terms] */
    size_t *frequency;          /* [n_terms], of the passage being read; 0 between passages */
    size_t *found;              /* [n_terms], the terms that it has */
    size_t *length;             /* [n], terms of each passage */
    struct posting *postings;
    size_t n_postings;
    size_t cap_postings;
};

static int compare_terms(const void *left, const void *right)
{
    const struct text *x = left;
    const struct text *y = right;
    const size_t shorter = x->len < y->len ? x->len : y->len;
    const int order = memcmp(x->ptr, y->ptr, shorter);

    return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

static void read_query(struct counts *counts, const struct terms *query)
{
    size_t n = 0;

    counts->query = memory_zeroed(query->n + 1, sizeof(*counts->query));
    for (size_t i = 0; i < query->n; i++)
        counts->query[i] = terms_at(query, i);
    qsort(counts->query, query->n, sizeof(*counts->query), compare_terms);
    for (size_t i = 0; i < query->n; i++)
        if (n == 0 || !text_equals(counts->query[n - 1], counts->query[i]))
            counts->query[n++] = counts->query[i];
    counts->n_terms = n;
    counts->document_frequency = memory_zeroed(n + 1, sizeof(size_t));
    counts->frequency = memory_zeroed(n + 1, sizeof(size_t));
    counts->found = memory_zeroed(n + 1, sizeof(size_t));
}

static void add_posting(struct counts *counts, size_t passage, size_t term)
{
    if (counts->n_postings == counts->cap_postings) {
        counts->cap_postings = counts->cap_postings > 0 ? 2 * counts->cap_postings : 64;
        counts->postings =
            memory_resize(counts->postings, counts->cap_postings, sizeof(*counts->postings));
    }
    counts->postings[counts->n_postings++] =
        (struct posting){passage, term, counts->frequency[term]};
    counts->document_frequency[term]++;
    counts->frequency[term] = 0;
}

static int compare_indexes(const void *left, const void *right)
{
    const size_t x = *(const size_t *)left;
    const size_t y = *(const size_t *)right;

    return (x > y) - (x < y);
}

/* The terms of one passage: its length, and a posting for each term of the query, ascending, so
 * that scores are summed in one order. */
static void read_passage(struct counts *counts, const struct terms *terms, size_t passage)
{
    size_t n_found = 0;

    counts->length[passage] = terms->n;
    for (size_t i = 0; i < terms->n && counts->n_terms > 0; i++) {
        const struct text term = terms_at(terms, i);
        const struct text *at =
            bsearch(&term, counts->query, counts->n_terms, sizeof(*counts->query), compare_terms);

        if (at && counts->frequency[at - counts->query]++ == 0)
            counts->found[n_found++] = (size_t)(at - counts->query);
    }
    qsort(counts->found, n_found, sizeof(*counts->found), compare_indexes);
    for (size_t i = 0; i < n_found; i++)
        add_posting(counts, passage, counts->found[i]);
}

static double mean_length(const struct counts *counts, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++)
        sum += (double)counts->length[i];
    return sum / (double)n;
}

static void add_up(const struct counts *counts, size_t n, double *scores)
{
    const double mean = mean_length(counts, n); /* > 0 where there is a posting */

    for (size_t i = 0; i < n; i++)
        scores[i] = 0.0;
    for (size_t i = 0; i < counts->n_postings; i++) {
        const struct posting *p = &counts->postings[i];
        const double df = (double)counts->document_frequency[p->term];
        const double idf = log(1.0 + ((double)n - df + 0.5) / (df + 0.5));
        const double tf = (double)p->frequency;
        const double length = (double)counts->length[p->passage];

        scores[p->passage] += idf * tf * (k1 + 1.0) / (tf + k1 * (1.0 - b + b * length / mean));
    }
}

void bm25_scores(struct text query, const struct text *texts, size_t n, double *scores)
{
    struct counts counts = {0};
    struct terms query_terms = {0};
    struct terms terms = {0};

    if (n == 0)
        return;
    terms_split(&query_terms, query);
    read_query(&counts, &query_terms);
    counts.length = memory_zeroed(n, sizeof(*counts.length));
    for (size_t i = 0; i < n; i++) {
        terms_split(&terms, texts[i]);
        read_passage(&counts, &terms, i);
    }
    add_up(&counts, n, scores);
    terms_release(&query_terms);
    terms_release(&terms);
    free(counts.query);
    free(counts.document_frequency);
    free(counts.frequency);
    free(counts.found);
    free(counts.length);
    free(counts.postings);
}
