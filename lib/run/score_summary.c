#include "run/score_summary.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "formats/json_indent.h"
#include "formats/json_write.h"
#include "run/score_regions.h"

#define LN_2 0.693147180559945309417
#define NO_VALUE ((double)NAN) /* written as null */

enum { BASE, ADAPTED };

/* ---- the card's arithmetic (its evaluation script: formats/README.md) ---- */

struct score_card score_summary_card(const struct score_totals *t, int leg)
{
    const struct score_leg *l = &t->legs[leg];
    const double n = (double)t->counts.scored;
    struct score_card card = {NO_VALUE, NO_VALUE, NO_VALUE, exact_sum_value(&l->seconds), NO_VALUE};
    double spread;

    if (t->counts.scored == 0)
        return card;
    spread = exact_sum_spread(&l->losses, &l->squares, t->counts.scored);
    card.average_loss = exact_sum_value(&l->card) / (double)t->counts.weight;
    card.perplexity = exp(card.average_loss);
    card.loss_std = sqrt(spread > 0 ? spread : 0) / n;
    card.samples_per_second = card.seconds > 0 ? n / card.seconds : NO_VALUE;
    return card;
}

static double improvement(double base, double adapted)
{
    return (base - adapted) / base * 100;
}

static void write_number(struct buf *out, const char *name, double value)
{
    json_write_name(out, name);
    json_write_double(out, value);
}

static void write_count(struct buf *out, const char *name, uint64_t value)
{
    json_write_name(out, name);
    json_write_uint(out, value);
}

static void open_object(struct buf *out, const char *name)
{
    json_write_name(out, name);
    buf_append_char(out, '{');
}

static void write_card(const struct score_card *card, const char *name, struct buf *out)
{
    open_object(out, name);
    write_number(out, "perplexity", card->perplexity);
    write_number(out, "average_loss", card->average_loss);
    write_number(out, "loss_std", card->loss_std);
    write_number(out, "evaluation_time_seconds", card->seconds);
    write_number(out, "samples_per_second", card->samples_per_second);
    buf_append_char(out, '}');
}

/* What the card calls a leg. */
static const char *leg_name(const struct score_totals *t, int leg)
{
    if (t->n_legs == 1)
        return t->protocol.adapters[0] != '\0' ? "fine_tuned_model" : "baseline_model";
    return leg == BASE ? "baseline_model" : "fine_tuned_model";
}

static void write_card_file(const struct score_totals *t, struct buf *out)
{
    struct score_card cards[SCORE_PROTOCOL_MAX_LEGS];

    for (int leg = 0; leg < t->n_legs; leg++) {
        cards[leg] = score_summary_card(t, leg);
        write_card(&cards[leg], leg_name(t, leg), out);
    }
    if (t->n_legs == 2) {
        open_object(out, "comparison");
        write_number(out, "perplexity_improvement_percent",
                     improvement(cards[BASE].perplexity, cards[ADAPTED].perplexity));
        write_number(out, "loss_improvement_percent",
                     improvement(cards[BASE].average_loss, cards[ADAPTED].average_loss));
        write_number(out, "relative_speed",
                     cards[ADAPTED].samples_per_second / cards[BASE].samples_per_second);
        buf_append_char(out, '}');
    }
    open_object(out, "evaluation_parameters");
    write_count(out, "max_length", t->protocol.max_length);
    json_write_name(out, "batch_size");
    if (t->batch > 0)
        json_write_uint(out, t->batch);
    else
        buf_append_string(out, "null");
    write_count(out, "num_samples_evaluated", t->counts.scored);
    buf_append_char(out, '}');
}

/* ---- what the card's file leaves out ---- */

static uint64_t sum_of(const uint64_t n[SCORE_REGIONS], int region)
{
    uint64_t sum = 0;

    for (int i = 0; i < SCORE_REGIONS; i++)
        sum += region == SCORE_REGIONS || region == i ? n[i] : 0;
    return sum;
}

static double nll_of(const struct score_leg *leg, int region)
{
    struct exact_sum sum = {0};

    for (int i = 0; i < SCORE_REGIONS; i++) {
        if (region == SCORE_REGIONS || region == i)
            exact_sum_merge(&sum, &leg->nll[i]);
    }
    return exact_sum_value(&sum);
}

double score_summary_token_loss(const struct score_totals *t, int leg, int region)
{
    const uint64_t n = sum_of(t->counts.tokens, region);

    return n > 0 ? nll_of(&t->legs[leg], region) / (double)n : NO_VALUE;
}

