/* SmolLM2's scores of real texts agree with transformers: the parts of the fine-tune's form,
 * continuations as lm-evaluation-harness asks for them, windows, ranks. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "formats/json_write.h"
#include "tests/unit/scorer_fixture.h"

enum { N_DATA = 200, N_FLOAT_TEXTS = 20 };

/* Of the sums over all texts, part by part: what issue and README promise. */
static const double max_float_error = 1e-4, max_words_error = 2e-3;
/* Of a text, relative: chance does not cancel. */
static const double max_text_error = 1e-3, max_text_words_error = 2e-2;
static const double max_token_error = 1e-3; /* nats, in floats: the file has four digits */

static json_t *rows, *data;
static const char *model_path;

struct compared {
    bool words; /* products of 16-bit numbers */
    double sum[SCORE_REGIONS], want[SCORE_REGIONS], worst_text, worst_token;
    int n_texts, n_ranks, n_sharp, n_continuations, n_greedy;
};

static int integer(const json_t *row, const char *name)
{
    assert_true(json_is_integer(json_object_get(row, name)));
    return (int)json_integer_value(json_object_get(row, name));
}

/* `{"text":...}` of one row of the data, or of several with an empty line between them. */
static void text_line(const int32_t *numbers, int n, struct buf *line)
{
    struct buf text = {0};

    for (int i = 0; i < n; i++) {
        if (i > 0)
            buf_append_string(&text, "\n\n");
        buf_append_text(&text, golden_text(json_array_get(data, (size_t)numbers[i]), "text"));
    }
    buf_append_string(line, "{\"text\":");
    json_write_string(line, buf_text(&text));
    buf_append_char(line, '}');
    buf_release(&text);
}

static void compare_tokens(const json_t *row, const json_t *member, struct compared *c)
{
    const json_t *logprobs = json_object_get(member, "logprobs");
    int n;
    double *nll = golden_numbers(row, "token_nll", &n);

    assert_int_equal(json_array_size(logprobs), n);
    for (int i = 0; i < n && !c->words; i++)
        c->worst_token = fmax(
            c->worst_token, fabs(nll[i] + json_number_value(json_array_get(logprobs, (size_t)i))));
    free(nll);
}

static void compare_ranks(const json_t *row, const json_t *member, struct compared *c)
{
    int n;
    int32_t *low = golden_ids(row, "rank_low", &n), *high = golden_ids(row, "rank_high", &n);

    for (int i = 0; i < n && !c->words; i++) {
        const json_t *rank = json_array_get(json_object_get(member, "ranks"), (size_t)i);

        assert_in_range(json_integer_value(rank), low[i], high[i]);
        c->n_sharp += low[i] == high[i];
        c->n_ranks++;
    }
    free(low);
    free(high);
}

static void compare_parts(const json_t *row, const struct score_result *r, struct compared *c)
{
    int n;
    int32_t *tokens = golden_ids(row, "tokens", &n), *bytes = golden_ids(row, "bytes", &n);
    double *nll = golden_numbers(row, "nll", &n), sum = 0;

    assert_int_equal(n, SCORE_PLAIN);
    assert_int_equal(r->n_ids, integer(row, "n_tokens"));
    assert_int_equal(r->tokens[SCORE_PLAIN], 0);
    for (int i = 0; i < n; i++) {
        assert_int_equal(r->tokens[i], tokens[i]);
        assert_int_equal(r->bytes[i], bytes[i]);
        c->sum[i] += r->nll[i];
        c->want[i] += nll[i];
        sum += nll[i];
    }
    c->worst_text = fmax(c->worst_text, fabs(score_result_nll(r) / sum - 1));
    c->n_texts++;
    free(tokens);
    free(bytes);
    free(nll);
}

/* With --completion-only the completion is all there is, and the same to the last bit. */
static void compare_completion(struct scorer *s, const char *line, const struct score_result *whole)
{
    struct scoring *scoring = score(s, line);
    const struct score_result *r = scorer_result(scoring, SCORER_MAIN);

    for (int i = 0; i < SCORE_REGIONS; i++) {
        assert_int_equal(r->tokens[i], i == SCORE_COMPLETION ? whole->tokens[i] : 0);
        assert_true(r->nll[i] == (i == SCORE_COMPLETION ? whole->nll[i] : 0));
    }
    scorer_free(scoring);
}

static void compare_text(struct scorer *s, struct scorer *completion, const json_t *row,
                         struct compared *c)
{
    const int32_t number = integer(row, "row");
    struct buf line = {0};
    struct scoring *scoring;
    const struct score_result *r;

    text_line(&number, 1, &line);
    scoring = score(s, line.data);
    r = scorer_result(scoring, SCORER_MAIN);
    compare_parts(row, r, c);
    if (json_object_get(row, "token_nll")) {
        json_t *object = written(scoring);

        if (r->tokens[SCORE_COMPLETION] > 0)
            compare_completion(completion, line.data, r);

        compare_tokens(row, json_object_get(object, "score"), c);
        compare_ranks(row, json_object_get(object, "score"), c);
        json_decref(object);
    }
    scorer_free(scoring);
    buf_release(&line);
}

