#include "run/score_totals.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* No sum of losses or of their squares overflows below this. */
#define MAX_NLL 1e100

struct score_totals *score_totals_new(const struct score_protocol *protocol, uint64_t batch)
{
    struct score_totals *t = memory_zeroed(1, sizeof(*t));

    t->protocol = *protocol;
    t->batch = batch;
    t->n_legs = score_protocol_legs(protocol);
    t->keys.max = RECORD_KEYS_MAX;
    if (t->n_legs == BOOTSTRAP_LEGS)
        t->bootstrap = bootstrap_new();
    return t;
}

void score_totals_free(struct score_totals *t)
{
    if (!t)
        return;
    record_keys_release(&t->keys);
    free(t->bootstrap);
    free(t);
}

/* ---- records ---- */

bool score_totals_skip(struct score_totals *t, const char *text, uint64_t n)
{
    int at = 0, order = 1;

    while (at < t->n_reasons && (order = strcmp(text, t->reasons[at].text)) > 0)
        at++;
    if (at == t->n_reasons || order != 0) {
        if (t->n_reasons == SCORE_MAX_REASONS)
            return false;
        memmove(&t->reasons[at + 1], &t->reasons[at],
                (size_t)(t->n_reasons - at) * sizeof(t->reasons[0]));
        t->reasons[at] = (struct score_reason){0};
        snprintf(t->reasons[at].text, sizeof(t->reasons[at].text), "%s", text);
        t->n_reasons++;
    }
    t->reasons[at].n += n;
    return true;
}

static const char *reason_of(const struct score_totals *t, const struct score_result *results)
{
    for (int leg = 0; leg < t->n_legs; leg++) {
        const struct score_result *r = &results[leg];

        if (r->reason)
            return r->reason;
        if (score_result_tokens(r) == 0)
            return "there is nothing to score";
        if (!(fabs(score_result_nll(r)) <= MAX_NLL))
            return "the loss is not a number";
    }
    return NULL;
}

static void add_counts(struct score_counts *c, const struct score_result *r)
{
    c->scored++;
    c->truncated += r->truncated > 0;
    c->truncated_tokens += r->truncated;
    c->weight += r->n_ids;
    for (int i = 0; i < SCORE_REGIONS; i++) {
        c->tokens[i] += r->tokens[i];
        c->bytes[i] += r->bytes[i];
    }
}

static void add_leg(struct score_leg *leg, const struct score_result *r, double loss, bool is_first)
{
    exact_sum_add(&leg->card, loss, r->n_ids);
    exact_sum_add(&leg->losses, loss, 1);
    exact_sum_add_product(&leg->squares, loss, loss);
    for (int i = 0; i < SCORE_REGIONS; i++)
        exact_sum_add(&leg->nll[i], r->nll[i], 1);
    exact_sum_add(&leg->seconds, isfinite(r->seconds) ? r->seconds : 0, 1);
    leg->least = is_first || loss < leg->least ? loss : leg->least;
    leg->greatest = is_first || loss > leg->greatest ? loss : leg->greatest;
    loss_histogram_add(&leg->histogram, loss);
}

static void add_pair(struct score_totals *t, uint64_t key, struct text id,
                     const struct score_result *results, const double *losses)
{
    const struct bootstrap_term terms[BOOTSTRAP_KINDS] = {
        [BOOTSTRAP_CARD] = {{losses[0], losses[1]}, results->n_ids, results->n_ids},
        [BOOTSTRAP_TOKEN] = {{score_result_nll(&results[0]), score_result_nll(&results[1])},
                             1,
                             score_result_tokens(results)},
    };

    t->counts.improved += losses[1] < losses[0];
    t->counts.worse += losses[1] > losses[0];
    bootstrap_add(t->bootstrap, key, terms);
    worst_records_add(&t->worst, key, id, losses[0], losses[1]);
}

