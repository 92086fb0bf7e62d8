/* The frequencies of positions are transformers' own, for every kind of scaling. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/rope.h"
#include "tests/golden/golden.h"

/* Two roundings, in the power and its inverse, may fall the other way. */
static const float max_relative = 2.4e-7f;

static void check_row(const json_t *row)
{
    const json_t *wanted = json_object_get(row, "inv_freq");
    struct model_config config;
    struct status status = {0};
    float *inv_freq;

    if (!model_config_from_json(&config, json_object_get(row, "config"), &status))
        fail_msg("%s", status.message);
    inv_freq = rope_frequencies(&config, NULL, &status);
    assert_non_null(inv_freq);
    assert_int_equal(json_array_size(wanted), config.head_dim / 2);
    for (int i = 0; i < config.head_dim / 2; i++) {
        const float want = (float)json_number_value(json_array_get(wanted, (size_t)i));

        if (!(fabsf(inv_freq[i] - want) <= max_relative * want))
            fail_msg("frequency %d: %.9g, transformers has %.9g", i, (double)inv_freq[i],
                     (double)want);
    }
    free(inv_freq);
}

static void frequencies_are_those_of_transformers(void **state)
{
    json_t *rows = golden_rows("rope.jsonl"), *row;
    size_t i;

    (void)state;
    assert_int_equal(json_array_size(rows), 10);
    json_array_foreach(rows, i, row) check_row(row);
    json_decref(rows);
}

static const struct model_config plain = {.head_dim = 8, .rope = {.theta = 10000}};

static void a_files_own_divisors_divide(void **state)
{
    static const float divisors[] = {1, 2, 4, 0.5f};
    const struct tensor_entry tensor = {
        ROPE_FREQS, DTYPE_F32, "F32", 1, {4, 1, 1, 1}, (const uint8_t *)divisors, sizeof(divisors)};
    struct status status = {0};
    float *before = rope_frequencies(&plain, NULL, &status);
    float *divided = rope_frequencies(&plain, &tensor, &status);

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_true(fabsf(divided[i] * divisors[i] - before[i]) <= 0.0f);
    free(before);
    free(divided);
}

static void divisors_that_make_no_frequency_are_refused(void **state)
{
    static const float bad[][4] = {
        {1, 2, 0, 1}, {1, 2, -1, 1}, {1, 2, INFINITY, 1}, {1, 2, NAN, 1}};
    static const uint8_t bytes[16];
    const struct tensor_entry shapes[] = {
        {ROPE_FREQS, DTYPE_F32, "F32", 1, {3, 1, 1, 1}, bytes, 12},
        {ROPE_FREQS, DTYPE_F32, "F32", 2, {4, 1, 1, 1}, bytes, 16},
        {ROPE_FREQS, DTYPE_F16, "F16", 1, {4, 1, 1, 1}, bytes, 8},
    };
    struct status status;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const struct tensor_entry tensor = {
            ROPE_FREQS, DTYPE_F32, "F32", 1, {4, 1, 1, 1}, (const uint8_t *)bad[i], sizeof(bad[i])};

        status = (struct status){0};
        assert_null(rope_frequencies(&plain, &tensor, &status));
        assert_int_equal(status.code, STATUS_CONFIG);
        assert_string_equal(status.message,
                            "tensor 'rope_freqs.weight': element 2 must be a number above 0");
    }
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        status = (struct status){0};
        assert_null(rope_frequencies(&plain, &shapes[i], &status));
        assert_string_equal(status.message, "tensor 'rope_freqs.weight': must be F32 of shape [4]");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frequencies_are_those_of_transformers),
        cmocka_unit_test(a_files_own_divisors_divide),
        cmocka_unit_test(divisors_that_make_no_frequency_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
