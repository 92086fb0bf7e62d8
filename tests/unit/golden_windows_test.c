/* medrat-score's windows and ranks on small models agree with transformers. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/golden/tiny.h"
#include "tests/unit/scheduler_fixture.h"
#include "tests/unit/scorer_fixture.h"

/* As golden_tiny_test.c: both sides compute in f32. A rank may be any that logits off by as much
 * would give, so the golden file has the least and the greatest. */
static const double max_loss_error = 1e-3, max_loss_error_words = 2e-2;

static json_t *rows;

struct compared {
    bool words; /* products of 16-bit numbers: ranks are not compared */
    double largest;
    int n_losses, n_ranks, n_sharp; /* sharp: only one rank is allowed */
};

static void compare_losses(const json_t *row, const json_t *member, struct compared *c)
{
    const json_t *logprobs = json_object_get(member, "logprobs");
    int n;
    double *nll = golden_numbers(row, "token_nll", &n);

    assert_int_equal(json_array_size(logprobs), n);
    for (int i = 0; i < n; i++) {
        const double difference =
            fabs(nll[i] + json_number_value(json_array_get(logprobs, (size_t)i)));

        if (!(difference <= c->largest))
            c->largest = difference;
    }
    c->n_losses += n;
    free(nll);
}

static void compare_ranks(const json_t *row, const json_t *member, struct compared *c)
{
    const json_t *ranks = json_object_get(member, "ranks");
    int n;
    int32_t *low = golden_ids(row, "rank_low", &n), *high = golden_ids(row, "rank_high", &n);

    assert_int_equal(json_array_size(ranks), n);
    for (int i = 0; i < n; i++) {
        const json_int_t rank = json_integer_value(json_array_get(ranks, (size_t)i));

        assert_in_range(rank, low[i], high[i]);
        c->n_sharp += low[i] == high[i];
    }
    c->n_ranks += n;
    free(low);
    free(high);
}

static char *line_of(const json_t *tokens)
{
    char *list = json_dumps(tokens, JSON_COMPACT);
    struct buf line = {0};

    buf_printf(&line, "{\"tokens\":%s}", list);
    free(list);
    return line.data;
}

static void compare_row(const struct model *model, const json_t *row, const json_t *tokens,
                        struct compared *c)
{
    const struct scorer_options options = {
        .tokens = true,
        .max_length = (size_t)json_integer_value(json_object_get(row, "max_length")),
        .stride = (size_t)json_integer_value(json_object_get(row, "stride")),
    };
    struct scorer *s = open_scorer(model, options);
    char *line = line_of(tokens);
    json_t *member = score_line(s, line);

    compare_losses(row, member, c);
    if (json_object_get(row, "rank_low") && !c->words)
        compare_ranks(row, member, c);
    json_decref(member);
    free(line);
    scorer_close(s);
}

static void model_agrees(const char *name, int kernels)
{
    struct compared c = {0};
    struct fixture f;
    const json_t *tokens = NULL;
    json_t *row;
    size_t i;

    if (!open_fixture(&f, name, kernels, 2))
        return;
    c.words = golden_rounds(&f.device);
    json_array_foreach(rows, i, row)
    {
        if (strcmp(json_string_value(json_object_get(row, "model")), name) != 0)
            continue;
        if (json_object_get(row, "tokens"))
            tokens = json_object_get(row, "tokens");
        compare_row(f.model, row, tokens, &c);
    }
    printf("# %s: %d losses, largest difference %.2g; %d ranks, %d of them sharp\n", name,
           c.n_losses, c.largest, c.n_ranks, c.n_sharp);
    assert_true(c.largest < (c.words ? max_loss_error_words : max_loss_error));
    assert_true(c.n_losses > 3000);
    assert_true(c.words || (c.n_ranks > 500 && c.n_sharp > c.n_ranks * 9 / 10));
    close_fixture(&f);
}

static void windows_and_ranks_agree_with_transformers(void **state)
{
    static const char *const names[] = {"mistral-f32", "llama-f32", "llama-f32.gguf"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        for (int kernels = 1; kernels < GOLDEN_N_KERNELS; kernels++) /* scalar is slow */
            model_agrees(names[i], kernels);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_and_ranks_agree_with_transformers),
    };
    int n_failed;

    golden_tiny_make(&folder);
    rows = golden_rows("tiny_windows.jsonl");
    n_failed = cmocka_run_group_tests_name("golden_windows", tests, NULL, NULL);
    json_decref(rows);
    golden_tiny_remove(&folder);
    return n_failed;
}