void score_totals_add(struct score_totals *t, uint64_t key, struct text id,
                      const struct score_result *results)
{
    const char *reason = reason_of(t, results);
    double losses[SCORE_PROTOCOL_MAX_LEGS];

    record_keys_add(&t->keys, key);
    if (reason) {
        const bool counted = score_totals_skip(t, reason, 1);

        assert(counted && "reasons are constants, and few");
        return;
    }
    for (int i = 0; i < t->n_legs; i++) {
        assert(results[i].n_ids == results[0].n_ids &&
               score_result_tokens(&results[i]) == score_result_tokens(results));
        losses[i] = score_result_nll(&results[i]) / (double)score_result_tokens(&results[i]);
        add_leg(&t->legs[i], &results[i], losses[i], t->counts.scored == 0);
    }
    add_counts(&t->counts, results);
    if (t->bootstrap)
        add_pair(t, key, id, results, losses);
}

uint64_t score_totals_skipped(const struct score_totals *t)
{
    uint64_t n = 0;

    for (int i = 0; i < t->n_reasons; i++)
        n += t->reasons[i].n;
    return n;
}

/* ---- shards ---- */

static void merge_counts(struct score_counts *c, const struct score_counts *other)
{
    uint64_t *to = (uint64_t *)c;
    const uint64_t *from = (const uint64_t *)other;

    for (size_t i = 0; i < sizeof(*c) / sizeof(uint64_t); i++)
        to[i] += from[i];
}

static void merge_leg(struct score_leg *leg, const struct score_leg *other, bool has_any,
                      bool other_has)
{
    exact_sum_merge(&leg->card, &other->card);
    exact_sum_merge(&leg->losses, &other->losses);
    exact_sum_merge(&leg->squares, &other->squares);
    exact_sum_merge(&leg->seconds, &other->seconds);
    for (int i = 0; i < SCORE_REGIONS; i++)
        exact_sum_merge(&leg->nll[i], &other->nll[i]);
    for (int i = 0; i < LOSS_HISTOGRAM_BINS; i++)
        leg->histogram.bins[i] += other->histogram.bins[i];
    if (other_has && (!has_any || other->least < leg->least))
        leg->least = other->least;
    if (other_has && (!has_any || other->greatest > leg->greatest))
        leg->greatest = other->greatest;
}

/* What is counted in a merged total stays below SCORE_TOTALS_MAX_COUNT, as it is in each part. */
static bool counts_fit(const struct score_counts *c, const struct score_counts *other)
{
    const uint64_t *a = (const uint64_t *)c, *b = (const uint64_t *)other;

    for (size_t i = 0; i < sizeof(*c) / sizeof(uint64_t); i++) {
        if (a[i] + b[i] > SCORE_TOTALS_MAX_COUNT)
            return false;
    }
    return true;
}

static bool may_merge(struct score_totals *t, struct score_totals *other, const char *const *names,
                      struct status *status)
{
    uint32_t shard = 0;
    size_t n_common;

    if (!score_protocol_equal(&t->protocol, &other->protocol, status))
        return false;
    if (!counts_fit(&t->counts, &other->counts))
        return status_fail(status, STATUS_DATA, "together with the shards before, more than 2^53");
    n_common = record_keys_common(&t->keys, &other->keys, &shard);
    return n_common == 0 ||
           status_fail(status, STATUS_DATA,
                       "has %zu record%s that %s has too: a record may be in one shard only",
                       n_common, n_common == 1 ? "" : "s", names[shard]);
}

bool score_totals_merge(struct score_totals *t, struct score_totals *other,
                        const char *const *names, uint32_t shard, struct status *status)
{
    record_keys_settle(&t->keys);
    record_keys_settle(&other->keys);
    if (!may_merge(t, other, names, status))
        return false;
    for (int i = 0; i < other->n_reasons; i++) {
        if (!score_totals_skip(t, other->reasons[i].text, other->reasons[i].n))
            return status_fail(status, STATUS_DATA, "more than %d reasons for skipping a record",
                               SCORE_MAX_REASONS);
    }
    for (int i = 0; i < t->n_legs; i++)
        merge_leg(&t->legs[i], &other->legs[i], t->counts.scored > 0, other->counts.scored > 0);
    merge_counts(&t->counts, &other->counts);
    record_keys_merge(&t->keys, &other->keys, shard);
    if (t->bootstrap)
        bootstrap_merge(t->bootstrap, other->bootstrap);
    worst_records_merge(&t->worst, &other->worst);
    t->batch = t->batch == other->batch ? t->batch : 0;
    return true;
}
