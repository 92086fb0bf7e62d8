/* What ggml's blocks stand for is what the gguf package says, bit for bit: looked up as an
 * embedding on every kernel set, and through the expansion of those that multiply floats. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/memory.h"
#include "tests/golden/golden.h"

static enum dtype dtype_of(const char *name)
{
    for (int dtype = DTYPE_F32; dtype < DTYPE_COUNT; dtype++) {
        if (strcmp(dtype_name((enum dtype)dtype), name) == 0)
            return (enum dtype)dtype;
    }
    fail_msg("no type %s", name);
    return DTYPE_NONE;
}

/* Where blocks have floats of 16 bits; -1: nowhere. */
static void factors_of(enum dtype dtype, int at[2])
{
    const bool two =
        dtype == DTYPE_Q4_1 || dtype == DTYPE_Q5_1 || dtype == DTYPE_Q4_K || dtype == DTYPE_Q5_K;

    at[0] = dtype == DTYPE_BF16   ? -1
            : dtype == DTYPE_Q2_K ? 80
            : dtype == DTYPE_Q3_K ? 108
            : dtype == DTYPE_Q6_K ? 208
                                  : 0;
    at[1] = dtype == DTYPE_Q2_K ? 82 : two ? 2 : -1;
}

static uint8_t random_byte(size_t i)
{
    uint32_t h = (uint32_t)i * 2654435761u + 977u;

    h = (h ^ h >> 15) * 2246822519u;
    return (uint8_t)(h >> 24);
}

/* block_bytes of ggml_blocks.py */
static void fill_block(uint8_t *block, size_t b, enum dtype dtype)
{
    const size_t size = dtype_block_bytes(dtype);
    int at[2];

    factors_of(dtype, at);
    for (size_t i = 0; i < size; i++) {
        block[i] = random_byte(b * size + i);
        if (size > 2 && (b % 5 == 1 || b % 5 == 2))
            block[i] = b % 5 == 1 ? 0x00 : 0xFF;
    }
    for (int f = 0; f < 2 && at[f] >= 0; f++) {
        block[at[f]] = random_byte(b * size + (size_t)at[f]);
        block[at[f] + 1] = random_byte(b * size + (size_t)at[f] + 1) & 0xFB;
    }
    if (size > 2 && b % 7 == 3)
        memset(block + at[0], 0, 2);
    if (dtype == DTYPE_BF16)
        block[1] &= 0xBF;
}

static struct tensor_view make_view(const json_t *row)
{
    const enum dtype dtype = dtype_of(json_string_value(json_object_get(row, "type")));
    const size_t rows = (size_t)json_integer_value(json_object_get(row, "rows"));
    const size_t cols = (size_t)json_integer_value(json_object_get(row, "cols"));
    const size_t n = rows * cols / dtype_block_elements(dtype), size = dtype_block_bytes(dtype);
    uint8_t *data = memory_zeroed(n, size);

    for (size_t b = 0; b < n; b++)
        fill_block(data + b * size, b, dtype);
    return (struct tensor_view){dtype, rows, cols, data, n * size, NULL};
}

static void values_are(const json_t *row, float *y, size_t n)
{
    char hash[17];

    for (size_t i = 0; i < n; i++)
        y[i] = y[i] == 0 ? 0 : y[i]; /* no -0 */
    snprintf(hash, sizeof(hash), "%016llx", (unsigned long long)hash64(y, n * sizeof(*y)));
    assert_string_equal(hash, json_string_value(json_object_get(row, "values")));
}

static void look_up(const json_t *row, const struct golden_device *d, const struct matrix *m,
                    const struct tensor_view *view)
{
    int32_t *ids = memory_zeroed(view->rows, sizeof(*ids));
    float *y = memory_zeroed(view->rows * view->cols, sizeof(*y));

    for (size_t i = 0; i < view->rows; i++)
        ids[i] = (int32_t)i;
    d->backend->embed(d->device, y, m, ids, (int)view->rows);
    values_are(row, y, view->rows * view->cols);
    free(y);
    free(ids);
}

/* The products with unit vectors, whose every sum has one term. */
static void multiply(const json_t *row, const struct golden_device *d, const struct matrix *m,
                     const struct tensor_view *view)
{
    const size_t rows = view->rows, cols = view->cols;
    float *x = memory_zeroed(cols * cols, sizeof(*x)), *y = memory_zeroed(cols * rows, sizeof(*y));
    float *values = memory_zeroed(rows * cols, sizeof(*values));

    for (size_t k = 0; k < cols; k++)
        x[k * cols + k] = 1;
    d->backend->linear(d->device, y, x, m, NULL, (int)cols);
    for (size_t i = 0; i < rows * cols; i++)
        values[i] = y[i % cols * rows + i / cols];
    values_are(row, values, rows * cols);
    free(values);
    free(y);
    free(x);
}

static void values_are_those_of_the_gguf_package(void **state)
{
    json_t *rows = golden_rows("ggml_blocks.jsonl"), *row;
    size_t i;

    (void)state;
    for (int set = 0; set < GOLDEN_N_KERNELS; set++) {
        struct golden_device d;

        if (!golden_device_open(&d, golden_kernels[set], 2))
            continue;
        json_array_foreach(rows, i, row)
        {
            const struct tensor_view view = make_view(row);
            struct status status = {0};
            struct matrix *m = d.backend->upload(d.device, &view, NULL, &status);

            golden_need(m != NULL, dtype_name(view.dtype), &status);
            look_up(row, &d, m, &view);
            if (!golden_rounds(&d))
                multiply(row, &d, m, &view);
            d.backend->free_matrix(d.device, m);
            free((void *)(uintptr_t)view.data);
        }
        golden_device_close(&d);
    }
    json_decref(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(values_are_those_of_the_gguf_package)};

    return cmocka_run_group_tests_name("golden_ggml_blocks", tests, NULL, NULL);
}
