/* Adapters under training and their checkpoints, to disk and back: by our own readers, which take
 * what PEFT writes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/rng.h"
#include "formats/safetensors.h"
#include "formats/safetensors_write.h"
#include "model/adapter.h"
#include "tests/golden/golden.h"
#include "tests/golden/tiny.h"
#include "train/checkpoint.h"
#include "train/lora_folder.h"

static struct buf folder; /* of the small models and adapters */
static struct golden_device device;
static struct model *llama; /* 3 layers, dim 64 */

static const struct lora_options some = {.rank = 3,
                                         .alpha = 6.5f,
                                         .dropout = 0.05f,
                                         .targets = 1u << LORA_Q_PROJ | 1u << LORA_V_PROJ |
                                                    1u << LORA_DOWN_PROJ};

static const char *in_folder(const char *name)
{
    static char path[512];

    snprintf(path, sizeof(path), "%s/%s", folder.data, name);
    return path;
}

/* Values of both signs in A and in B. */
static struct lora *open_lora(const struct lora_options *options)
{
    struct status status = {0};
    struct lora *lora = lora_open(&llama->config, options, 1, &status);

    golden_need(lora != NULL, "lora", &status);
    for (size_t i = 0; i < lora->n_values; i++)
        lora->values[i] = (float)(rng_uniform(5, i, 0) - 0.5);
    return lora;
}

static void an_adapter_comes_back_as_it_was(void **state)
{
    struct status status = {0};
    struct lora *lora = open_lora(&some), *back;
    struct lora_folder found;
    struct adapter *adapter;

    (void)state;
    assert_return_code(mkdir(in_folder("mine"), 0700), 0);
    if (!lora_folder_write(lora, in_folder("mine"), "org/Llama-F32", DTYPE_F32, &status))
        fail_msg("%s", status.message);
    adapter = adapter_open(in_folder("mine"), llama, &status);
    golden_need(adapter != NULL, "mine", &status);
    assert_int_equal(adapter->n_modules, 9);
    assert_int_equal(adapter->max_rank, 3);
    assert_true(adapter->layers[2].down_proj.scale >= lora->scale &&
                adapter->layers[2].down_proj.scale <= lora->scale);
    assert_null(adapter->layers[0].k_proj.a);
    assert_int_equal(buf_text(&adapter->warnings).len, 0);
    adapter_close(adapter);

    if (!lora_folder_check(&found, in_folder("mine"), llama, &status))
        fail_msg("%s", status.message);
    assert_int_equal(found.options.targets, some.targets);
    assert_int_equal(found.options.rank, 3);
    assert_true(found.options.alpha >= some.alpha && found.options.alpha <= some.alpha);
    back = lora_open(&llama->config, &found.options, 2, &status);
    assert_true(lora_folder_read(back, in_folder("mine"), &status));
    assert_int_equal(back->n_values, lora->n_values);
    assert_memory_equal(back->values, lora->values, lora->n_values * sizeof(float));
    lora_close(back);
    lora_close(lora);
}

static void in_sixteen_bits_it_is_rounded(void **state)
{
    struct status status = {0};
    struct lora *lora = open_lora(&some);
    float *before = memory_zeroed(lora->n_values, sizeof(float));

    (void)state;
    memcpy(before, lora->values, lora->n_values * sizeof(float));
    assert_true(lora_folder_write(lora, in_folder("mine"), "llama", DTYPE_F16, &status));
    assert_true(lora_folder_read(lora, in_folder("mine"), &status));
    for (size_t i = 0; i < lora->n_values; i++)
        assert_true(fabsf(lora->values[i] - before[i]) <= 0x1p-12f);
    free(before);
    lora_close(lora);
}

