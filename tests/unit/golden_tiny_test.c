/* Small models agree with transformers and sentence-transformers on every kernel set. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/golden/golden.h"
#include "tests/golden/tiny.h"

/* Both sides compute in f32 from the very same weights, whatever the type they are stored in; the
 * largest difference seen is 2e-5. Kernels that round activations to 16 bits may have 2e-2. */
static const double max_loss_error = 1e-3;
/* Cosine 0.9999 is what is promised; in f32 the difference is the golden file's rounding, and this
 * bound still sees the tanh form of GELU. */
static const double min_cosine = 1 - 1e-9;
/* On sets whose products are of 16-bit numbers. */
static const double max_loss_error_words = 2e-2, min_cosine_words = 1 - 1e-6;

static struct buf folder; /* of the small models */
static json_t *loss_rows, *embedding_rows;

struct scored {
    double largest; /* difference of a token's loss */
    int n_compared;
};

static void check_hash(const char *path, const json_t *row)
{
    char hash[17];

    snprintf(hash, sizeof(hash), "%016llx", (unsigned long long)tiny_hash(path));
    assert_string_equal(hash, json_string_value(json_object_get(row, "hash")));
}

static void compare_losses(void *context, struct sequence *sequence)
{
    struct scored *scored = context;
    int n;
    double *nll = golden_numbers(sequence->owner, "nll", &n);

    assert_int_equal(sequence->n_logprobs, n);
    for (int i = 0; i < n; i++) {
        const double difference = fabs(nll[i] + sequence->logprobs[i]);

        if (!(difference <= scored->largest))
            scored->largest = difference;
    }
    scored->n_compared += n;
    free(nll);
}

static void submit(struct scheduler *scheduler, json_t *row)
{
    struct status status = {0};
    struct request request = {.score = true, .first_target = 1, .owner = row};
    int32_t *ids = golden_ids(row, "tokens", &request.n_tokens);

    request.tokens = ids;
    golden_need(scheduler_submit(scheduler, &request, &status) != NULL, "submit", &status);
    free(ids);
}

static void model_agrees(const struct golden_device *d, const char *name)
{
    /* 256 rows a step: the long sequences come in chunks, and share them with short ones. */
    const struct scheduler_options options = {.n_slots = 3, .max_step_rows = 256, .threads = 2};
    struct status status = {0};
    struct scored scored = {0};
    struct buf path = {0};
    struct scheduler *scheduler;
    struct model *model;
    json_t *row;
    size_t i;

    buf_printf(&path, "%s/%s", folder.data, name);
    model = model_open(path.data, d->backend, d->device, &status);
    golden_need(model != NULL, path.data, &status);
    scheduler = scheduler_open(model, &options, &status);
    golden_need(scheduler != NULL, path.data, &status);
    json_array_foreach(loss_rows, i, row)
    {
        if (strcmp(json_string_value(json_object_get(row, "model")), name) != 0)
            continue;
        check_hash(path.data, row);
        submit(scheduler, row);
    }
    golden_run(scheduler, compare_losses, &scored);
    printf("# %s: %d losses, largest difference %.2g\n", name, scored.n_compared, scored.largest);
    assert_true(scored.n_compared > 900);
    assert_true(scored.largest < (golden_rounds(d) ? max_loss_error_words : max_loss_error));
    scheduler_close(scheduler);
    model_close(model);
    buf_release(&path);
}

static void losses_agree(const struct golden_device *d)
{
    static const char *const models[] = {
        "mistral-f32",          "mistral-f16",    "mistral-bf16",    "llama-f32",
        "llama-f32.gguf",       "llama-f16.gguf", "llama-q8_0.gguf", "llama-q4_0.gguf",
        "llama-q4_1.gguf",      "mistral-window", "mistral-shards",  "llama-linear",
        "llama-linear-v2.gguf", "llama-3",        "llama-3.gguf",
    };

    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++)
        model_agrees(d, models[i]);
}

static void embeddings_agree(const struct golden_device *d)
{
    const size_t n = json_array_size(embedding_rows);
    struct buf path = {0};

    buf_printf(&path, "%s/bert-f32", folder.data);
    check_hash(path.data, json_array_get(embedding_rows, 0));
    const double least = golden_least_cosine(d, path.data, embedding_rows, n);

    printf("# bert-f32: %zu texts, least cosine 1 - %.2g\n", n, 1 - least);
    assert_true(least > (golden_rounds(d) ? min_cosine_words : min_cosine));
    buf_release(&path);
}

static void on_kernels(void (*check)(const struct golden_device *), int kernels)
{
    struct golden_device d;

    if (!golden_device_open(&d, golden_kernels[kernels], 2))
        return;
    check(&d);
    golden_device_close(&d);
}

static void losses_agree_with_transformers_on_the_scalar_kernels(void **state)
{
    (void)state;
    on_kernels(losses_agree, 0);
}

static void losses_agree_with_transformers_on_the_avx2_kernels(void **state)
{
    (void)state;
    on_kernels(losses_agree, 1);
    on_kernels(losses_agree, 2);
}

static void embeddings_agree_with_sentence_transformers_on_the_scalar_kernels(void **state)
{
    (void)state;
    on_kernels(embeddings_agree, 0);
}

static void embeddings_agree_with_sentence_transformers_on_the_avx2_kernels(void **state)
{
    (void)state;
    on_kernels(embeddings_agree, 1);
    on_kernels(embeddings_agree, 2);
}

static void losses_agree_with_transformers_on_the_avx512_kernels(void **state)
{
    (void)state;
    on_kernels(losses_agree, 3);
    on_kernels(losses_agree, 4);
}

static void embeddings_agree_with_sentence_transformers_on_the_avx512_kernels(void **state)
{
    (void)state;
    on_kernels(embeddings_agree, 3);
    on_kernels(embeddings_agree, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_agree_with_transformers_on_the_scalar_kernels),
        cmocka_unit_test(losses_agree_with_transformers_on_the_avx2_kernels),
        cmocka_unit_test(embeddings_agree_with_sentence_transformers_on_the_scalar_kernels),
        cmocka_unit_test(embeddings_agree_with_sentence_transformers_on_the_avx2_kernels),
        cmocka_unit_test(losses_agree_with_transformers_on_the_avx512_kernels),
        cmocka_unit_test(embeddings_agree_with_sentence_transformers_on_the_avx512_kernels),
    };
    json_t *variant_rows;
    int n_failed;

    golden_tiny_make(&folder);
    loss_rows = golden_rows("tiny_losses.jsonl");
    variant_rows = golden_rows("variant_losses.jsonl");
    json_array_extend(loss_rows, variant_rows);
    json_decref(variant_rows);
    embedding_rows = golden_rows("tiny_embeddings.jsonl");
    n_failed = cmocka_run_group_tests_name("golden_tiny", tests, NULL, NULL);
    json_decref(loss_rows);
    json_decref(embedding_rows);
    golden_tiny_remove(&folder);
    return n_failed;
}
