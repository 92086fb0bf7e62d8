/* The scorer: windows, ranks, both legs, parts of a text, and what has no number. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/safetensors.h"
#include "run/score_windows.h"
#include "tests/unit/tiny_tokenizer.h"

#include "tests/unit/scheduler_fixture.h"
#include "tests/unit/scorer_fixture.h"

static const char framed[] =
    "{\"text\":\"### Instruction:\\nfind it\\n\\n### Query:\\nthe cause of fever?\\n\\n### "
    "Response:\\nLook for infection and pain.\"}";

static double number(const json_t *object, const char *name)
{
    assert_true(json_is_number(json_object_get(object, name)));
    return json_number_value(json_object_get(object, name));
}

static char *tokens_line(int n, int vocab_size)
{
    struct buf line = {0};

    buf_append_string(&line, "{\"tokens\":[7");
    for (int i = 1; i < n; i++)
        buf_printf(&line, ",%d", (i * i * 31 + 7 * i) % vocab_size);
    buf_append_string(&line, "]}");
    return line.data;
}

static void the_parts_of_a_text_add_up(void **state)
{
    struct fixture f;
    const struct score_result *r;
    struct scoring *scoring;
    json_t *object, *member;

    (void)state;
    open_fixture(&f, "llama-f32.gguf", 1, 1);
    struct scorer *s = open_scorer(f.model, (struct scorer_options){.max_length = 500});

    scoring = score(s, framed);
    r = scorer_result(scoring, SCORER_MAIN);
    assert_null(scorer_result(scoring, SCORER_BASE));
    object = written(scoring);
    member = json_object_get(object, "score");
    assert_int_equal(json_object_size(member), 6);
    assert_true(fabs(number(member, "nll") - score_result_nll(r)) < 1e-9);
    assert_int_equal(number(member, "tokens"), score_result_tokens(r));
    assert_int_equal(number(member, "bytes"), score_result_bytes(r));
    assert_int_equal(r->n_ids, score_result_tokens(r) + 1);
    assert_int_equal(r->bytes[SCORE_QUERY], strlen("the cause of fever?"));
    assert_int_equal(r->bytes[SCORE_COMPLETION], strlen("Look for infection and pain."));
    assert_int_equal(r->tokens[SCORE_PLAIN], 0);
    for (int i = 0; i < SCORE_PLAIN; i++)
        assert_true(r->tokens[i] > 0 && r->nll[i] > 0);
    assert_true(r->seconds > 0 && !r->reason);
    json_decref(object);
    scorer_free(scoring);
    scorer_close(s);
    close_fixture(&f);
}

/* The log-probabilities of a window by itself. */
static struct sequence *score_window(struct scheduler *scheduler, const int32_t *ids,
                                     const struct score_window *window)
{
    const struct request request = {
        .tokens = ids + window->begin,
        .n_tokens = (int)(window->end - window->begin),
        .score = true,
        .first_target = (int)(window->first - window->begin),
        .sampling = {.n_logprobs = 20},
    };
    struct status status = {0};
    struct sequence *sequence = scheduler_submit(scheduler, &request, &status);

    golden_need(sequence != NULL, "submit", &status);
    while (scheduler_busy(scheduler))
        golden_need(scheduler_step(scheduler, &status), "step", &status);
    assert_ptr_equal(scheduler_next_done(scheduler), sequence);
    return sequence;
}

/* A rank and the best tokens tell the same. */
static void check_rank(const struct sequence *sequence, int i, int32_t target, json_int_t rank)
{
    const struct alternative *best = sequence->alternatives + (size_t)i * 20;

    assert_true(rank >= 1);
    for (json_int_t k = 1; k <= 20; k++)
        assert_true((best[k - 1].id == target) == (k == rank));
}