/* Of one region, or of all tokens. */
static void write_part(const struct score_totals *t, int leg, int region, struct buf *out)
{
    const uint64_t bytes = sum_of(t->counts.bytes, region);
    const double loss = score_summary_token_loss(t, leg, region);

    write_number(out, "token_perplexity", exp(loss));
    write_number(out, "token_loss", loss);
    write_number(out, "bits_per_byte",
                 bytes > 0 ? nll_of(&t->legs[leg], region) / LN_2 / (double)bytes : NO_VALUE);
}

static void write_regions(const struct score_totals *t, int leg, struct buf *out)
{
    open_object(out, "regions");
    for (int i = 0; i < SCORE_REGIONS; i++) {
        if (t->counts.tokens[i] == 0)
            continue;
        open_object(out, score_region_names[i]);
        write_part(t, leg, i, out);
        buf_append_char(out, '}');
    }
    buf_append_char(out, '}');
}

/* The middle of a bin may lie outside of what is in it. */
static double percentile_of(const struct score_leg *leg, uint64_t n, int percent)
{
    const double loss = loss_histogram_percentile(&leg->histogram, n, percent);

    return fmin(fmax(loss, leg->least), leg->greatest);
}

static void write_percentiles(const struct score_totals *t, int leg, struct buf *out)
{
    static const int percents[] = {1, 5, 10, 25, 50, 75, 90, 95, 99};
    const bool any = t->counts.scored > 0;
    const struct score_leg *l = &t->legs[leg];

    open_object(out, "loss_percentiles");
    write_number(out, "least", any ? l->least : NO_VALUE);
    for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
        char name[8];

        snprintf(name, sizeof(name), "p%d", percents[i]);
        write_number(out, name, any ? percentile_of(l, t->counts.scored, percents[i]) : NO_VALUE);
    }
    write_number(out, "greatest", any ? l->greatest : NO_VALUE);
    buf_append_char(out, '}');
}

static void write_leg(const struct score_totals *t, int leg, struct buf *out)
{
    open_object(out, leg_name(t, leg));
    write_part(t, leg, SCORE_REGIONS, out);
    write_regions(t, leg, out);
    write_percentiles(t, leg, out);
    buf_append_char(out, '}');
}

static void write_records(struct score_totals *t, struct buf *out)
{
    record_keys_settle(&t->keys);
    open_object(out, "records");
    write_count(out, "scored", t->counts.scored);
    write_count(out, "truncated", t->counts.truncated);
    write_count(out, "truncated_tokens", t->counts.truncated_tokens);
    write_count(out, "failed", t->counts.failed);
    write_count(out, "kept", t->counts.kept);
    write_count(out, "repeated_keys", record_keys_repeated(&t->keys));
    write_count(out, "skipped", score_totals_skipped(t));
    open_object(out, "skipped_because");
    for (int i = 0; i < t->n_reasons; i++)
        write_count(out, t->reasons[i].text, t->reasons[i].n);
    buf_append_string(out, "}}");
}

static void write_tokens(const struct score_totals *t, struct buf *out)
{
    const uint64_t all = sum_of(t->counts.tokens, SCORE_REGIONS);

    open_object(out, "tokens");
    write_count(out, "scored", all);
    write_count(out, "bytes", sum_of(t->counts.bytes, SCORE_REGIONS));
    open_object(out, "regions");
    for (int i = 0; i < SCORE_REGIONS; i++) {
        if (t->counts.tokens[i] == 0)
            continue;
        open_object(out, score_region_names[i]);
        write_count(out, "scored", t->counts.tokens[i]);
        write_count(out, "bytes", t->counts.bytes[i]);
        write_number(out, "share", (double)t->counts.tokens[i] / (double)all);
        buf_append_char(out, '}');
    }
    buf_append_string(out, "}}");
}

static void write_interval(const struct bootstrap *b, enum bootstrap_kind kind,
                           enum bootstrap_statistic statistic, const char *name, struct buf *out)
{
    double interval[2];

    json_write_name(out, name);
    if (!bootstrap_interval(b, kind, statistic, interval)) {
        buf_append_string(out, "null");
        return;
    }
    buf_append_char(out, '[');
    json_write_double(out, interval[0]);
    buf_append_char(out, ',');
    json_write_double(out, interval[1]);
    buf_append_char(out, ']');
}

