/* Sums without rounding: the same as Python's, whatever the order and however they are cut. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/exact_sum.h"
#include "draw.h"
#include "tests/golden/golden.h"

enum { N = 3000, SHARDS = 1000 };

/* Of both signs and almost every size, the subnormal ones too. */
static double draw_any(struct draw *draw)
{
    const double mantissa = (double)draw_below(draw, UINT64_C(1) << 53) * 0x1p-53;
    const int exponent = (int)draw_below(draw, 2090) - 1075;

    return ldexp(draw_below(draw, 2) ? mantissa : -mantissa, exponent);
}

static double *draw_values(uint64_t seed)
{
    double *values = calloc(N, sizeof(*values));
    struct draw draw = {seed};

    assert_non_null(values);
    for (int i = 0; i < N; i++)
        values[i] = draw_any(&draw);
    return values;
}

static struct exact_sum sum_of(const double *values, size_t n)
{
    struct exact_sum sum = {0};

    for (size_t i = 0; i < n; i++)
        exact_sum_add(&sum, values[i], 1);
    return sum;
}

static void shuffle(double *values, size_t n, struct draw *draw)
{
    for (size_t i = n; i > 1; i--) {
        const size_t k = (size_t)draw_below(draw, i);
        const double value = values[i - 1];

        values[i - 1] = values[k];
        values[k] = value;
    }
}

static void assert_text(const struct exact_sum *sum, const char *text)
{
    struct buf written = {0};

    exact_sum_write(sum, &written);
    assert_string_equal(written.data, text);
    buf_release(&written);
}

static void assert_same(const struct exact_sum *a, const struct exact_sum *b)
{
    struct buf text = {0};

    exact_sum_write(b, &text);
    assert_text(a, text.data);
    assert_true(exact_sum_value(a) == exact_sum_value(b));
    buf_release(&text);
}

static void sums_as_python_does(void **state)
{
    json_t *rows = golden_rows("exact_sums.jsonl");
    const json_t *row, *value;
    size_t i, k;

    (void)state;
    json_array_foreach(rows, i, row)
    {
        const char *spread = json_string_value(json_object_get(row, "spread"));
        const json_t *list = json_object_get(row, "values");
        struct exact_sum sum = {0}, squares = {0};

        json_array_foreach(list, k, value)
        {
            const double number = strtod(json_string_value(value), NULL);

            exact_sum_add(&sum, number, 1);
            if (spread)
                exact_sum_add_product(&squares, number, number);
        }
        assert_true(exact_sum_value(&sum) == strtod(golden_text(row, "sum").ptr, NULL));
        assert_text(&sum, golden_text(row, "text").ptr);
        if (spread)
            assert_true(exact_sum_spread(&sum, &squares, json_array_size(list)) ==
                        strtod(spread, NULL));
    }
    json_decref(rows);
}

static void any_order_gives_the_same_bits(void **state)
{
    double *values = draw_values(1);
    const struct exact_sum sum = sum_of(values, N);
    struct draw draw = {2};

    (void)state;
    for (int round = 0; round < 20; round++) {
        struct exact_sum again;

        shuffle(values, N, &draw);
        again = sum_of(values, N);
        assert_same(&again, &sum);
    }
    free(values);
}

/* A thousand shards, merged in any order: by the sums themselves, and by their text. */
static void any_shards_give_the_same_bits(void **state)
{
    double *values = draw_values(3);
    const struct exact_sum sum = sum_of(values, N);
    struct exact_sum *shards = calloc(SHARDS, sizeof(*shards)), merged = {0}, read = {0};
    struct draw draw = {4};
    struct buf text = {0};

    (void)state;
    assert_non_null(shards);
    for (int i = 0; i < N; i++)
        exact_sum_add(&shards[draw_below(&draw, SHARDS)], values[i], 1);
    for (int i = 0; i < SHARDS; i++) {
        struct exact_sum shard;

        exact_sum_merge(&merged, &shards[(i * 7 + 3) % SHARDS]);
        buf_reset(&text);
        exact_sum_write(&shards[(i * 3 + 1) % SHARDS], &text);
        assert_true(exact_sum_read(buf_text(&text), &shard));
        exact_sum_merge(&read, &shard);
    }
    assert_same(&merged, &sum);
    assert_same(&read, &sum);
    buf_release(&text);
    free(shards);
    free(values);
}

/* glibc reads hexadecimal digits of any number and rounds them once. */
static void rounds_as_the_library_reads(void **state)
{
    struct draw draw = {5};
    struct buf text = {0};

    (void)state;
    for (int round = 0; round < 3000; round++) {
        struct exact_sum sum = {0};

        for (uint64_t i = draw_below(&draw, 4) + 1; i > 0; i--) {
            const double value = draw_any(&draw);

            exact_sum_add(&sum, value, draw_below(&draw, 5));
            /* next to a tie, on either side */
            exact_sum_add(&sum, value * 0x1p-53, 1);
            exact_sum_add(&sum, draw_below(&draw, 2) ? 0x1p-1074 : 0, 1);
        }
        buf_reset(&text);
        exact_sum_write(&sum, &text);
        assert_true(exact_sum_value(&sum) == strtod(text.data, NULL));
    }
    buf_release(&text);
}

