/* NF4 is bitsandbytes': codes, absmax and values bit for bit, losses of models that it saved. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/float16.h"
#include "base/hash.h"
#include "base/memory.h"
#include "model/nf4_tensor.h"
#include "tests/golden/golden.h"

#define FOLDER "tests/golden/nf4"

/* Both sides compute in f32 from the same weights; sets of 16-bit numbers leave out the rounding of
 * values to bf16 (2^-9 of each) and round activations. */
static const double max_loss_error = 1e-4, max_loss_error_words = 3e-2;
/* Sums of absmax in another order. */
static const double max_offset_error = 1e-6;

static float number(size_t i)
{
    const size_t block = i / 64;
    uint32_t h = (uint32_t)i * 2654435761u + 12345u;

    h = (h ^ h >> 15) * 2246822519u;
    return block % 97 == 5 ? 0 : (float)ldexp((double)(h >> 21) - 1024, -12 - (int)(block % 5));
}

static void hash_is(const json_t *row, const char *key, const void *bytes, size_t size)
{
    char hash[17];

    snprintf(hash, sizeof(hash), "%016llx", (unsigned long long)hash64(bytes, size));
    assert_string_equal(hash, json_string_value(json_object_get(row, key)));
}

static size_t size_of(const json_t *row, const char *key)
{
    return (size_t)json_integer_value(json_object_get(row, key));
}

/* numbers, in the row's type, as a file has them; *x: what they are */
static struct tensor_view view_of(const json_t *row, float *x)
{
    const char *name = json_string_value(json_object_get(row, "dtype"));
    const size_t rows = size_of(row, "rows"), cols = size_of(row, "cols");
    const enum dtype dtype = strcmp(name, "F32") == 0   ? DTYPE_F32
                             : strcmp(name, "F16") == 0 ? DTYPE_F16
                                                        : DTYPE_BF16;
    const size_t size = dtype_block_bytes(dtype);
    uint8_t *data = memory_zeroed(rows * cols, size);

    for (size_t i = 0; i < rows * cols; i++) {
        const float f = number(i);
        const uint16_t h = dtype == DTYPE_F16 ? float_to_f16(f) : float_to_bf16(f);

        memcpy(data + i * size, dtype == DTYPE_F32 ? (const void *)&f : (const void *)&h, size);
        x[i] = dtype == DTYPE_F32 ? f : dtype == DTYPE_F16 ? f16_to_float(h) : bf16_to_float(h);
    }
    return (struct tensor_view){dtype, rows, cols, data, rows * cols * size, NULL};
}

/* The matrix itself: the products with unit vectors, whose every sum has one term. */
static void values_are(const json_t *row, const char *key, const char *set,
                       const struct tensor_view *view)
{
    const size_t n = view->rows * view->cols;
    struct golden_device d;
    struct status status = {0};
    int32_t *ids = memory_zeroed(view->rows, sizeof(*ids));
    float *y = memory_zeroed(n, sizeof(*y));
    struct matrix *m;

    for (size_t i = 0; i < view->rows; i++)
        ids[i] = (int32_t)i;
    if (golden_device_open(&d, set, 1)) {
        m = d.backend->upload(d.device, view, NULL, &status);
        golden_need(m != NULL, key, &status);
        d.backend->embed(d.device, y, m, ids, (int)view->rows);
        for (size_t i = 0; i < n; i++)
            y[i] = y[i] == 0 ? 0 : y[i]; /* no -0 */
        hash_is(row, key, y, n * sizeof(*y));
        d.backend->free_matrix(d.device, m);
        golden_device_close(&d);
    }
    free(ids);
    free(y);
}

/* The parts of double quantisation, from the offset that torch computed. */
static void compresses(const json_t *row, const float *absmax, size_t n)
{
    const size_t n_nested = (n + NF4_NESTED_BLOCK - 1) / NF4_NESTED_BLOCK;
    const float offset = (float)json_number_value(json_object_get(row, "offset"));
    uint8_t *q = memory_zeroed(n, 1);
    float *nested = memory_zeroed(n_nested, sizeof(*nested)), *again = memory_zeroed(n, 4);
    float map[NF4_MAP];

    nf4_dynamic_map(map);
    hash_is(row, "map", map, sizeof(map));
    assert_true(fabs((double)(nf4_offset(absmax, n) - offset)) <=
                max_offset_error * fabs((double)offset));
    nf4_compress(q, nested, absmax, n, offset, map);
    hash_is(row, "places", q, n);
    hash_is(row, "nested", nested, n_nested * sizeof(*nested));
    for (size_t i = 0; i < n; i++)
        again[i] = nf4_absmax(map, q[i], nested[i / NF4_NESTED_BLOCK], offset);
    hash_is(row, "absmax_again", again, n * sizeof(*again));
    free(q);
    free(nested);
    free(again);
}

