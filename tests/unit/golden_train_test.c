/* Gradients of every variant of decoder, and 50 steps of AdamW on one, against PEFT and torch, on
 * every kernel set. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/golden/golden.h"
#include "tests/golden/tiny.h"
#include "tests/unit/train_golden.h"

static json_t *rows;
static struct buf folder;

static void check_hash(const json_t *row, const char *path)
{
    char hash[17];

    snprintf(hash, sizeof(hash), "%016llx", (unsigned long long)tiny_hash(path));
    assert_string_equal(hash, json_string_value(json_object_get(row, "hash")));
}

static struct golden_batch batch_of(const json_t *ids)
{
    struct golden_batch batch = {.n = 0};

    for (size_t i = 0; i < json_array_size(ids); i++) {
        const json_t *row = json_array_get(ids, i);
        const int n = (int)json_array_size(row);
        int32_t *tokens = memory_zeroed((size_t)n, sizeof(*tokens));

        for (int t = 0; t < n; t++)
            tokens[t] = (int32_t)json_integer_value(json_array_get(row, (size_t)t));
        golden_batch_add(&batch, tokens, n, n / 3 > 1 ? n / 3 : 1);
    }
    return batch;
}

/* The gradients of a tensor at some places: off by so much of its largest. */
static double compare_gradients(const struct lora *lora, size_t tensor, const json_t *want)
{
    const json_t *at = json_object_get(want, "at"), *values = json_object_get(want, "values");
    double worst = 0;
    size_t n;
    const float *gradients = golden_tensor(lora, lora->gradients, tensor, &n);

    for (size_t i = 0; i < json_array_size(at); i++) {
        const size_t place = (size_t)json_integer_value(json_array_get(at, i));

        assert_true(place < n);
        worst = fmax(worst,
                     fabs((double)gradients[place] - json_number_value(json_array_get(values, i))));
    }
    return worst / golden_number(want, "largest");
}

static void check_gradients(const struct golden_device *d, const char *path, const json_t *row)
{
    const bool rounds = golden_rounds(d);
    const json_t *want = json_object_get(row, "gradients"), *nll = json_object_get(row, "nll");
    struct golden_trainer t = golden_trainer_open(d, path, row, false);
    struct golden_batch batch = batch_of(json_array_get(json_object_get(row, "batches"), 0));
    double got[4];
    struct status status = {0};

    golden_need(train_pass_gradients(t.pass, batch.rows, batch.n,
                                     (float)golden_number(row, "weight"), got, &status),
                path, &status);
    for (int i = 0; i < batch.n; i++)
        assert_true(fabs(got[i] - json_number_value(json_array_get(nll, (size_t)i))) <=
                    (rounds ? 5e-3 : 2e-5) * got[i]);
    for (size_t i = 0; i < golden_n_tensors(t.lora); i++) {
        const double off = compare_gradients(t.lora, i, json_array_get(want, i));

        if (!(off <= (rounds ? 5e-2 : 1e-4)))
            fail_msg("%s, tensor %zu: off by %g of the largest", path, i, off);
    }
    golden_batch_release(&batch);
    golden_trainer_close(&t);
}

static void check_steps(const struct golden_device *d, const char *path, const json_t *row)
{
    const json_t *batches = json_object_get(row, "batches"),
                 *losses = json_object_get(row, "losses");
    struct golden_trainer t = golden_trainer_open(d, path, row, true);
    struct adamw adamw;
    struct status status = {0};

    golden_need(adamw_open(&adamw, t.lora->n_values, &status), path, &status);
    for (size_t i = 0; i < json_array_size(batches); i++) {
        struct golden_batch batch = batch_of(json_array_get(batches, i));
        double norm;
        const double loss = golden_step(&t, &adamw, &batch, golden_rate(row, i), &norm);
        const double want = json_number_value(json_array_get(losses, i));

        if (!(fabs(loss - want) <= 1e-3))
            fail_msg("step %zu: loss %g, must be %g", i, loss, want);
        golden_batch_release(&batch);
    }
    golden_compare_tensors(&t, row, 1e-3);
    adamw_close(&adamw);
    golden_trainer_close(&t);
}

static void on_each_set(bool steps)
{
    for (int k = 0; k < GOLDEN_N_KERNELS; k++) {
        struct golden_device d;

        if (!golden_device_open(&d, golden_kernels[k], 2))
            continue;
        for (size_t i = 0; i < json_array_size(rows); i++) {
            const json_t *row = json_array_get(rows, i);
            struct buf path = {0};

            if (steps != (json_object_get(row, "losses") != NULL))
                continue;
            buf_printf(&path, "%s/%s", folder.data,
                       json_string_value(json_object_get(row, "model")));
            check_hash(row, path.data);
            if (!steps)
                check_gradients(&d, path.data, row);
            else if (!golden_rounds(&d)) /* others take other steps */
                check_steps(&d, path.data, row);
            buf_release(&path);
        }
        golden_device_close(&d);
    }
}

static void test_gradients(void **state)
{
    (void)state;
    on_each_set(false);
}

static void test_steps(void **state)
{
    (void)state;
    on_each_set(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_steps),
    };
    int failed;

    rows = golden_rows("tiny_train.jsonl");
    golden_tiny_make(&folder);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    golden_tiny_remove(&folder);
    json_decref(rows);
    return failed;
}