static void times_is_that_many_additions(void **state)
{
    struct draw draw = {6};

    (void)state;
    for (int round = 0; round < 200; round++) {
        const double value = draw_any(&draw);
        const uint64_t times = draw_below(&draw, 50);
        struct exact_sum once = {0}, often = {0};

        exact_sum_add(&once, value, times);
        for (uint64_t i = 0; i < times; i++)
            exact_sum_add(&often, value, 1);
        assert_same(&once, &often);
        /* (2^63 + times) value, in two ways */
        if (!isfinite(value * 0x1p31))
            continue;
        exact_sum_add(&once, value, UINT64_C(1) << 63);
        exact_sum_add(&often, value * 0x1p31, UINT64_C(1) << 32);
        assert_same(&once, &often);
    }
}

static void carries_in_time(void **state)
{
    struct exact_sum sum = {0};

    (void)state;
    for (int i = 0; i < (1 << 28) + 5; i += 1 << 20) {
        for (int k = 0; k < 3; k++) /* as if so many had been added */
            exact_sum_add(&sum, 0x1.fffffffffffffp+0, UINT64_MAX);
        sum.n_waiting += (1 << 20) - 3;
        if (sum.n_waiting >= (1 << 28) - 3)
            sum.n_waiting = (1 << 28) - 1;
    }
    assert_true(exact_sum_value(&sum) == 771 * 0x1.fffffffffffffp+0 * 0x1p64);
}

static void the_ends_of_the_range(void **state)
{
    struct exact_sum sum = {0};

    (void)state;
    assert_true(exact_sum_value(&sum) == 0);
    exact_sum_add(&sum, 0x1.fffffffffffffp+1023, 1);
    exact_sum_add(&sum, 0x1p+969, 1); /* not yet half a last place */
    assert_true(exact_sum_value(&sum) == 0x1.fffffffffffffp+1023);
    exact_sum_add(&sum, 0x1p+969, 1); /* half */
    assert_true(isinf(exact_sum_value(&sum)));
    exact_sum_add(&sum, -0x1p-1074, 1);
    assert_true(exact_sum_value(&sum) == 0x1.fffffffffffffp+1023);
    exact_sum_add(&sum, -0x1.fffffffffffffp+1023, 2);
    exact_sum_add(&sum, 0, UINT64_MAX);
    assert_true(exact_sum_value(&sum) == -0x1.fffffffffffffp+1023);
}

static void reads_its_own_text_and_no_other(void **state)
{
    static const char *const good[] = {"0",          "0x1p0",    "-0x1p0",   "0x1ap-4",
                                       "-0x8p-1072", "0x1p1084", "0x4p-1076"};
    static const char *const bad[] = {"",
                                      "-",
                                      "0x",
                                      "0x0p0",
                                      "-0",
                                      "+0x1p0",
                                      "0x1",
                                      "0x1p",
                                      "0x10p0",
                                      "1p0",
                                      "0x01p0",
                                      "0X1p0",
                                      "0x1Ap0",
                                      "0x1p+4",
                                      "0x1p3",
                                      "0x1p04",
                                      "0x1p-0",
                                      "0x1p4x",
                                      "0x1p-1080",
                                      "0x1p-1092",
                                      "0x1p1088",
                                      "0x1p9999",
                                      " 0x1p0",
                                      "0x1p4 ",
                                      "0x2p-1076",
                                      "inf",
                                      "nan",
                                      "0x1gp0",
                                      "0x1p99999999999999999999"};
    struct exact_sum sum = {0}, kept;
    struct buf text = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(exact_sum_read(text_of(good[i]), &sum));
        assert_text(&sum, good[i]);
    }
    kept = sum;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (exact_sum_read(text_of(bad[i]), &sum))
            fail_msg("%s", bad[i]);
    }
    buf_append_string(&text, "0x1");
    for (int i = 0; i < 600; i++)
        buf_append_char(&text, 'f');
    buf_append_string(&text, "p-1088");
    assert_false(exact_sum_read(buf_text(&text), &sum));
    buf_release(&text);
    assert_memory_equal(&sum, &kept, sizeof(sum));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_as_python_does),
        cmocka_unit_test(any_order_gives_the_same_bits),
        cmocka_unit_test(any_shards_give_the_same_bits),
        cmocka_unit_test(rounds_as_the_library_reads),
        cmocka_unit_test(times_is_that_many_additions),
        cmocka_unit_test(carries_in_time),
        cmocka_unit_test(the_ends_of_the_range),
        cmocka_unit_test(reads_its_own_text_and_no_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