static void windows_are_what_their_tokens_give_alone(void **state)
{
    enum { N = 300, MAX_LENGTH = 64, STRIDE = 23 };
    struct score_windows windows;
    struct score_window window;
    struct fixture f;
    size_t at = 0, n_windows = 0;

    (void)state;
    open_fixture(&f, "mistral-f32", 1, 1);
    struct scorer *s = open_scorer(
        f.model,
        (struct scorer_options){.max_length = MAX_LENGTH, .stride = STRIDE, .tokens = true});
    struct scheduler *alone =
        open_scheduler(&f, (struct scheduler_options){.n_slots = 1, .threads = 1});
    char *line = tokens_line(N, f.model->config.vocab_size);
    struct scoring *scoring = score(s, line);
    json_t *object = written(scoring), *member = json_object_get(object, "score");
    const json_t *logprobs = json_object_get(member, "logprobs");
    const json_t *ids = json_object_get(member, "ids"), *ranks = json_object_get(member, "ranks");
    int32_t tokens[N] = {7};

    assert_int_equal(json_array_size(ids), N - 1);
    assert_int_equal(json_array_size(ranks), N - 1);
    for (size_t i = 1; i < N; i++)
        tokens[i] = (int32_t)json_integer_value(json_array_get(ids, i - 1));
    score_windows_init(&windows, N, 0, 1, MAX_LENGTH, STRIDE);
    for (; score_windows_next(&windows, &window); n_windows++) {
        struct sequence *sequence = score_window(alone, tokens, &window);

        for (int i = 0; i < sequence->n_logprobs; i++, at++) {
            assert_true(sequence->logprobs[i] == json_number_value(json_array_get(logprobs, at)));
            check_rank(sequence, i, tokens[window.first + (size_t)i],
                       json_integer_value(json_array_get(ranks, at)));
        }
        scheduler_free(alone, sequence);
    }
    assert_int_equal(at, N - 1);
    assert_int_equal(number(member, "windows"), n_windows);
    assert_int_equal(number(member, "truncated"), 0);
    json_decref(object);
    free(line);
    scorer_free(scoring);
    scheduler_close(alone);
    scorer_close(s);
    close_fixture(&f);
}

static void a_start_token_stands_before_every_window(void **state)
{
    enum { MAX_LENGTH = 10, STRIDE = 4, TEXT = 26 };
    static const char line[] = "{\"text\":\"zyxwvutsrqponmlkjihgfedcba\"}"; /* a token a letter */
    struct status status = {0};
    struct fixture f;

    (void)state;
    open_fixture(&f, "mistral-f32", 1, 1);
    f.model->tokenizer = tiny_open(true, &status); /* its <s> is 259, the model has 307 tokens */
    golden_need(f.model->tokenizer != NULL, "tokenizer", &status);
    struct scorer *s = open_scorer(
        f.model,
        (struct scorer_options){.max_length = MAX_LENGTH, .stride = STRIDE, .tokens = true});
    struct scheduler *alone =
        open_scheduler(&f, (struct scheduler_options){.n_slots = 1, .threads = 1});
    json_t *member = score_line(s, line);
    const json_t *logprobs = json_object_get(member, "logprobs");
    int scored = 0; /* letters */

    assert_int_equal(json_array_size(logprobs), TEXT);
    for (int begin = 0; scored < TEXT; begin += STRIDE) {
        int32_t ids[MAX_LENGTH] = {TINY_BEGIN};
        int n = 1;

        for (; n < MAX_LENGTH && begin + n <= TEXT; n++)
            ids[n] = 'z' - (begin + n - 1);
        const struct score_window window = {0, (size_t)n, (size_t)(1 + scored - begin)};
        struct sequence *sequence = score_window(alone, ids, &window);

        for (int i = 0; i < sequence->n_logprobs; i++, scored++)
            assert_true(sequence->logprobs[i] ==
                        json_number_value(json_array_get(logprobs, (size_t)scored)));
        scheduler_free(alone, sequence);
    }
    json_decref(member);
    scheduler_close(alone);
    scorer_close(s);
    close_fixture(&f);
}

