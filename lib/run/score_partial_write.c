#include <inttypes.h>

#include "formats/json_write.h"
#include "run/score_partial.h"
#include "run/score_regions.h"

static void write_count(struct buf *out, const char *name, uint64_t n)
{
    json_write_name(out, name);
    json_write_uint(out, n);
}

static void write_sum(struct buf *out, const struct exact_sum *sum)
{
    json_write_comma(out);
    buf_append_char(out, '"');
    exact_sum_write(sum, out);
    buf_append_char(out, '"');
}

static void write_named_sum(struct buf *out, const char *name, const struct exact_sum *sum)
{
    json_write_name(out, name);
    write_sum(out, sum);
}

static void write_counts(const struct score_counts *c, struct buf *out)
{
    json_write_name(out, "counts");
    buf_append_char(out, '{');
    write_count(out, "scored", c->scored);
    write_count(out, "truncated", c->truncated);
    write_count(out, "truncated_tokens", c->truncated_tokens);
    write_count(out, "failed", c->failed);
    write_count(out, "kept", c->kept);
    write_count(out, "weight", c->weight);
    write_count(out, "improved", c->improved);
    write_count(out, "worse", c->worse);
    for (int i = 0; i < SCORE_REGIONS; i++) {
        json_write_name(out, score_region_names[i]);
        buf_append_char(out, '{');
        write_count(out, "tokens", c->tokens[i]);
        write_count(out, "bytes", c->bytes[i]);
        buf_append_char(out, '}');
    }
    buf_append_char(out, '}');
}

static void write_reasons(const struct score_totals *t, struct buf *out)
{
    json_write_name(out, "skipped");
    buf_append_char(out, '{');
    for (int i = 0; i < t->n_reasons; i++)
        write_count(out, t->reasons[i].text, t->reasons[i].n);
    buf_append_char(out, '}');
}

static void write_keys(const struct record_keys *keys, const char *name, bool repeated,
                       struct buf *out)
{
    json_write_name(out, name);
    buf_append_char(out, '"');
    for (size_t i = 0; i < keys->n; i++) {
        if (!repeated || keys->keys[i].repeated)
            buf_printf(out, "%016" PRIx64, keys->keys[i].key);
    }
    buf_append_char(out, '"');
}

static void write_histogram(const struct loss_histogram *h, struct buf *out)
{
    json_write_name(out, "histogram");
    buf_append_char(out, '[');
    for (int i = 0; i < LOSS_HISTOGRAM_BINS; i++) {
        if (h->bins[i] > 0) {
            json_write_comma(out);
            buf_printf(out, "[%d,%" PRIu64 "]", i, h->bins[i]);
        }
    }
    buf_append_char(out, ']');
}

static void write_leg(const struct score_leg *leg, struct buf *out)
{
    json_write_comma(out);
    buf_append_char(out, '{');
    write_named_sum(out, "card", &leg->card);
    write_named_sum(out, "losses", &leg->losses);
    write_named_sum(out, "squares", &leg->squares);
    for (int i = 0; i < SCORE_REGIONS; i++)
        write_named_sum(out, score_region_names[i], &leg->nll[i]);
    write_named_sum(out, "seconds", &leg->seconds);
    json_write_name(out, "least");
    json_write_double(out, leg->least);
    json_write_name(out, "greatest");
    json_write_double(out, leg->greatest);
    write_histogram(&leg->histogram, out);
    buf_append_char(out, '}');
}

static void write_worst(const struct worst_records *worst, struct buf *out)
{
    json_write_name(out, "worst");
    buf_append_char(out, '[');
    for (size_t i = 0; i < worst->n; i++) {
        const struct worst_record *record = &worst->list[i];

        json_write_comma(out);
        buf_append_char(out, '{');
        json_write_name(out, "id");
        json_write_string(out, (struct text){record->id, record->id_len});
        json_write_name(out, "key");
        buf_printf(out, "\"%016" PRIx64 "\"", record->key);
        json_write_name(out, "base");
        json_write_double(out, record->base);
        json_write_name(out, "adapted");
        json_write_double(out, record->adapted);
        buf_append_char(out, '}');
    }
    buf_append_char(out, ']');
}

static void write_bootstrap(const struct bootstrap *b, struct buf *out)
{
    json_write_name(out, "bootstrap");
    buf_append_char(out, '[');
    for (int i = 0; i < BOOTSTRAP_REPLICATES; i++) {
        json_write_comma(out);
        buf_append_char(out, '[');
        for (int kind = 0; kind < BOOTSTRAP_KINDS; kind++) {
            for (int leg = 0; leg < BOOTSTRAP_LEGS; leg++)
                write_sum(out, &b->means[i][kind].sums[leg]);
            json_write_comma(out);
            json_write_uint(out, b->means[i][kind].weight);
        }
        buf_append_char(out, ']');
    }
    buf_append_char(out, ']');
}

void score_partial_write(struct score_totals *t, struct buf *out)
{
    record_keys_settle(&t->keys);
    buf_append_char(out, '{');
    write_count(out, "medrat_partial", SCORE_PARTIAL_VERSION);
    json_write_name(out, "protocol");
    score_protocol_write(&t->protocol, out);
    write_count(out, "batch", t->batch);
    write_counts(&t->counts, out);
    write_reasons(t, out);
    write_keys(&t->keys, "keys", false, out);
    write_keys(&t->keys, "repeated_keys", true, out);
    json_write_name(out, "legs");
    buf_append_char(out, '[');
    for (int i = 0; i < t->n_legs; i++)
        write_leg(&t->legs[i], out);
    buf_append_char(out, ']');
    if (t->bootstrap) {
        write_worst(&t->worst, out);
        write_bootstrap(t->bootstrap, out);
    }
    buf_append_string(out, "}\n");
}
