/* What a run of training goes through: torch's order of rows, transformers' learning rates, and
 * which rows a step takes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "tests/golden/golden.h"
#include "train/lr_schedule.h"
#include "train/row_order.h"
#include "train/train_plan.h"

static void check_order(const json_t *row)
{
    const uint64_t seed = (uint64_t)json_integer_value(json_object_get(row, "seed"));
    int n;
    int32_t *wanted = golden_ids(row, "order", &n);
    uint32_t *order = memory_zeroed((size_t)n, sizeof(*order));

    row_order(seed, order, (size_t)n);
    for (int i = 0; i < n; i++)
        assert_int_equal(order[i], wanted[i]);
    free(order);
    free(wanted);
}

static void check_schedule(const json_t *row)
{
    const struct text name = golden_text(row, "schedule");
    int n;
    double *factors = golden_numbers(row, "factors", &n);
    const struct lr_schedule schedule = {
        .kind = text_is(name, "linear")   ? LR_SCHEDULE_LINEAR
                : text_is(name, "cosine") ? LR_SCHEDULE_COSINE
                                          : LR_SCHEDULE_CONSTANT,
        .steps = (uint64_t)n,
        .warmup = (uint64_t)json_integer_value(json_object_get(row, "warmup")),
    };

    for (int i = 0; i < n; i++)
        assert_true(fabs(lr_schedule_factor(&schedule, (uint64_t)i) - factors[i]) <= 1e-12);
    free(factors);
}

static void orders_and_rates_are_those_of_torch_and_transformers(void **state)
{
    json_t *rows = golden_rows("train_order.jsonl"), *row;
    size_t i;

    (void)state;
    assert_int_equal(json_array_size(rows), 16);
    json_array_foreach(rows, i, row)
    {
        if (json_object_get(row, "order"))
            check_order(row);
        else
            check_schedule(row);
    }
    json_decref(rows);
}

/* Goes through so many steps; counts how often each place of an epoch's order was taken. */
static uint64_t count(const struct train_plan *plan, uint64_t steps, int *taken, int *most_parts)
{
    struct train_plan_part part;
    uint64_t rows = 0;

    *most_parts = 0;
    memset(taken, 0, plan->n_rows * sizeof(*taken));
    for (uint64_t step = 0; step < steps; step++) {
        int i;

        for (i = 0; train_plan_part(plan, step, i, &part); i++) {
            assert_true(part.n_rows >= 1 && part.n_rows <= (size_t)plan->batch);
            assert_true(part.first + part.n_rows <= plan->n_rows);
            for (size_t k = 0; k < part.n_rows; k++)
                taken[part.first + k]++;
            rows += part.n_rows;
        }
        assert_true(i >= 1 && i <= plan->accumulation);
        *most_parts = i > *most_parts ? i : *most_parts;
    }
    return rows;
}

static void every_epoch_takes_each_row_once(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 40; n++) {
        const struct train_plan plan = {.n_rows = n, .batch = 3, .accumulation = 4};
        int taken[40], most_parts;

        assert_int_equal(train_plan_steps(&plan, 5), 5 * ((n + 11) / 12));
        assert_int_equal(count(&plan, train_plan_steps(&plan, 5), taken, &most_parts), 5 * n);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(taken[i], 5);
    }
}

static void the_card_has_4260_steps_that_reach_over_its_epochs(void **state)
{
    const struct train_plan card = {.n_rows = 11362, .batch = 2, .accumulation = 4, .carry = true};
    int *taken = memory_zeroed(card.n_rows, sizeof(*taken)), most_parts;
    struct train_plan_part part;

    (void)state;
    assert_int_equal(train_plan_steps(&card, 3), 4260);
    /* 5681 micro-batches an epoch: the first step that sees the second epoch has one of the first
     */
    assert_true(train_plan_part(&card, 1420, 0, &part) && part.epoch == 0 && part.first == 11360);
    assert_true(train_plan_part(&card, 1420, 1, &part) && part.epoch == 1 && part.first == 0);
    /* the last three of 17043 are not trained on */
    assert_int_equal(count(&card, 4260, taken, &most_parts), 3 * 11362 - 6);
    assert_int_equal(most_parts, 4);
    free(taken);
}

static void an_epoch_shorter_than_a_step_is_a_step(void **state)
{
    const struct train_plan plan = {.n_rows = 5, .batch = 2, .accumulation = 4, .carry = true};
    int taken[5], most_parts;

    (void)state;
    assert_int_equal(train_plan_steps(&plan, 3), 3);
    assert_int_equal(count(&plan, 3, taken, &most_parts), 15);
    assert_int_equal(most_parts, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders_and_rates_are_those_of_torch_and_transformers),
        cmocka_unit_test(every_epoch_takes_each_row_once),
        cmocka_unit_test(the_card_has_4260_steps_that_reach_over_its_epochs),
        cmocka_unit_test(an_epoch_shorter_than_a_step_is_a_step),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
