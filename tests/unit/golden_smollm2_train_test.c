/* SmolLM2 under training on real texts: 20 steps by the card's recipe against PEFT and torch, in
 * double, on the dequantised weights; and losses as scoring has them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "tests/golden/golden.h"
#include "tests/unit/encode_text.h"
#include "tests/unit/train_golden.h"

enum { N_TEXTS = 40, N_SCORED = 4 };

static json_t *rows, *data;
static const char *model_path;

static void check_ids(const struct tokens *tokens, const char *want)
{
    uint64_t state = HASH_START;
    char hash[17];

    for (size_t i = 0; i < tokens->n; i++) { /* little-endian, as train.py has them */
        const uint32_t id = (uint32_t)tokens->ids[i];
        const uint8_t bytes[4] = {(uint8_t)id, (uint8_t)(id >> 8), (uint8_t)(id >> 16),
                                  (uint8_t)(id >> 24)};

        state = hash_more(state, bytes, sizeof(bytes));
    }
    snprintf(hash, sizeof(hash), "%016llx", (unsigned long long)hash_mix(state));
    assert_string_equal(hash, want);
}

/* Text `number` of the data as one more row, all its tokens but the first targets. */
static void add_text(struct golden_batch *batch, const struct model *model, size_t number)
{
    const json_t *hashes = json_object_get(json_array_get(rows, 0), "ids_hashes");
    struct tokens tokens = {0};

    encode_text(model->tokenizer, golden_text(json_array_get(data, number), "text"),
                TOKENIZER_SPECIAL, &tokens);
    check_ids(&tokens, json_string_value(json_array_get(hashes, number)));
    golden_batch_add(batch, tokens.ids, (int)tokens.n, 1);
}

/* The widest set that multiplies floats. */
static bool open_floats(struct golden_device *d)
{
    return golden_device_open(d, "avx512", 2) || golden_device_open(d, "avx2", 2);
}

static void steps_agree_with_peft(void **state)
{
    const json_t *row = json_array_get(rows, 0), *batches = json_object_get(row, "batches");
    const json_t *losses = json_object_get(row, "losses");
    struct golden_device d;
    struct golden_trainer t;
    struct adamw adamw;
    struct status status = {0};

    (void)state;
    if (!open_floats(&d))
        skip();
    t = golden_trainer_open(&d, model_path, row, false);
    golden_need(adamw_open(&adamw, t.lora->n_values, &status), "adamw", &status);
    for (size_t i = 0; i < json_array_size(batches); i++) {
        const double want = json_number_value(json_array_get(losses, i));
        struct golden_batch batch = {.n = 0};
        const json_t *numbers = json_array_get(batches, i);
        double loss, norm;

        for (size_t k = 0; k < json_array_size(numbers); k++)
            add_text(&batch, t.model, (size_t)json_integer_value(json_array_get(numbers, k)));
        loss = golden_step(&t, &adamw, &batch, golden_rate(row, i), &norm);
        if (getenv("SHOW"))
            fprintf(stderr, "S %zu %.6f %.6f norm %.5f\n", i, loss, want, norm);
        if (!(fabs(loss - want) <= 1e-3))
            fail_msg("step %zu: loss %g, must be %g", i, loss, want);
        golden_batch_release(&batch);
    }
    golden_compare_tensors(&t, row, 1e-3);
    adamw_close(&adamw);
    golden_trainer_close(&t);
    golden_device_close(&d);
}

static void keep_nll(void *context, struct sequence *sequence)
{
    double sum = 0;

    (void)context;
    for (int i = 0; i < sequence->n_logprobs; i++)
        sum -= sequence->logprobs[i];
    *(double *)sequence->owner = sum;
}

/* What medrat-score tells of the same rows: the sums' orders differ, no more. */
static void losses_are_those_of_scoring(void **state)
{
    const struct lora_options options = {.rank = 1, .alpha = 1, .targets = 1};
    const struct train_pass_options sizes = {1024, true};
    struct golden_engine e;
    struct golden_batch batch = {.n = 0};
    double scored[N_SCORED], nll[N_SCORED];
    struct status status = {0};
    struct train_pass *pass;
    struct lora *lora;

    (void)state;
    if (!golden_engine_open(&e, "avx512", model_path, N_SCORED) &&
        !golden_engine_open(&e, "avx2", model_path, N_SCORED))
        skip();
    for (int i = 0; i < N_SCORED; i++) {
        struct request request = {.score = true, .first_target = 1, .owner = &scored[i]};

        add_text(&batch, e.model, (size_t)i);
        request.tokens = batch.rows[i].tokens;
        request.n_tokens = batch.rows[i].n_tokens;
        golden_need(scheduler_submit(e.scheduler, &request, &status) != NULL, "submit", &status);
    }
    golden_run(e.scheduler, keep_nll, NULL);
    lora = lora_open(&e.model->config, &options, 0, &status);
    golden_need(lora != NULL, "lora", &status);
    pass = train_pass_open(e.model, lora, &sizes, &status);
    golden_need(pass && train_pass_loss(pass, batch.rows, batch.n, nll, &status), "pass", &status);
    for (int i = 0; i < N_SCORED; i++) {
        if (!(fabs(nll[i] - scored[i]) <= 1e-5 * scored[i]))
            fail_msg("text %d: %.9g in training, %.9g in scoring", i, nll[i], scored[i]);
    }
    train_pass_close(pass);
    lora_close(lora);
    golden_batch_release(&batch);
    golden_engine_close(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_are_those_of_scoring),
        cmocka_unit_test(steps_agree_with_peft),
    };
    struct buf path = {0};
    int n_failed;

    model_path = golden_model("smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", &path);
    data = golden_data("rationales/val.jsonl", N_TEXTS);
    rows = golden_rows("smollm2_train.jsonl");
    n_failed = cmocka_run_group_tests_name("golden_smollm2_train", tests, NULL, NULL);
    json_decref(rows);
    json_decref(data);
    buf_release(&path);
    return n_failed;
}