static void what_is_no_number_is_not_written(void **state)
{
    struct status status = {0};
    struct lora *lora = open_lora(&some);
    struct stat old, now;

    (void)state;
    assert_true(lora_folder_write(lora, in_folder("mine"), "llama", DTYPE_F32, &status));
    assert_return_code(stat(in_folder("mine/adapter_model.safetensors"), &old), 0);
    lora->values[lora->modules[4].b] = 70000;
    assert_false(lora_folder_write(lora, in_folder("mine"), "llama", DTYPE_F16, &status));
    assert_int_equal(status.code, STATUS_DATA);
    assert_non_null(strstr(status.message, "adapter_model.safetensors: tensor 'base_model.model."
                                           "model.layers.1.self_attn.v_proj.lora_B.weight': 70000 "
                                           "is too large for F16"));
    lora->values[0] = NAN;
    assert_false(lora_folder_write(lora, in_folder("mine"), "llama", DTYPE_F32, &status));
    assert_non_null(strstr(status.message, "q_proj.lora_A.weight': a value is NaN"));
    /* the file before is still there */
    assert_return_code(stat(in_folder("mine/adapter_model.safetensors"), &now), 0);
    assert_int_equal(old.st_ino, now.st_ino);
    lora_close(lora);
}

static void assert_refuses(const char *name, const char *why)
{
    struct status status = {0};
    struct lora_folder found;

    assert_false(lora_folder_check(&found, in_folder(name), llama, &status));
    assert_int_equal(status.code, STATUS_CONFIG);
    if (!strstr(status.message, why))
        fail_msg("%s: %s", name, status.message);
}

static void adapters_that_differ_by_layer_are_refused(void **state)
{
    (void)state;
    assert_refuses("patterns", "rank_pattern: training goes on only from adapters that are alike");
    assert_refuses("layers", "some layers have modules that others have not");
    assert_refuses("head-tied", "target_modules has 'lm_head'");
    assert_refuses("attention", "made for the model 'tiny/mistral-f32', but this is 'llama-f32'");
}

/* -- checkpoints -- */

static json_t *settings_of(const char *lr)
{
    return json_pack("{s:s, s:s}", "rank", "3", "lr", lr);
}

enum { N = 5000 };

static float values[N], first[N], second[N];

static struct checkpoint checkpoint_of(void)
{
    return (struct checkpoint){.step = 12,
                               .metrics = 3456,
                               .validated = 10,
                               .best = 1.25,
                               .best_step = 8,
                               .misses = 1,
                               .stopped = true,
                               .n = N,
                               .values = values,
                               .first_moment = first,
                               .second_moment = second};
}

static void write_checkpoint(void)
{
    const struct checkpoint c = checkpoint_of();
    json_t *settings = settings_of("0.01");
    struct status status = {0};

    for (int i = 0; i < N; i++) {
        values[i] = (float)i / 3;
        first[i] = -values[i];
        second[i] = values[i] * values[i];
    }
    if (!checkpoint_write(&c, settings, in_folder("checkpoint"), &status))
        fail_msg("%s", status.message);
    json_decref(settings);
}

static bool read_checkpoint(struct checkpoint *c, const char *lr, struct status *status)
{
    json_t *settings = settings_of(lr);
    const bool ok = checkpoint_read(c, settings, in_folder("checkpoint"), status);

    json_decref(settings);
    return ok;
}

static void a_checkpoint_comes_back_as_it_was(void **state)
{
    static float back[3][N];
    struct checkpoint c = {
        .n = N, .values = back[0], .first_moment = back[1], .second_moment = back[2]};
    struct status status = {0};

    (void)state;
    write_checkpoint();
    if (!read_checkpoint(&c, "0.01", &status))
        fail_msg("%s", status.message);
    assert_int_equal(c.step, 12);
    assert_int_equal(c.metrics, 3456);
    assert_int_equal(c.validated, 10);
    assert_true(c.best >= 1.25 && c.best <= 1.25);
    assert_int_equal(c.best_step, 8);
    assert_int_equal(c.misses, 1);
    assert_true(c.stopped);
    assert_memory_equal(back[0], values, sizeof(values));
    assert_memory_equal(back[1], first, sizeof(first));
    assert_memory_equal(back[2], second, sizeof(second));
}

static void a_checkpoint_without_a_validation_has_no_best(void **state)
{
    struct checkpoint c = checkpoint_of();
    json_t *settings = settings_of("0.01");
    struct status status = {0};

    (void)state;
    c.best = INFINITY;
    assert_true(checkpoint_write(&c, settings, in_folder("checkpoint"), &status));
    c.best = 0;
    assert_true(checkpoint_read(&c, settings, in_folder("checkpoint"), &status));
    assert_true(isinf(c.best));
    values[7] = NAN;
    assert_false(checkpoint_write(&c, settings, in_folder("checkpoint"), &status));
    assert_int_equal(status.code, STATUS_DATA);
    json_decref(settings);
}