/* A figure of perplexities, of the card's or ours, with its intervals. */
static void write_perplexities(const struct score_totals *t, enum bootstrap_kind kind, double base,
                               double adapted, const char *name, struct buf *out)
{
    open_object(out, name);
    write_number(out, "difference", adapted - base);
    write_interval(t->bootstrap, kind, BOOTSTRAP_DIFFERENCE, "difference_interval", out);
    write_number(out, "improvement_percent", improvement(base, adapted));
    write_interval(t->bootstrap, kind, BOOTSTRAP_IMPROVEMENT, "improvement_percent_interval", out);
    buf_append_char(out, '}');
}

static void write_worst(const struct worst_records *worst, struct buf *out)
{
    json_write_name(out, "worst_regressions");
    buf_append_char(out, '[');
    for (size_t i = 0; i < worst->n; i++) {
        const struct worst_record *record = &worst->list[i];

        json_write_comma(out);
        buf_append_char(out, '{');
        json_write_name(out, "id");
        if (record->id_len > 0)
            buf_append(out, record->id, record->id_len);
        else
            buf_append_string(out, "null");
        json_write_name(out, "key");
        buf_printf(out, "\"%016" PRIx64 "\"", record->key);
        write_number(out, "baseline_loss", record->base);
        write_number(out, "fine_tuned_loss", record->adapted);
        write_number(out, "difference", record->adapted - record->base);
        buf_append_char(out, '}');
    }
    buf_append_char(out, ']');
}

static void write_comparison(const struct score_totals *t, struct buf *out)
{
    const struct score_counts *c = &t->counts;

    open_object(out, "comparison");
    write_perplexities(t, BOOTSTRAP_CARD, score_summary_card(t, BASE).perplexity,
                       score_summary_card(t, ADAPTED).perplexity, "perplexity", out);
    write_perplexities(t, BOOTSTRAP_TOKEN, exp(score_summary_token_loss(t, BASE, SCORE_REGIONS)),
                       exp(score_summary_token_loss(t, ADAPTED, SCORE_REGIONS)), "token_perplexity",
                       out);
    write_count(out, "improved", c->improved);
    write_count(out, "worse", c->worse);
    write_count(out, "equal", c->scored - c->improved - c->worse);
    write_number(out, "share_improved",
                 c->scored > 0 ? (double)c->improved / (double)c->scored : NO_VALUE);
    write_worst(&t->worst, out);
    buf_append_char(out, '}');
}

/* The only figures here that another run of the same gives otherwise. */
static void write_times(const struct score_totals *t, struct buf *out)
{
    const double tokens = (double)sum_of(t->counts.tokens, SCORE_REGIONS);

    open_object(out, "times");
    for (int leg = 0; leg < t->n_legs; leg++) {
        const double seconds = exact_sum_value(&t->legs[leg].seconds);

        open_object(out, leg_name(t, leg));
        write_number(out, "seconds", seconds);
        write_number(out, "tokens_per_second", seconds > 0 ? tokens / seconds : NO_VALUE);
        buf_append_char(out, '}');
    }
    buf_append_char(out, '}');
}

/* Why figures are null; NULL: none is. */
static const char *reason_of(const struct score_totals *t)
{
    if (t->counts.scored == 0)
        return "no record was scored: there are no figures";
    for (int leg = 0; leg < t->n_legs; leg++) {
        if (!isfinite(score_summary_card(t, leg).perplexity) ||
            !isfinite(exp(score_summary_token_loss(t, leg, SCORE_REGIONS))))
            return "a perplexity is beyond the range of numbers";
    }
    return NULL;
}

static void write_ours(struct score_totals *t, struct buf *out)
{
    const char *reason = reason_of(t);
    struct buf words = {0};

    open_object(out, "medrat");
    json_write_name(out, "options");
    score_protocol_write(&t->protocol, out);
    score_protocol_describe(&t->protocol, &words);
    json_write_name(out, "protocol");
    json_write_string(out, buf_text(&words));
    buf_release(&words);
    if (reason) {
        json_write_name(out, "reason");
        json_write_string(out, text_of(reason));
    }
    write_records(t, out);
    write_tokens(t, out);
    for (int leg = 0; leg < t->n_legs; leg++)
        write_leg(t, leg, out);
    if (t->n_legs == 2)
        write_comparison(t, out);
    write_times(t, out);
    buf_append_char(out, '}');
}

void score_summary_write(struct score_totals *t, struct buf *out)
{
    struct buf compact = {0};

    buf_append_char(&compact, '{');
    write_card_file(t, &compact);
    write_ours(t, &compact);
    buf_append_char(&compact, '}');
    json_indent(buf_text(&compact), out);
    buf_release(&compact);
}
