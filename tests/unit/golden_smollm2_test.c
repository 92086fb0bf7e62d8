/* SmolLM2's losses on real texts agree with transformers on the dequantised weights. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "tests/golden/golden.h"
#include "tests/unit/encode_text.h"

enum { N_TEXTS = 50, N_SLOW_TEXTS = 1 };

static const double max_mean_difference = 2e-3; /* nats a token, over all texts */
static const double max_text_difference = 0.05; /* of the mean of a text of so many targets: */
static const int min_text_targets = 16;

static json_t *loss_rows, *data_rows;
static const char *model_path;

struct compared {
    double sum, sum_absolute, worst_text, worst_token;
    int n, n_texts;
};

/* The row's text: that of one row of the data, or of several with an empty line between them. */
static void join_text(const json_t *row, struct buf *text)
{
    int n;
    int32_t *rows = golden_ids(row, "rows", &n);

    for (int i = 0; i < n; i++) {
        if (i > 0)
            buf_append_string(text, "\n\n");
        buf_append_text(text, golden_text(json_array_get(data_rows, (size_t)rows[i]), "text"));
    }
    free(rows);
}

static void check_ids(const json_t *row, const struct tokens *tokens)
{
    uint64_t state = HASH_START;
    char hash[17];

    for (size_t i = 0; i < tokens->n; i++) {
        const uint32_t id = (uint32_t)tokens->ids[i];
        const uint8_t bytes[4] = {(uint8_t)id, (uint8_t)(id >> 8), (uint8_t)(id >> 16),
                                  (uint8_t)(id >> 24)};

        state = hash_more(state, bytes, sizeof(bytes));
    }
    snprintf(hash, sizeof(hash), "%016llx", (unsigned long long)hash_mix(state));
    assert_string_equal(hash, json_string_value(json_object_get(row, "ids_hash")));
}

static void compare(void *context, struct sequence *sequence)
{
    struct compared *c = context;
    double sum = 0;
    int n;
    double *nll = golden_numbers(sequence->owner, "nll", &n);

    assert_int_equal(sequence->n_logprobs, n);
    for (int i = 0; i < n; i++) {
        const double difference = -sequence->logprobs[i] - nll[i];

        sum += difference;
        c->sum_absolute += fabs(difference);
        c->worst_token = fmax(c->worst_token, fabs(difference));
    }
    assert_true(isfinite(sum) != 0);
    if (n >= min_text_targets)
        c->worst_text = fmax(c->worst_text, fabs(sum / n));
    c->sum += sum;
    c->n += n;
    c->n_texts++;
    free(nll);
}

static void submit(struct scheduler *scheduler, const struct model *model, json_t *row)
{
    struct request request = {.score = true, .first_target = 1, .owner = row};
    struct status status = {0};
    struct tokens tokens = {0};
    struct buf text = {0};

    join_text(row, &text);
    encode_text(model->tokenizer, buf_text(&text), TOKENIZER_SPECIAL, &tokens);
    check_ids(row, &tokens);
    request.tokens = tokens.ids;
    request.n_tokens = (int)tokens.n;
    golden_need(scheduler_submit(scheduler, &request, &status) != NULL, "submit", &status);
    tokens_release(&tokens);
    buf_release(&text);
}

static void losses_agree(const char *kernels, size_t n_texts)
{
    struct golden_engine e;
    struct compared c = {0};

    if (!golden_engine_open(&e, kernels, model_path, 8))
        return;

    for (size_t i = 0; i < n_texts; i++)
        submit(e.scheduler, e.model, json_array_get(loss_rows, i));
    golden_run(e.scheduler, compare, &c);
    printf("# %zu texts, %d tokens: mean difference %.2g nats, mean absolute %.2g, worst text "
           "%.2g, worst token %.2g\n",
           n_texts, c.n, c.sum / c.n, c.sum_absolute / c.n, c.worst_text, c.worst_token);
    assert_int_equal(c.n_texts, n_texts);
    /* The absolute mean: errors of either sign must not cancel. */
    assert_true(c.sum_absolute / c.n < max_mean_difference);
    assert_true(c.worst_text < max_text_difference);
    golden_engine_close(&e);
}

static void losses_of_real_texts_agree_with_transformers_on_the_avx2_kernels(void **state)
{
    (void)state;
    losses_agree("avx2", json_array_size(loss_rows));
}

static void losses_of_real_texts_agree_with_transformers_on_the_avx2_madd_kernels(void **state)
{
    (void)state;
    losses_agree("avx2-madd", json_array_size(loss_rows)); /* 16-bit products: 7e-4 were seen */
}

static void losses_of_real_texts_agree_with_transformers_on_the_avx512_vnni_kernels(void **state)
{
    (void)state;
    losses_agree("avx512-vnni", json_array_size(loss_rows)); /* 16-bit products: 7e-4 were seen */
}

static void losses_of_real_texts_agree_with_transformers_on_the_scalar_kernels(void **state)
{
    (void)state;
    losses_agree("scalar", N_SLOW_TEXTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_of_real_texts_agree_with_transformers_on_the_avx2_kernels),
        cmocka_unit_test(losses_of_real_texts_agree_with_transformers_on_the_avx2_madd_kernels),
        cmocka_unit_test(losses_of_real_texts_agree_with_transformers_on_the_avx512_vnni_kernels),
        cmocka_unit_test(losses_of_real_texts_agree_with_transformers_on_the_scalar_kernels),
    };
    struct buf path = {0};
    int n_failed;

    model_path = golden_model("smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", &path);
    data_rows = golden_data("rationales/val.jsonl", N_TEXTS);
    loss_rows = golden_rows("smollm2_losses.jsonl");
    n_failed = cmocka_run_group_tests_name("golden_smollm2", tests, NULL, NULL);
    json_decref(loss_rows);
    json_decref(data_rows);
    buf_release(&path);
    return n_failed;
}
