/* SmolLM2's greedy answers are those of transformers, up to where rounding may decide. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/golden/golden.h"
#include "text/chat_template.h"
#include "text/detokenizer.h"

/* Where the reference's best two logits are closer than this, either is right. */
static const double min_margin = 0.05;

enum { N_SLOW_PROMPTS = 1 };

static json_t *rows;
static const char *model_path;

struct compared {
    int n_equal, n_whole, n_sequences;
};

/* The prompt by our tokenizer and chat template is the reference's prompt. */
static void check_prompt(const struct model *model, const json_t *row)
{
    const json_t *turns = json_object_get(row, "messages");
    const size_t n = json_array_size(turns);
    struct message *messages = calloc(n, sizeof(*messages));
    struct status status = {0};
    struct tokens tokens = {0};
    enum chat_template which;
    int n_ids;
    int32_t *ids = golden_ids(row, "tokens", &n_ids);

    for (size_t i = 0; i < n; i++) {
        messages[i].role = golden_text(json_array_get(turns, i), "role");
        messages[i].content = golden_text(json_array_get(turns, i), "content");
    }
    golden_need(chat_template_find(NULL, model->tokenizer, &which, &status), "template", &status);
    golden_need(chat_template_render(which, model->tokenizer, messages, n, true, &tokens, &status),
                "template", &status);
    assert_int_equal(tokens.n, n_ids);
    assert_memory_equal(tokens.ids, ids, (size_t)n_ids * sizeof(*ids));
    tokens_release(&tokens);
    free(messages);
    free(ids);
}

static void check_text(const struct model *model, const json_t *row)
{
    struct detokenizer detokenizer;
    struct buf text = {0};
    int n;
    int32_t *ids = golden_ids(row, "completion", &n);

    detokenizer_init(&detokenizer, model->tokenizer, false);
    for (int i = 0; i < n; i++)
        detokenizer_push(&detokenizer, ids[i], &text);
    detokenizer_flush(&detokenizer, &text);
    buf_append_char(&text, 0);
    assert_string_equal(text.data, golden_text(row, "text").ptr);
    buf_release(&text);
    free(ids);
}

static void compare(void *context, struct sequence *sequence)
{
    struct compared *c = context;
    const int32_t *ours = sequence->tokens + sequence->n_prompt;
    const int n_ours = sequence->n_tokens - sequence->n_prompt;
    int n, n_margins, i = 0;
    int32_t *theirs = golden_ids(sequence->owner, "completion", &n);
    double *margins = golden_numbers(sequence->owner, "margins", &n_margins);

    assert_int_equal(n, n_margins);
    while (i < n && i < n_ours && ours[i] == theirs[i])
        i++;
    /* The first difference is where the reference itself was near a tie, or there is none. */
    if (i < n)
        assert_true(margins[i] < min_margin);
    else
        assert_int_equal(n_ours, n);
    c->n_equal += i;
    c->n_whole += i == n;
    c->n_sequences++;
    free(theirs);
    free(margins);
}

static void submit(struct scheduler *scheduler, const struct model *model, json_t *row)
{
    static const int32_t end_ids[] = {0, 2};
    struct request request = {
        .sampling = {.greedy = true},
        .stop = {.end_ids = end_ids, .n_end_ids = 2, .max_tokens = 40},
        .owner = row,
    };
    struct status status = {0};
    int32_t *ids = golden_ids(row, "tokens", &request.n_tokens);

    request.tokens = ids;
    check_prompt(model, row);
    check_text(model, row);
    golden_need(scheduler_submit(scheduler, &request, &status) != NULL, "submit", &status);
    free(ids);
}

static void answers_agree(const char *kernels, size_t n_prompts)
{
    struct golden_engine e;
    struct compared c = {0};

    if (!golden_engine_open(&e, kernels, model_path, 6))
        return;

    for (size_t i = 0; i < n_prompts; i++)
        submit(e.scheduler, e.model, json_array_get(rows, i));
    golden_run(e.scheduler, compare, &c);
    printf("# %d answers, %d to their end, %d tokens\n", c.n_sequences, c.n_whole, c.n_equal);
    assert_int_equal(c.n_sequences, n_prompts);
    golden_engine_close(&e);
}

static void greedy_answers_agree_with_transformers_on_the_avx2_kernels(void **state)
{
    (void)state;
    answers_agree("avx2", json_array_size(rows));
}

static void greedy_answers_agree_with_transformers_on_the_avx2_madd_kernels(void **state)
{
    (void)state;
    answers_agree("avx2-madd", json_array_size(rows));
}

static void greedy_answers_agree_with_transformers_on_the_avx512_vnni_kernels(void **state)
{
    (void)state;
    answers_agree("avx512-vnni", json_array_size(rows));
}

static void greedy_answers_agree_with_transformers_on_the_scalar_kernels(void **state)
{
    (void)state;
    answers_agree("scalar", N_SLOW_PROMPTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy_answers_agree_with_transformers_on_the_avx2_kernels),
        cmocka_unit_test(greedy_answers_agree_with_transformers_on_the_avx2_madd_kernels),
        cmocka_unit_test(greedy_answers_agree_with_transformers_on_the_avx512_vnni_kernels),
        cmocka_unit_test(greedy_answers_agree_with_transformers_on_the_scalar_kernels),
    };
    struct buf path = {0};
    int n_failed;

    model_path = golden_model("smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", &path);
    rows = golden_rows("greedy.jsonl");
    n_failed = cmocka_run_group_tests_name("golden_greedy", tests, NULL, NULL);
    json_decref(rows);
    buf_release(&path);
    return n_failed;
}