static void both_legs_of_one_model_give_the_same(void **state)
{
    struct fixture f;
    double seconds[SCORER_LEGS] = {0};

    (void)state;
    open_fixture(&f, "llama-q4_1.gguf", 1, 1);
    struct scorer *s = open_scorer(
        f.model, (struct scorer_options){.max_length = 30, .stride = 11, .compare = true});
    static const char *const lines[] = {framed, "{\"text\":\"fever\"}", "{\"text\":\"\"}"};

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct scoring *scoring = score(s, lines[i]);
        json_t *object = written(scoring);

        assert_int_equal(json_object_size(object), 2);
        assert_true(
            json_equal(json_object_get(object, "score"), json_object_get(object, "score_base")));
        for (int leg = 0; leg < SCORER_LEGS; leg++)
            seconds[leg] += scorer_result(scoring, (enum scorer_leg)leg)->seconds;
        json_decref(object);
        scorer_free(scoring);
    }
    assert_true(seconds[SCORER_MAIN] > 0 && seconds[SCORER_BASE] > 0);
    scorer_close(s);
    close_fixture(&f);
}

static void what_is_given_up_half_way_leaves_the_others_alone(void **state)
{
    struct status status = {0};
    struct scoring *scorings[3], *done;
    struct fixture f;
    double nll = 0;

    (void)state;
    open_fixture(&f, "mistral-f32", 1, 1);
    struct scorer *s = open_scorer(
        f.model,
        (struct scorer_options){.max_length = 50, .stride = 5, .compare = true, .batch = 2});
    char *line = tokens_line(300, f.model->config.vocab_size);

    scorings[0] = score(s, line);
    nll = score_result_nll(scorer_result(scorings[0], SCORER_MAIN));
    scorer_free(scorings[0]);
    for (int i = 0; i < 3; i++)
        assert_non_null(scorings[i] = begin(s, line, &status));
    for (int i = 0; i < 7; i++)
        golden_need(scorer_step(s, &status), "step", &status);
    scorer_free(scorings[0]);
    scorer_free(scorings[2]);
    while ((done = scorer_next_done(s)) == NULL)
        golden_need(scorer_step(s, &status), "step", &status);
    assert_ptr_equal(done, scorings[1]);
    assert_true(score_result_nll(scorer_result(done, SCORER_BASE)) == nll);
    scorer_free(done);
    assert_non_null(scorings[0] = begin(s, line, &status));
    golden_need(scorer_step(s, &status), "step", &status);
    scorer_free(scorings[0]);
    free(line);
    scorer_close(s);
    close_fixture(&f);
}

static void windows_that_cannot_be_are_refused(void **state)
{
    static const struct {
        struct scorer_options options;
        const char *message;
    } cases[] = {
        {{.max_length = 4096, .stride = 1}, "windows of 4096 tokens do not fit"},
        {{.max_length = 1, .stride = 1}, "windows of 1 tokens are too short"},
        {{.max_length = 10, .stride = 10}, "windows of 10 tokens may be 9 apart, not 10"},
    };
    struct status status = {0};
    struct fixture f;

    (void)state;
    open_fixture(&f, "mistral-f32", 1, 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct scorer_options options = cases[i].options;

        options.batch = options.threads = 1;
        assert_null(scorer_open(f.model, &options, &status));
        assert_int_equal(status.code, STATUS_USAGE);
        assert_memory_equal(status.message, cases[i].message, strlen(cases[i].message));
    }
    /* an id that the model does not have, in a later window */
    struct scorer *s =
        open_scorer(f.model, (struct scorer_options){.max_length = 4, .stride = 2, .batch = 1});
    struct scoring *scoring = score(s, "{\"tokens\":[1,2,3,4,5,6,7,8,9,100000]}");
    struct buf members = {0};

    assert_null(scorer_result(scoring, SCORER_MAIN));
    assert_false(scorer_write(scoring, &members, &status));
    assert_string_equal(status.kind, "range");
    assert_int_equal(members.len, 0);
    scorer_free(scoring);
    scorer_close(s);
    close_fixture(&f);
}

