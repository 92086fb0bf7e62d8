/* SmolLM2's losses on real texts under LoRA adapters agree with transformers and PEFT on the
 * dequantised weights; texts of both adapters share a batch. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "run/adapter_set.h"
#include "tests/golden/golden.h"
#include "tests/golden/hashes.h"
#include "tests/golden/tiny.h"
#include "tests/unit/encode_text.h"

enum { N_DATA = 200, N_FLOAT_DATA = 50, N_ADAPTERS = 2 };

static const char *const names[N_ADAPTERS] = {"smollm2-attention", "smollm2-all"};

/* Of the mean over all tokens, relative: what the summary of a run promises. */
static const double max_float_error = 1e-4, max_rounded_error = 2e-3;
/* Of the mean of one text, nats. */
static const double max_text_error = 1e-3, max_rounded_text_error = 0.05;

static json_t *rows, *data;
static const char *model_path;
static struct buf folder; /* of the adapters */

struct compared {
    double nll[N_ADAPTERS], want[N_ADAPTERS], worst_text;
    int n_texts[N_ADAPTERS];
};

static int adapter_of(const json_t *row)
{
    return text_is(golden_text(row, "adapter"), names[0]) ? 0 : 1;
}

static void compare(void *context, struct sequence *sequence)
{
    const json_t *row = sequence->owner;
    const double want = json_real_value(json_object_get(row, "loss"));
    const int n = sequence->n_logprobs, adapter = adapter_of(row);
    const double nll = -sequence_logprob(sequence);
    struct compared *c = context;

    assert_int_equal(sequence->adapter, adapter);
    assert_int_equal(n + 1, json_integer_value(json_object_get(row, "n_tokens")));
    c->nll[adapter] += nll;
    c->want[adapter] += want * n;
    c->n_texts[adapter]++;
    if (!(fabs(nll / n - want) <= c->worst_text))
        c->worst_text = fabs(nll / n - want);
}

static void submit(struct scheduler *scheduler, const struct model *model, json_t *row)
{
    const size_t number = (size_t)json_integer_value(json_object_get(row, "row"));
    struct request request = {
        .score = true, .first_target = 1, .adapter = adapter_of(row), .owner = row};
    struct status status = {0};
    struct tokens tokens = {0};
    char hash[17];

    encode_text(model->tokenizer, golden_text(json_array_get(data, number), "text"),
                TOKENIZER_SPECIAL, &tokens);
    snprintf(hash, sizeof(hash), "%016llx", (unsigned long long)hashes_of_ids(&tokens));
    assert_true(text_is(golden_text(row, "ids_hash"), hash));
    request.tokens = tokens.ids;
    request.n_tokens = (int)tokens.n;
    golden_need(scheduler_submit(scheduler, &request, &status) != NULL, "submit", &status);
    tokens_release(&tokens);
}

static struct adapter_set open_adapters(const struct model *model)
{
    struct status status = {0};
    struct adapter_set set;
    char *paths[N_ADAPTERS];

    for (int i = 0; i < N_ADAPTERS; i++) {
        struct buf path = {0};

        buf_printf(&path, "%s/%s", folder.data, names[i]);
        paths[i] = path.data;
    }
    golden_need(
        adapter_set_open(&set, (char *const *)(uintptr_t)names, paths, N_ADAPTERS, model, &status),
        "adapters", &status);
    for (int i = 0; i < N_ADAPTERS; i++)
        free(paths[i]);
    assert_int_equal(set.adapters[0]->n_modules, 120);
    assert_int_equal(set.adapters[1]->n_modules, 210);
    return set;
}

/* On the first n texts of the data. False: this CPU cannot. */
static bool losses_agree(const char *kernels, int n)
{
    struct golden_device d;
    struct status status = {0};
    struct compared c = {0};
    json_t *row;
    size_t i;

    if (!golden_device_open(&d, kernels, 2))
        return false;
    struct model *model = model_open(model_path, d.backend, d.device, &status);

    golden_need(model != NULL, model_path, &status);
    struct adapter_set set = open_adapters(model);
    const struct scheduler_options options = {
        .n_slots = 8, .threads = 2, .adapters = set.adapters, .n_adapters = set.n};
    struct scheduler *scheduler = scheduler_open(model, &options, &status);

    golden_need(scheduler != NULL, "scheduler", &status);
    json_array_foreach(rows, i, row)
    {
        if (json_integer_value(json_object_get(row, "row")) < n)
            submit(scheduler, model, row);
    }
    golden_run(scheduler, compare, &c);
    for (int k = 0; k < N_ADAPTERS; k++) {
        const double error = fabs(c.nll[k] / c.want[k] - 1);

        printf("# %s, %d texts: %.2g of the mean, worst text %.2g nats\n", names[k], c.n_texts[k],
               error, c.worst_text);
        assert_true(c.n_texts[k] >= 10);
        assert_true(error < (golden_rounds(&d) ? max_rounded_error : max_float_error));
    }
    assert_true(c.worst_text < (golden_rounds(&d) ? max_rounded_text_error : max_text_error));
    scheduler_close(scheduler);
    adapter_set_close(&set);
    model_close(model);
    golden_device_close(&d);
    return true;
}

static void losses_of_real_texts_agree_with_peft_in_floats(void **state)
{
    (void)state;
    if (!losses_agree("avx512", N_FLOAT_DATA)) /* the same bits, sooner */
        losses_agree("avx2", N_FLOAT_DATA);
}

static void losses_of_real_texts_agree_with_peft_in_16_bits(void **state)
{
    (void)state;
    if (!losses_agree("avx512-vnni", N_DATA))
        losses_agree("avx2-madd", N_DATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_of_real_texts_agree_with_peft_in_floats),
        cmocka_unit_test(losses_of_real_texts_agree_with_peft_in_16_bits),
    };
    struct buf path = {0};
    int n_failed;

    model_path = golden_model("smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", &path);
    data = golden_data("rationales/val.jsonl", N_DATA);
    rows = golden_rows("smollm2_adapter_losses.jsonl");
    golden_tiny_make(&folder);
    tiny_write_smollm2_adapters(folder.data);
    n_failed = cmocka_run_group_tests_name("golden_smollm2_adapters", tests, NULL, NULL);
    golden_tiny_remove(&folder);
    json_decref(rows);
    json_decref(data);
    buf_release(&path);
    return n_failed;
}
