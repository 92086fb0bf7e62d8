/* Values that are no numbers are found wherever they stand, and what is large but finite passes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "model/tensor_values.h"

enum { ROWS = 3, COLS = 352 }; /* four runs of 256 and an end, 33 blocks of 32 */

/* A float of a type that is no number, and the largest that is one, as the file has their bytes. */
static const struct odd {
    enum dtype dtype;
    size_t size;
    uint8_t bytes[3][4], largest[4];
} odd[] = {
    {DTYPE_F32,
     4,
     {{0, 0, 0xC0, 0x7F}, {0, 0, 0x80, 0x7F}, {0, 0, 0x80, 0xFF}},
     {0xFF, 0xFF, 0x7F, 0x7F}},
    {DTYPE_BF16, 2, {{0xC0, 0xFF}, {0x80, 0x7F}, {0x80, 0xFF}}, {0x7F, 0xFF}},
    {DTYPE_F16, 2, {{0x01, 0x7C}, {0x00, 0x7C}, {0x00, 0xFC}}, {0xFF, 0x7B}},
};

static const struct {
    enum dtype dtype;
    size_t n_factors, at[2];
} blocks[] = {
    {DTYPE_Q8_0, 1, {0}},      {DTYPE_Q4_0, 1, {0}},    {DTYPE_Q4_1, 2, {0, 2}},
    {DTYPE_Q5_0, 1, {0}},      {DTYPE_Q5_1, 2, {0, 2}}, {DTYPE_IQ4_NL, 1, {0}},
    {DTYPE_Q2_K, 2, {80, 82}}, {DTYPE_Q3_K, 1, {108}},  {DTYPE_Q4_K, 2, {0, 2}},
    {DTYPE_Q5_K, 2, {0, 2}},   {DTYPE_Q6_K, 1, {208}},
};

static struct tensor_view view_of(enum dtype dtype, uint8_t **data)
{
    const size_t cols = dtype_block_elements(dtype) > 32 ? 512 : COLS;
    struct tensor_view view = {.dtype = dtype, .rows = ROWS, .cols = cols};

    view.size = (size_t)ROWS * cols / dtype_block_elements(dtype) * dtype_block_bytes(dtype);
    *data = memory_zeroed(view.size + 1, 1);
    view.data = *data + 1; /* files align nothing */
    return view;
}

static void a_value_that_is_no_number_is_found_anywhere(void **state)
{
    static const char *const words[] = {"NaN", "infinite", "infinite"};

    (void)state;
    for (size_t k = 0; k < sizeof(odd) / sizeof(odd[0]); k++) {
        uint8_t *data;
        const struct tensor_view view = view_of(odd[k].dtype, &data);
        struct status status = {0};

        for (size_t i = 0; i < (size_t)ROWS * COLS; i++) {
            uint8_t *at = data + 1 + i * odd[k].size;
            char message[64];

            memcpy(at, odd[k].bytes[i % 3], odd[k].size);
            snprintf(message, sizeof(message), "value %zu is %s", i, words[i % 3]);
            assert_false(tensor_values_check(&view, &status));
            assert_int_equal(status.code, STATUS_CONFIG);
            assert_string_equal(status.message, message);
            memcpy(at, odd[k].largest, odd[k].size);
        }
        assert_true(tensor_values_check(&view, &status));
        free(data);
    }
}

static void so_is_a_factor_of_a_block(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof(blocks) / sizeof(blocks[0]); k++) {
        uint8_t *data;
        const struct tensor_view view = view_of(blocks[k].dtype, &data);
        const size_t size = dtype_block_bytes(view.dtype), n = dtype_block_elements(view.dtype);
        struct status status = {0};

        memset(data, 0x7B, view.size + 1); /* any bytes are codes; these are finite factors */
        assert_true(tensor_values_check(&view, &status));
        for (size_t b = 0; b < view.size / size; b++) {
            for (size_t i = 0; i < blocks[k].n_factors; i++) {
                uint8_t *at = data + 1 + b * size + blocks[k].at[i];
                char message[80];

                memcpy(at, "\x00\xFC", 2);
                snprintf(message, sizeof(message), "a factor of values %zu to %zu is infinite",
                         b * n, (b + 1) * n - 1);
                assert_false(tensor_values_check(&view, &status));
                assert_string_equal(status.message, message);
                memset(at, 0, 2);
            }
        }
        assert_true(tensor_values_check(&view, &status));
        free(data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_that_is_no_number_is_found_anywhere),
        cmocka_unit_test(so_is_a_factor_of_a_block),
    };

    return cmocka_run_group_tests_name("tensor_values", tests, NULL, NULL);
}
