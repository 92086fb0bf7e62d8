/* What a run adds up to: the card's figures and ours to the last digits, whatever the order of the
 * records and however they were cut in shards. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "score_totals_fixture.h"
#include "tests/golden/golden.h"

enum { N = 1200, SHARDS = 1000 };

/* ---- against numpy and fractions ---- */

static double number_at(const json_t *row, const char *name, size_t i)
{
    return json_number_value(json_array_get(json_object_get(row, name), i));
}

static void add_row(struct score_totals *totals, const json_t *row)
{
    const json_t *nll = json_object_get(row, "nll");
    struct score_result results[2] = {{0}};

    for (size_t leg = 0; leg < 2; leg++) {
        results[leg].n_ids = (size_t)json_integer_value(json_object_get(row, "n_ids"));
        results[leg].seconds = number_at(row, "seconds", leg);
        for (size_t r = 0; r < SCORE_REGIONS; r++) {
            results[leg].tokens[r] = (size_t)number_at(row, "tokens", r);
            results[leg].bytes[r] = (size_t)number_at(row, "bytes", r);
            results[leg].nll[r] = json_number_value(json_array_get(json_array_get(nll, leg), r));
        }
    }
    score_totals_add(totals, strtoull(golden_text(row, "key").ptr, NULL, 16), (struct text){0},
                     results);
}

/* Every number of `wanted` stands at the same place in `got`. */
static void assert_close(const json_t *got, const json_t *wanted, const char *place)
{
    const char *name;
    json_t *value;
    size_t i;

    if (json_is_object(wanted)) {
        json_object_foreach((json_t *)wanted, name, value)
            assert_close(json_object_get(got, name), value, name);
    } else if (json_is_array(wanted)) {
        assert_int_equal(json_array_size(got), json_array_size(wanted));
        json_array_foreach(wanted, i, value) assert_close(json_array_get(got, i), value, place);
    } else if (json_is_string(wanted)) {
        assert_string_equal(json_string_value(got), json_string_value(wanted));
    } else {
        const double a = json_number_value(got), b = json_number_value(wanted);

        if (!json_is_number(got) || !(fabs(a - b) <= 1e-12 * fabs(b)))
            fail_msg("%s: %.17g, not %.17g", place, a, b);
    }
}

static void assert_percentiles(const json_t *summary, const json_t *wanted)
{
    static const char *const names[] = {"p1",  "p5",  "p10", "p25", "p50",
                                        "p75", "p90", "p95", "p99"};
    static const char *const legs[] = {"baseline_model", "fine_tuned_model"};

    for (size_t leg = 0; leg < 2; leg++) {
        const json_t *got = json_object_get(
            json_object_get(json_object_get(summary, "medrat"), legs[leg]), "loss_percentiles");

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
            assert_true(fabs(json_number_value(json_object_get(got, names[i])) -
                             json_number_value(json_array_get(json_array_get(wanted, leg), i))) <=
                        0x1p-11);
    }
}

static json_t *summary_of(struct score_totals *totals)
{
    struct buf text = {0};
    json_error_t error;
    json_t *summary;

    score_summary_write(totals, &text);
    summary = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &error);
    if (!summary)
        fail_msg("%d: %s", error.line, error.text);
    buf_release(&text);
    return summary;
}

static void computes_the_cards_figures_and_ours(void **state)
{
    json_t *rows = golden_rows("score_totals.jsonl"), *summary;
    const json_t *wanted = json_array_get(rows, 0);
    struct score_totals *totals = score_totals_new(&fixture_compare, 1);

    (void)state;
    for (size_t i = 1; i < json_array_size(rows); i++)
        add_row(totals, json_array_get(rows, i));
    summary = summary_of(totals);
    assert_close(summary, json_object_get(wanted, "summary"), "summary");
    assert_percentiles(summary, json_object_get(wanted, "percentiles"));
    json_decref(summary);
    score_totals_free(totals);
    json_decref(rows);
}

/* ---- order and shards ---- */

static struct score_totals *totals_of(uint64_t first, uint64_t step, uint64_t end)
{
    struct score_totals *totals = score_totals_new(&fixture_compare, 4);

    for (uint64_t i = first; i < end; i += step)
        fixture_add(totals, i);
    return totals;
}

/* Both files of the totals, one behind the other. */
static void write_both(struct score_totals *totals, struct buf *out)
{
    buf_reset(out);
    score_partial_write(totals, out);
    score_summary_write(totals, out);
}