static void another_runs_checkpoint_is_refused(void **state)
{
    struct checkpoint c = checkpoint_of();
    struct status status = {0};

    (void)state;
    write_checkpoint();
    assert_false(read_checkpoint(&c, "0.02", &status));
    assert_int_equal(status.code, STATUS_CONFIG);
    assert_non_null(strstr(status.message,
                           "/checkpoint: made with another 'lr': it was 0.01, and is "
                           "0.02; --restart begins anew"));
    c.n = N - 1;
    assert_false(read_checkpoint(&c, "0.01", &status));
    assert_non_null(strstr(status.message, "tensor 'values': must be F32 of shape [4999]"));
    unlink(in_folder("checkpoint"));
    assert_false(read_checkpoint(&c, "0.01", &status));
    assert_int_equal(status.code, STATUS_NO_INPUT);
}

/* -- the writer -- */

static void the_widest_types_come_first_then_names(void **state)
{
    const float numbers[4] = {1, -2, 0.5f, 65504};
    const uint8_t bytes[3] = {7, 8, 9};
    struct safetensors_write_tensor tensors[] = {
        {.name = "bytes", .n_dims = 1, .shape = {3}, .bytes = bytes},
        {.name = "b", .dtype = DTYPE_F32, .n_dims = 2, .shape = {2, 2}, .floats = numbers},
        {.name = "half", .dtype = DTYPE_F16, .n_dims = 1, .shape = {4}, .floats = numbers},
        {.name = "a", .dtype = DTYPE_F32, .n_dims = 1, .shape = {1}, .floats = numbers},
    };
    static const char header[] =
        "{\"__metadata__\":{\"format\":\"pt\"},"
        "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
        "\"b\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[4,20]},"
        "\"half\":{\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[20,28]},"
        "\"bytes\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[28,31]}}";
    static const uint8_t halves[] = {0x00, 0x3C, 0x00, 0xC0, 0x00, 0x38, 0xFF, 0x7B};
    struct status status = {0};
    struct mapped_file file;
    struct tensor_file back;
    size_t at;

    (void)state;
    assert_true(safetensors_write(in_folder("four"), tensors, 4, &status));
    assert_true(mapped_file_open(&file, in_folder("four"), &status));
    assert_int_equal(file.data[0] % 8, 0);
    assert_memory_equal(file.data + 8, header, sizeof(header) - 1);
    at = 8 + (sizeof(header) - 1 + 7) / 8 * 8;
    assert_int_equal(file.size, at + 31);
    assert_memory_equal(file.data + at + 4, numbers, sizeof(numbers)); /* little-endian machines */
    assert_memory_equal(file.data + at + 20, halves, sizeof(halves));
    assert_memory_equal(file.data + at + 28, bytes, sizeof(bytes));
    mapped_file_close(&file);
    assert_true(safetensors_open(&back, in_folder("four"), &status));
    assert_int_equal(back.n_entries, 4);
    tensor_file_close(&back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_adapter_comes_back_as_it_was),
        cmocka_unit_test(in_sixteen_bits_it_is_rounded),
        cmocka_unit_test(what_is_no_number_is_not_written),
        cmocka_unit_test(adapters_that_differ_by_layer_are_refused),
        cmocka_unit_test(a_checkpoint_comes_back_as_it_was),
        cmocka_unit_test(a_checkpoint_without_a_validation_has_no_best),
        cmocka_unit_test(another_runs_checkpoint_is_refused),
        cmocka_unit_test(the_widest_types_come_first_then_names),
    };
    struct status status = {0};
    int failed;

    golden_tiny_make(&folder);
    tiny_write_adapters(folder.data);
    if (!golden_device_open(&device, "scalar", 1))
        return 1;
    llama = model_open(in_folder("llama-f32"), device.backend, device.device, &status);
    golden_need(llama != NULL, "llama-f32", &status);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    model_close(llama);
    golden_device_close(&device);
    golden_tiny_remove(&folder);
    return failed;
}