static void compare_continuation(struct scorer *s, const json_t *row, struct compared *c)
{
    char *line = json_dumps(row, JSON_COMPACT);
    json_t *member = score_line(s, line);
    const double logprob = json_number_value(json_object_get(member, "logprob"));
    const double want = json_number_value(json_object_get(row, "logprob"));
    const bool is_greedy = json_is_true(json_object_get(row, "is_greedy"));

    assert_int_equal(integer(member, "tokens"), integer(row, "n_tokens"));
    assert_true(fabs(logprob - want) <
                (c->words ? 0.05 : max_token_error) * integer(row, "n_tokens"));
    if (json_number_value(json_object_get(row, "margin")) > 0.05)
        assert_int_equal(json_is_true(json_object_get(member, "is_greedy")), is_greedy);
    c->n_continuations++;
    c->n_greedy += is_greedy;
    json_decref(member);
    free(line);
}

static void compare_windows(const struct model *model, const json_t *row, struct compared *c)
{
    struct scorer *s =
        open_scorer(model, (struct scorer_options){.tokens = true,
                                                   .max_length = (size_t)integer(row, "max_length"),
                                                   .stride = (size_t)integer(row, "stride")});
    struct buf line = {0};
    json_t *member;
    int n;
    int32_t *numbers = golden_ids(row, "rows", &n);

    text_line(numbers, n, &line);
    member = score_line(s, line.data);
    assert_int_equal(integer(member, "tokens"), integer(row, "n_tokens") - 1);
    assert_true(integer(member, "windows") > 1);
    compare_tokens(row, member, c);
    json_decref(member);
    free(numbers);
    buf_release(&line);
    scorer_close(s);
}

static void report(const struct compared *c)
{
    printf("# %d texts: worst %.2g, worst token %.2g nats; %d ranks, %d sharp; %d continuations, "
           "%d greedy\n",
           c->n_texts, c->worst_text, c->worst_token, c->n_ranks, c->n_sharp, c->n_continuations,
           c->n_greedy);
    for (int i = 0; i < SCORE_PLAIN; i++) {
        const double error = fabs(c->sum[i] / c->want[i] - 1);

        printf("# part %d: %.4f nats, relative difference %.2g\n", i, c->sum[i], error);
        assert_true(error < (c->words ? max_words_error : max_float_error));
    }
    assert_true(c->worst_text < (c->words ? max_text_words_error : max_text_error));
    assert_true(c->worst_token < max_token_error);
    assert_true(c->words || (c->n_sharp > c->n_ranks / 4 && c->n_ranks > 1000));
    assert_true(c->n_greedy > 5 && c->n_greedy < c->n_continuations - 5);
}

static void scores_agree(const char *kernels, int n_texts)
{
    struct compared c = {0};
    struct golden_device d;
    struct status status = {0};
    struct model *model;
    struct scorer *s, *completion;
    json_t *row;
    size_t i;

    if (!golden_device_open(&d, kernels, 2))
        return;
    c.words = golden_rounds(&d);
    model = model_open(model_path, d.backend, d.device, &status);
    golden_need(model != NULL, model_path, &status);
    s = open_scorer(model, (struct scorer_options){.tokens = true, .max_length = 1024});
    completion =
        open_scorer(model, (struct scorer_options){.completion_only = true, .max_length = 1024});
    json_array_foreach(rows, i, row)
    {
        const char *kind = json_string_value(json_object_get(row, "kind"));

        if (strcmp(kind, "windows") == 0)
            compare_windows(model, row, &c);
        else if (strcmp(kind, "continuation") == 0)
            compare_continuation(s, row, &c);
        else if (c.n_texts < n_texts)
            compare_text(s, completion, row, &c);
    }
    report(&c);
    scorer_close(completion);
    scorer_close(s);
    model_close(model);
    golden_device_close(&d);
}

static void scores_agree_with_transformers_in_floats(void **state)
{
    (void)state;
    scores_agree("avx2", N_FLOAT_TEXTS);
}

static void scores_agree_with_transformers_in_words(void **state)
{
    (void)state;
    scores_agree("avx512-vnni", N_DATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_agree_with_transformers_in_floats),
        cmocka_unit_test(scores_agree_with_transformers_in_words),
    };
    struct buf path = {0};
    int n_failed;

    model_path = golden_model("smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", &path);
    data = golden_data("rationales/val.jsonl", N_DATA);
    rows = golden_rows("smollm2_scores.jsonl");
    n_failed = cmocka_run_group_tests_name("golden_scores", tests, NULL, NULL);
    json_decref(rows);
    json_decref(data);
    buf_release(&path);
    return n_failed;
}