static void quantises_as_bitsandbytes(void **state)
{
    json_t *rows = golden_rows("nf4.jsonl"), *row;
    size_t i;

    (void)state;
    json_array_foreach(rows, i, row)
    {
        const size_t n = size_of(row, "rows") * size_of(row, "cols");
        float *x = memory_zeroed(n, sizeof(*x));
        struct tensor_view view = view_of(row, x);
        uint8_t *data = (uint8_t *)(uintptr_t)view.data;
        struct nf4_tensor tensor;
        struct status status = {0};

        assert_int_equal(size_of(row, "block"), NF4_BLOCK);
        golden_need(nf4_tensor_quantise(&tensor, &view, false, &status), "quantise", &status);
        hash_is(row, "codes", tensor.codes, n / 2);
        hash_is(row, "absmax", tensor.absmax, (n + 63) / 64 * sizeof(float));
        values_are(row, "values", "scalar", &view);
        values_are(row, "values", "avx2", &view);
        values_are(row, "values", "avx512", &view);
        compresses(row, tensor.absmax, (n + 63) / 64);
        nf4_tensor_release(&tensor);
        free(data);
        free(x);
    }
    json_decref(rows);
}

static double largest;

static void compare(void *context, struct sequence *sequence)
{
    int n;
    double *nll = golden_numbers(sequence->owner, "nll", &n);

    (void)context;
    assert_int_equal(sequence->n_logprobs, n);
    for (int i = 0; i < n; i++)
        largest = fmax(largest, fabs(nll[i] + sequence->logprobs[i]));
    free(nll);
}

static void scores(const struct golden_device *d, const char *folder, enum quantize quantize,
                   json_t *row)
{
    const struct scheduler_options options = {.n_slots = 1, .max_step_rows = 64, .threads = 2};
    struct request request = {.score = true, .first_target = 1, .owner = row, .adapter = -1};
    int32_t *ids = golden_ids(row, "tokens", &request.n_tokens);
    struct status status = {0};
    struct buf path = {0};
    struct scheduler *scheduler;
    struct model *model;

    buf_printf(&path, "%s/%s", FOLDER, folder);
    model = model_open_quantised(path.data, quantize, d->backend, d->device, &status);
    golden_need(model != NULL, path.data, &status);
    scheduler = scheduler_open(model, &options, &status);
    golden_need(scheduler != NULL, path.data, &status);
    request.tokens = ids;
    largest = 0;
    golden_need(scheduler_submit(scheduler, &request, &status) != NULL, "submit", &status);
    golden_run(scheduler, compare, NULL);
    printf("# %s: largest difference %.2g\n", folder, largest);
    assert_true(largest < (golden_rounds(d) ? max_loss_error_words : max_loss_error));
    scheduler_close(scheduler);
    model_close(model);
    buf_release(&path);
    free(ids);
}

static void losses_of_saved_models_agree(void **state)
{
    json_t *rows = golden_rows("nf4_losses.jsonl"), *row;
    size_t i;

    (void)state;
    for (int set = 0; set < GOLDEN_N_KERNELS; set++) {
        struct golden_device d;

        if (!golden_device_open(&d, golden_kernels[set], 2))
            continue;
        json_array_foreach(rows, i, row)
        {
            const char *name = json_string_value(json_object_get(row, "model"));
            const bool twice = strcmp(name, "double") == 0;

            scores(&d, name, QUANTIZE_OFF, row);
            scores(&d, "whole", twice ? QUANTIZE_NF4_DQ : QUANTIZE_NF4, row);
        }
        golden_device_close(&d);
    }
    json_decref(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantises_as_bitsandbytes),
        cmocka_unit_test(losses_of_saved_models_agree),
    };

    return cmocka_run_group_tests_name("golden_nf4", tests, NULL, NULL);
}