/* Token `id` of a model in F32 gets weights whose logit is infinite, of either sign by the row. */
static void make_infinite(const char *path, int id)
{
    struct status status = {0};
    struct tensor_file file;
    const struct tensor_entry *head;
    const float big[2] = {3e38f, 3e38f};
    FILE *out;
    long at;

    golden_need(safetensors_open(&file, path, &status), path, &status);
    head = tensor_file_find(&file, "lm_head.weight");
    assert_non_null(head);
    at = (long)(head->data - file.map.data) + id * (long)head->shape[1] * 4;
    tensor_file_close(&file);
    out = fopen(path, "r+");
    assert_non_null(out);
    assert_int_equal(fseek(out, at, SEEK_SET), 0);
    assert_int_equal(fwrite(big, 1, sizeof(big), out), sizeof(big));
    assert_int_equal(fclose(out), 0);
}

static void what_is_not_finite_is_a_reason_or_an_error(void **state)
{
    enum { ID = 55 };
    struct status status = {0};
    struct buf path = {0};
    struct fixture f;
    int n_infinite = 0, n_large = 0, n_certain = 0, n_errors = 0;

    (void)state;
    buf_printf(&path, "%s/mistral-f32/model.safetensors", folder.data);
    make_infinite(path.data, ID); /* the last test to read it */
    open_fixture(&f, "mistral-f32", 0, 1);
    struct scorer *s =
        open_scorer(f.model, (struct scorer_options){.max_length = 10, .tokens = true});

    for (int first = 0; first < 40; first++) {
        char line[64];
        struct buf members = {0};
        struct scoring *scoring;

        snprintf(line, sizeof(line), "{\"tokens\":[%d,%d]}", first, ID);
        scoring = score(s, line);
        if (scorer_write(scoring, &members, &status)) {
            json_t *object = written(scoring), *member = json_object_get(object, "score");
            const struct score_result *r = scorer_result(scoring, SCORER_MAIN);

            const bool infinite = json_is_null(json_object_get(member, "nll"));

            if (score_result_nll(r) == 0 && !r->reason) { /* large, and it takes all */
                assert_true(number(member, "perplexity") == 1);
                n_certain++;
                json_decref(object);
                scorer_free(scoring);
                buf_release(&members);
                continue;
            }
            assert_true(json_is_null(json_object_get(member, "perplexity")));
            assert_true(json_is_null(json_object_get(member, "loss")) == infinite);
            assert_true(json_is_string(json_object_get(member, "reason")));
            assert_true((r->reason != NULL) == infinite);
            assert_true((score_result_nll(r) == 0) == infinite);
            n_infinite += infinite;
            n_large += !infinite; /* a loss that is a number, but not its exponential */
            json_decref(object);
        } else {
            n_errors++;
            assert_string_equal(status.kind, "not_finite");
            assert_null(scorer_result(scoring, SCORER_MAIN));
        }
        buf_release(&members);
        scorer_free(scoring);
    }
    assert_true(n_infinite > 0 && n_large > 0 && n_certain > 0 && n_errors > 0);
    scorer_close(s);
    close_fixture(&f);
    buf_release(&path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_parts_of_a_text_add_up),
        cmocka_unit_test(windows_are_what_their_tokens_give_alone),
        cmocka_unit_test(a_start_token_stands_before_every_window),
        cmocka_unit_test(both_legs_of_one_model_give_the_same),
        cmocka_unit_test(what_is_given_up_half_way_leaves_the_others_alone),
        cmocka_unit_test(windows_that_cannot_be_are_refused),
        cmocka_unit_test(what_is_not_finite_is_a_reason_or_an_error),
    };
    int n_failed;

    golden_tiny_make(&folder);
    n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    golden_tiny_remove(&folder);
    return n_failed;
}