static void assert_same(struct score_totals *totals, struct score_totals *wanted)
{
    struct buf got = {0}, want = {0};

    write_both(totals, &got);
    write_both(wanted, &want);
    assert_string_equal(got.data, want.data);
    buf_release(&got);
    buf_release(&want);
}

static void any_order_gives_the_same_bytes(void **state)
{
    struct score_totals *forward = totals_of(0, 1, N);
    struct score_totals *other = score_totals_new(&fixture_compare, 4);

    (void)state;
    for (uint64_t i = 0; i < N; i++)
        fixture_add(other, i * 7 % N);
    assert_int_equal(forward->worst.n, WORST_RECORDS);
    assert_true(score_totals_skipped(forward) > 10);
    assert_same(other, forward);
    score_totals_free(forward);
    score_totals_free(other);
}

static struct score_totals *through_text(struct score_totals *totals)
{
    struct status status = {0};
    struct buf text = {0};
    struct score_totals *read;

    score_partial_write(totals, &text);
    read = score_partial_parse(buf_text(&text), &status);
    if (!read)
        fail_msg("%s", status.message);
    buf_release(&text);
    return read;
}

/* Shards of one or two records, each through its file. */
static void a_thousand_shards_give_the_bytes_of_one_run(void **state)
{
    const char *build = getenv("MEDRAT_BUILD_CONFIG");
    /* the slow builds see the same code with fewer */
    const uint32_t n_shards = build && strcmp(build, "release") != 0 ? 50 : SHARDS;
    static const char *names[SHARDS];
    struct score_totals *whole = totals_of(0, 1, N), *merged = NULL;
    struct status status = {0};

    (void)state;
    for (uint32_t s = 0; s < n_shards; s++) {
        struct score_totals *shard = totals_of((s * 7 + 5) % n_shards, n_shards, N);
        struct score_totals *read = through_text(shard);

        score_totals_free(shard);
        names[s] = "a";
        if (merged && !score_totals_merge(merged, read, names, s, &status))
            fail_msg("%s", status.message);
        if (merged)
            score_totals_free(read);
        else
            merged = read;
    }
    assert_same(merged, whole);
    score_totals_free(merged);
    score_totals_free(whole);
}

static void shards_of_shards_too(void **state)
{
    static const char *const names[] = {"a", "b", "c"};
    struct score_totals *whole = totals_of(0, 1, 200), *thirds[3], *read;
    struct status status = {0};

    (void)state;
    for (uint64_t i = 0; i < 3; i++)
        thirds[i] = totals_of(i, 3, 200);
    assert_true(score_totals_merge(thirds[2], thirds[0], names, 1, &status));
    read = through_text(thirds[2]);
    assert_true(score_totals_merge(thirds[1], read, names, 1, &status));
    assert_same(thirds[1], whole);
    for (int i = 0; i < 3; i++)
        score_totals_free(thirds[i]);
    score_totals_free(read);
    score_totals_free(whole);
}

static void assert_refused(struct score_totals *a, struct score_totals *b, const char *message)
{
    static const char *const names[] = {"a.json", "b.json"};
    struct status status = {0};

    assert_false(score_totals_merge(a, b, names, 1, &status));
    assert_int_equal(status.code, STATUS_DATA);
    assert_string_equal(status.message, message);
}

static void a_record_in_two_shards_is_refused(void **state)
{
    struct score_totals *a = totals_of(0, 2, 100), *b = totals_of(1, 2, 100);
    struct score_totals *again = through_text(a);

    (void)state;
    assert_refused(a, again,
                   "has 50 records that a.json has too: a record may be in one shard only");
    fixture_add(b, 40);
    assert_refused(a, b, "has 1 record that a.json has too: a record may be in one shard only");
    score_totals_free(a);
    score_totals_free(b);
    score_totals_free(again);
}

static void other_options_are_refused(void **state)
{
    struct score_protocol other[] = {fixture_compare, fixture_compare, fixture_compare,
                                     fixture_compare};
    static const char *const messages[] = {
        "model is \"other@0123456789abcdef\", but \"small@0123456789abcdef\" in the shards before",
        "max_length is 512, but 1024 in the shards before",
        "compare is false, but true in the shards before",
        "kernels is \"avx2\", but \"scalar\" in the shards before",
    };

    (void)state;
    score_protocol_set(other[0].model, sizeof(other[0].model), "other@0123456789abcdef");
    other[1].max_length = 512;
    other[2].compare = false;
    score_protocol_set(other[3].kernels, sizeof(other[3].kernels), "avx2");
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        struct score_totals *a = totals_of(0, 2, 10), *b = score_totals_new(&other[i], 4);

        assert_refused(a, b, messages[i]);
        score_totals_free(a);
        score_totals_free(b);
    }
}

