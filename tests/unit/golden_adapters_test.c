/* Small models under LoRA adapters of every kind agree with transformers and PEFT on every kernel
 * set, each beside all others of its model and the base alone in one batch. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "run/adapter_set.h"
#include "tests/golden/golden.h"
#include "tests/golden/tiny.h"

/* As golden_tiny_test.c: both sides compute in f32 from the same weights; what the set with words
 * rounds to 16 bits is more in an adapter's two factors. */
static const double max_loss_error = 1e-3, max_loss_error_rounded = 2e-2;

enum { MOST_ADAPTERS = 16 };

static struct buf folder; /* of the small models, with their adapters in adapters/ */
static json_t *rows;

/* The adapters of the rows of one model, each once. */
struct set_of {
    char *names[MOST_ADAPTERS], *paths[MOST_ADAPTERS];
    size_t n;
};

struct scored {
    double largest; /* difference of a token's loss */
    int n_compared;
};

static const char *string_of(const json_t *row, const char *name)
{
    return json_string_value(json_object_get(row, name));
}

static void check_hash(const char *path, const char *want)
{
    char hash[17];

    snprintf(hash, sizeof(hash), "%016llx", (unsigned long long)tiny_hash(path));
    assert_string_equal(hash, want);
}

static int index_of(const struct set_of *set, const char *name)
{
    for (size_t i = 0; i < set->n; i++) {
        if (strcmp(set->names[i], name) == 0)
            return (int)i;
    }
    return -1;
}

static struct set_of adapters_of(const char *model)
{
    struct set_of set = {0};
    const json_t *row;
    size_t i;

    json_array_foreach(rows, i, row)
    {
        const char *name = string_of(row, "adapter");
        struct buf path = {0};

        if (strcmp(string_of(row, "model"), model) != 0 || index_of(&set, name) >= 0)
            continue;
        assert_true(set.n < MOST_ADAPTERS);
        buf_printf(&path, "%s/adapters/%s", folder.data, name);
        check_hash(path.data, string_of(row, "adapter_hash"));
        set.names[set.n] = (char *)(uintptr_t)name;
        set.paths[set.n++] = path.data;
    }
    return set;
}

static void compare_losses(void *context, struct sequence *sequence)
{
    struct scored *scored = context;
    double sum = 0, want = 0;
    int n;
    double *nll = golden_numbers(sequence->owner, "nll", &n);

    assert_int_equal(sequence->n_logprobs, n);
    for (int i = 0; i < n; i++) {
        sum -= sequence->logprobs[i];
        want += nll[i];
        if (sequence->adapter != ADAPTER_NONE) {
            const double difference = fabs(nll[i] + sequence->logprobs[i]);

            if (!(difference <= scored->largest))
                scored->largest = difference;
            scored->n_compared++;
        }
    }
    if (sequence->adapter == ADAPTER_NONE) { /* how far the base alone is off is golden too */
        const double moved = json_real_value(json_object_get((json_t *)sequence->owner, "moved"));

        assert_true(fabs((want - sum) / n - moved) < max_loss_error_rounded);
    }
    free(nll);
}

static void submit(struct scheduler *scheduler, json_t *row, int adapter)
{
    struct status status = {0};
    struct request request = {.score = true, .first_target = 1, .adapter = adapter, .owner = row};
    int32_t *ids = golden_ids(row, "tokens", &request.n_tokens);

    request.tokens = ids;
    golden_need(scheduler_submit(scheduler, &request, &status) != NULL, "submit", &status);
    free(ids);
}

static void model_agrees(const struct golden_device *d, const char *name)
{
    const bool rounds = golden_rounds(d);
    struct set_of of = adapters_of(name);
    struct adapter_set set;
    struct scored scored = {0};
    struct status status = {0};
    struct buf path = {0};
    struct model *model;
    json_t *row;
    size_t i;

    buf_printf(&path, "%s/%s", folder.data, name);
    model = model_open(path.data, d->backend, d->device, &status);
    golden_need(model != NULL, path.data, &status);
    golden_need(adapter_set_open(&set, of.names, of.paths, of.n, model, &status), name, &status);
    const struct scheduler_options options = {.n_slots = 5,
                                              .max_step_rows = 128,
                                              .threads = 2,
                                              .adapters = set.adapters,
                                              .n_adapters = set.n};
    struct scheduler *scheduler = scheduler_open(model, &options, &status);

    golden_need(scheduler != NULL, path.data, &status);
    json_array_foreach(rows, i, row)
    {
        const int adapter = index_of(&of, string_of(row, "adapter"));

        if (strcmp(string_of(row, "model"), name) != 0)
            continue;
        check_hash(path.data, string_of(row, "hash"));
        assert_int_equal(set.adapters[adapter]->n_modules,
                         json_integer_value(json_object_get(row, "modules")));
        submit(scheduler, row, adapter);
        submit(scheduler, row, ADAPTER_NONE);
    }
    golden_run(scheduler, compare_losses, &scored);
    printf("# %s: %zu adapters, %d losses, largest difference %.2g\n", name, of.n,
           scored.n_compared, scored.largest);
    assert_true(scored.n_compared > 100);
    assert_true(scored.largest < (rounds ? max_loss_error_rounded : max_loss_error));
    scheduler_close(scheduler);
    adapter_set_close(&set);
    model_close(model);
    buf_release(&path);
    for (size_t k = 0; k < of.n; k++)
        free(of.paths[k]);
}

static void losses_agree(int kernels)
{
    static const char *const models[] = {"mistral-f32",    "mistral-bf16",   "llama-f32",
                                         "llama-f32.gguf", "llama-f16.gguf", "llama-q8_0.gguf",
                                         "llama-q4_1.gguf"};
    struct golden_device d;

    if (!golden_device_open(&d, golden_kernels[kernels], 2))
        return;
    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++)
        model_agrees(&d, models[i]);
    golden_device_close(&d);
}

static void losses_agree_with_peft_on_the_scalar_kernels(void **state)
{
    (void)state;
    losses_agree(0);
}

static void losses_agree_with_peft_on_the_avx2_kernels(void **state)
{
    (void)state;
    losses_agree(1);
    losses_agree(2);
}

static void losses_agree_with_peft_on_the_avx512_kernels(void **state)
{
    (void)state;
    losses_agree(3);
    losses_agree(4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_agree_with_peft_on_the_scalar_kernels),
        cmocka_unit_test(losses_agree_with_peft_on_the_avx2_kernels),
        cmocka_unit_test(losses_agree_with_peft_on_the_avx512_kernels),
    };
    char path[4096];
    int n_failed;

    golden_tiny_make(&folder);
    tiny_make_dir(folder.data, "adapters", path, sizeof(path));
    tiny_write_adapters(path);
    rows = golden_rows("adapter_losses.jsonl");
    n_failed = cmocka_run_group_tests_name("golden_adapters", tests, NULL, NULL);
    json_decref(rows);
    golden_tiny_remove(&folder);
    return n_failed;
}