static void another_batch_is_no_other_run(void **state)
{
    static const char *const names[] = {"a.json", "b.json"};
    struct score_totals *a = score_totals_new(&fixture_compare, 4);
    struct score_totals *b = score_totals_new(&fixture_compare, 5);
    struct status status = {0};
    json_t *summary;

    (void)state;
    assert_true(score_totals_merge(a, b, names, 1, &status));
    summary = summary_of(a);
    assert_true(json_is_null(
        json_object_get(json_object_get(summary, "evaluation_parameters"), "batch_size")));
    json_decref(summary);
    score_totals_free(a);
    score_totals_free(b);
}

/* ---- edges ---- */

/* Python's json reads NaN and Infinity; nobody else has to. */
static void assert_plain_json(struct score_totals *totals, const char *reason)
{
    json_t *summary = summary_of(totals);

    assert_string_equal(
        json_string_value(json_object_get(json_object_get(summary, "medrat"), "reason")), reason);
    json_decref(summary);
}

static void no_record_no_figures(void **state)
{
    struct score_totals *totals = score_totals_new(&fixture_compare, 4), *read;

    (void)state;
    assert_plain_json(totals, "no record was scored: there are no figures");
    fixture_add(totals, 3); /* has a reason */
    assert_plain_json(totals, "no record was scored: there are no figures");
    read = through_text(totals);
    assert_same(read, totals);
    score_totals_free(totals);
    score_totals_free(read);
}

static void no_infinity_comes_out(void **state)
{
    struct score_totals *totals = score_totals_new(&fixture_compare, 4);
    struct score_result results[2] = {
        {.n_ids = 3, .nll[SCORE_PLAIN] = 1e99, .tokens[SCORE_PLAIN] = 2}};
    const char *const beyond = "a perplexity is beyond the range of numbers";

    (void)state;
    results[1] = results[0];
    score_totals_add(totals, 1, (struct text){0}, results);
    assert_plain_json(totals, beyond);
    results[1].nll[SCORE_PLAIN] = (double)INFINITY;
    score_totals_add(totals, 2, (struct text){0}, results);
    results[1].nll[SCORE_PLAIN] = (double)NAN;
    score_totals_add(totals, 3, (struct text){0}, results);
    assert_int_equal(totals->counts.scored, 1);
    assert_int_equal(totals->n_reasons, 1);
    assert_string_equal(totals->reasons[0].text, "the loss is not a number");
    assert_int_equal(totals->reasons[0].n, 2);
    assert_plain_json(totals, beyond);
    score_totals_free(totals);
}

static void one_leg_is_named_as_the_card_does(void **state)
{
    struct score_protocol protocol = fixture_compare;
    struct score_totals *totals;
    json_t *summary;

    (void)state;
    protocol.compare = false;
    totals = score_totals_new(&protocol, 4);
    fixture_add(totals, 1);
    summary = summary_of(totals);
    assert_non_null(json_object_get(summary, "fine_tuned_model"));
    assert_null(json_object_get(summary, "baseline_model"));
    assert_null(json_object_get(summary, "comparison"));
    json_decref(summary);
    totals->protocol.adapters[0] = '\0';
    summary = summary_of(totals);
    assert_non_null(json_object_get(summary, "baseline_model"));
    assert_null(json_object_get(summary, "fine_tuned_model"));
    json_decref(summary);
    score_totals_free(totals);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(computes_the_cards_figures_and_ours),
        cmocka_unit_test(any_order_gives_the_same_bytes),
        cmocka_unit_test(a_thousand_shards_give_the_bytes_of_one_run),
        cmocka_unit_test(shards_of_shards_too),
        cmocka_unit_test(a_record_in_two_shards_is_refused),
        cmocka_unit_test(other_options_are_refused),
        cmocka_unit_test(another_batch_is_no_other_run),
        cmocka_unit_test(no_record_no_figures),
        cmocka_unit_test(no_infinity_comes_out),
        cmocka_unit_test(one_leg_is_named_as_the_card_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
