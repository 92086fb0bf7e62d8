/* Adapters on the device: what is read of good folders, and why bad ones are refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/memory.h"
#include "file_bytes.h"
#include "formats/json_file.h"
#include "formats/safetensors.h"
#include "model/adapter.h"
#include "tests/golden/golden.h"
#include "tests/golden/tiny.h"

#define CONFIG_FILE "adapter_config.json"
#define WEIGHTS_FILE "adapter_model.safetensors"

static struct buf folder; /* of the small models and adapters */
static struct golden_device device;
static struct model *llama; /* 3 layers, dim 64, 4 heads of 16, ffn 112, 259 tokens, tied */

static struct model *open_model(const char *name)
{
    struct status status = {0};
    struct buf path = {0};
    struct model *model;

    buf_printf(&path, "%s/%s", folder.data, name);
    model = model_open(path.data, device.backend, device.device, &status);
    golden_need(model != NULL, name, &status);
    buf_release(&path);
    return model;
}

static struct adapter *open_adapter(const char *name, const struct model *model)
{
    struct status status = {0};
    struct buf path = {0};
    struct adapter *adapter;

    buf_printf(&path, "%s/%s", folder.data, name);
    adapter = adapter_open(path.data, model, &status);
    golden_need(adapter != NULL, name, &status);
    buf_release(&path);
    return adapter;
}

static bool near(double a, double b)
{
    return fabs(a - b) < 1e-7;
}

static void modules_ranks_and_scales_are_as_the_config_has_them(void **state)
{
    struct adapter *a = open_adapter("patterns", llama);

    (void)state;
    assert_int_equal(a->n_modules, 21);
    assert_int_equal(a->min_rank, 3);
    assert_int_equal(a->max_rank, 33);
    assert_int_equal(a->layers[0].q_proj.rank, 3);
    assert_true(near((double)a->layers[0].q_proj.scale, 7.0 / 3));
    assert_true(near((double)a->layers[1].q_proj.scale, 12.0 / 3));
    assert_int_equal(a->layers[2].v_proj.rank, 33);
    assert_true(near((double)a->layers[2].v_proj.scale, 12.0 / 33));
    assert_int_equal(a->layers[1].up_proj.rank, 17);
    assert_true(near((double)a->layers[1].up_proj.scale, 20.0 / 17));
    assert_true(near((double)a->layers[1].down_proj.scale, 12.0 / 17));
    assert_null(a->lm_head.a);
    adapter_close(a);

    a = open_adapter("layers-pattern", llama);
    assert_int_equal(a->n_modules, 2);
    assert_null(a->layers[0].up_proj.a);
    assert_non_null(a->layers[1].up_proj.a);
    assert_null(a->layers[1].q_proj.b);
    assert_true(near((double)a->layers[1].up_proj.scale, 2)); /* 6 / sqrt(9) */
    adapter_close(a);

    a = open_adapter("head-tied", llama);
    assert_int_equal(a->n_modules, 1);
    assert_non_null(a->lm_head.a);
    adapter_close(a);
}

/* Rows of a matrix on the device, by its own operation. */
static void read_rows(const struct matrix *matrix, int n, size_t cols, float *rows)
{
    struct status status = {0};
    float *y = device.backend->alloc(device.device, (size_t)n * cols, &status);
    int32_t *ids = memory_zeroed((size_t)n, sizeof(*ids));

    for (int i = 0; i < n; i++)
        ids[i] = i;
    device.backend->embed(device.device, y, matrix, ids, n);
    assert_true(device.backend->finish(device.device, &status));
    device.backend->to_host(device.device, rows, y, (size_t)n * cols);
    device.backend->free(device.device, y);
    free(ids);
}

/* Also where the base is a GGUF file, whose own rows are in another order: the base's are brought
 * into Hugging Face's. */
static void matrices_are_those_of_the_file(void **state)
{
    struct model *gguf = open_model("llama-q4_1.gguf");
    struct adapter *a = open_adapter("gguf", gguf);
    float got[192 * 16], *want;
    size_t size;
    struct tiny_model m = {.name = "gguf"};
    struct tiny_tensor *b =
        tiny_add(&m, TINY_F32, 192, 16, tiny_gain(0.3, 16),
                 "base_model.model.model.layers.1.self_attn.q_proj.lora_B.weight");

    (void)state;
    want = (float *)(void *)tiny_tensor_bytes(b, &size);
    assert_int_equal(size, sizeof(got));
    read_rows(a->layers[1].q_proj.b, 192, 16, got);
    assert_memory_equal(got, want, size);
    free(want);
    adapter_close(a);
    model_close(gguf);
}

static void names_tell_adapters_apart(void **state)
{
    struct adapter *a = open_adapter("layers", llama), *b = open_adapter("layers", llama);

    (void)state;
    assert_string_equal(a->name, b->name);
    assert_memory_equal(a->name, "layers@", 7);
    assert_int_equal(strlen(a->name), 7 + 16);
    adapter_close(a);
    adapter_close(b);
}

static void another_base_is_a_warning(void **state)
{
    struct adapter *a = open_adapter("old", llama); /* made for tiny/llama-f32 */
    struct model *mistral = open_model("mistral-bf16");

    (void)state;
    assert_int_equal(a->warnings.len, 0);
    adapter_close(a);
    a = open_adapter("attention", mistral);
    assert_string_equal(a->warnings.data,
                        "made for the model 'tiny/mistral-f32', used with 'mistral-bf16'\n");
    adapter_close(a);
    a = open_adapter("suffixes", mistral);
    assert_string_equal(a->warnings.data, "fan_in_fan_out is true, but these are linear layers: "
                                          "taken as false, as PEFT does\n");
    adapter_close(a);
    model_close(mistral);
}

/* ---- bad folders, all for the small Llama ------------------------------------------------- */

#define PREFIX "base_model.model.model.layers.0.self_attn."
#define TENSOR(name, dtype, shape, begin, end)                                                     \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end \
    "]}"
#define A(name) TENSOR(PREFIX name ".lora_A.weight", "F32", "[2,64]", 0, 512)
#define B(name) TENSOR(PREFIX name ".lora_B.weight", "F32", "[64,2]", 512, 1024)
#define GOOD A("q_proj") "," B("q_proj")
#define CONFIG(more)                                                                               \
    "{\"peft_type\":\"LORA\",\"r\":2,\"lora_alpha\":2,\"layers_to_transform\":0,"                  \
    "\"target_modules\":[\"q_proj\"]" more "}"

static bool open_bytes(const char *config, const char *header, size_t n_data, const uint32_t *data,
                       struct buf *warnings, struct status *status)
{
    char dir[64];
    struct buf file = {0};
    struct adapter *adapter;

    make_folder(dir);
    if (config)
        write_text(dir, CONFIG_FILE, config);
    put_safetensors(&file, header, n_data);
    if (data)
        memcpy(file.data + 8 + strlen(header), data, 4);
    if (header[0])
        write_file(dir, WEIGHTS_FILE, file.data, file.len);
    adapter = adapter_open(dir, llama, status);
    if (adapter && warnings)
        buf_append_text(warnings, buf_text(&adapter->warnings));
    adapter_close(adapter);
    remove_file(dir, CONFIG_FILE);
    remove_file(dir, WEIGHTS_FILE);
    rmdir(dir);
    buf_release(&file);
    return adapter != NULL;
}

static const struct {
    const char *config, *header, *message; /* the message's end, behind the folder's path */
    size_t n_data;
} bad[] = {
    {CONFIG(""), "{" A("q_proj") "}",
     "/" WEIGHTS_FILE ": tensor '" PREFIX "q_proj.lora_B.weight' is missing, but the adapter's "
     "config targets its module",
     512},
    {CONFIG(""), "{" TENSOR("x", "F32", "[2,64]", 0, 512) "}",
     "/" WEIGHTS_FILE ": tensor '" PREFIX "q_proj.lora_A.weight' is missing, but the adapter's "
     "config targets its module",
     512},
    {CONFIG(",\"rank_pattern\":{\"q_proj\":4}"), "{" GOOD "}",
     "/" WEIGHTS_FILE ": tensor '" PREFIX "q_proj.lora_A.weight': shape [2, 64], must be [4, 64]",
     1024},
    {CONFIG(""),
     "{" TENSOR(PREFIX "q_proj.lora_A.weight", "F32", "[0,64]", 0,
                0) "," TENSOR(PREFIX "q_proj.lora_B.weight", "F32", "[64,0]", 0, 0) "}",
     "/" WEIGHTS_FILE ": tensor '" PREFIX "q_proj.lora_A.weight': shape [0, 64], must be [2, 64]",
     0},
    {CONFIG(""),
     "{" A("q_proj") "," TENSOR(PREFIX "q_proj.lora_B.weight", "F32", "[2,64]", 512, 1024) "}",
     "/" WEIGHTS_FILE ": tensor '" PREFIX "q_proj.lora_B.weight': shape [2, 64], must be [64, 2]",
     1024},
    {CONFIG(""),
     "{" A("q_proj") "," TENSOR(PREFIX "q_proj.lora_B.weight", "I32", "[64,2]", 512, 1024) "}",
     "/" WEIGHTS_FILE ": tensor '" PREFIX "q_proj.lora_B.weight': type I32 is not supported in an "
     "adapter",
     1024},
    {CONFIG(""),
     "{" GOOD "," TENSOR(PREFIX "v_proj.lora_A.weight", "F32", "[2,64]", 1024, 1536) "}",
     "/" WEIGHTS_FILE ": tensor '" PREFIX "v_proj.lora_A.weight': the adapter's config does not "
     "target its module",
     1536},
    {CONFIG(""),
     "{" GOOD "," TENSOR(PREFIX "q_proj.lora_C.weight", "F32", "[2,64]", 1024, 1536) "}",
     "/" WEIGHTS_FILE ": tensor '" PREFIX "q_proj.lora_C.weight': is neither lora_A.weight nor "
     "lora_B.weight",
     1536},
    {CONFIG(""),
     "{" GOOD "," TENSOR("base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight", "F32",
                         "[2,64]", 1024, 1536) "}",
     "/" WEIGHTS_FILE ": tensor 'base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight': "
     "the model (a llama of 3 layers) has no such place",
     1536},
    {CONFIG(""),
     "{" GOOD "," TENSOR(PREFIX "q_proj.lora_magnitude_vector", "F32", "[64]", 1024, 1280) "}",
     "/" WEIGHTS_FILE ": tensor '" PREFIX "q_proj.lora_magnitude_vector': DoRA: not supported",
     1280},
    {CONFIG(""), "{" GOOD "," TENSOR(PREFIX "q_proj.lora_B.bias", "F32", "[64]", 1024, 1280) "}",
     "/" WEIGHTS_FILE ": tensor '" PREFIX "q_proj.lora_B.bias': biases: not supported", 1280},
    {CONFIG(""),
     "{" GOOD "," TENSOR("base_model.model.model.embed_tokens.lora_embedding_A", "F32", "[64]",
                         1024, 1280) "}",
     "/" WEIGHTS_FILE ": tensor 'base_model.model.model.embed_tokens.lora_embedding_A': LoRA of "
     "embeddings: not supported",
     1280},
    {CONFIG(""),
     "{" GOOD
     "," TENSOR("base_model.model.lm_head.modules_to_save.weight", "F32", "[64]", 1024, 1280) "}",
     "/" WEIGHTS_FILE ": tensor 'base_model.model.lm_head.modules_to_save.weight': modules that "
     "are saved whole: not supported",
     1280},
    {CONFIG(""),
     "{" GOOD
     "," TENSOR("base_model.model.lm_head.base_layer.weight", "F32", "[259,64]", 1024, 67328) "}",
     "/" WEIGHTS_FILE ": tensor 'base_model.model.lm_head.base_layer.weight': differs from the "
     "base model's own: not supported",
     67328},
    {CONFIG(""),
     "{" GOOD
     "," TENSOR("base_model.model.model.embed_tokens.weight", "F32", "[260,64]", 1024, 67584) "}",
     "/" WEIGHTS_FILE ": tensor 'base_model.model.model.embed_tokens.weight': shape [260, 64], "
     "must be [259, 64]",
     67584},
    {CONFIG(""), "{" GOOD "}",
     "/" WEIGHTS_FILE ": tensor '" PREFIX "q_proj.lora_B.weight': ends at 1024, but the data has "
     "1000 bytes: is the file cut short?",
     1000},
    {CONFIG(",\"exclude_modules\":\"(\""), "{" GOOD "}",
     "/" CONFIG_FILE ": exclude_modules '(': pattern: missing closing parenthesis", 1024},
    {CONFIG(",\"use_dora\":true"), "{" GOOD "}", "/" CONFIG_FILE ": use_dora: DoRA: not supported",
     1024},
    {"{\"peft_type\":\"LORA\",\"target_modules\":[\"c_attn\"]}", "{}",
     "/" CONFIG_FILE ": target_modules: no module of the model fits", 0},
    {"{\"peft_type\":\"LORA\",\"target_modules\":[\"embed_tokens\"]}", "{}",
     "/" CONFIG_FILE ": target_modules: has the embeddings ('model.embed_tokens'): not supported",
     0},
    {"{\"peft_type\":\"LORA\",\"target_modules\":\"(([a-z.]+)+)+[XY]\"}", "{}",
     "/" CONFIG_FILE ": target_modules: pattern: takes too many steps on the name of a module", 0},
    {"{\"peft_type\":\"LORA\",\"rank_pattern\":{\"(([a-z.]+)+)+[XY]\":1}}", "{}",
     "/" CONFIG_FILE ": rank_pattern: pattern: takes too many steps on the name of a module", 0},
    {NULL, "{}", "/" CONFIG_FILE ": No such file or directory", 0},
    {CONFIG(""), "", "/" WEIGHTS_FILE ": No such file or directory", 0},
};

static void bad_folders_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct status status = {0};
        const char *at;

        if (open_bytes(bad[i].config, bad[i].header, bad[i].n_data, NULL, NULL, &status))
            fail_msg("%s", bad[i].message);
        at = strstr(status.message, "/adapter_");
        assert_string_equal(at ? at : status.message, bad[i].message);
    }
}

static void values_must_be_finite(void **state)
{
    static const uint32_t nan = 0x7FC00000, infinity = 0xFF800000;
    struct status status = {0};

    (void)state;
    assert_true(open_bytes(CONFIG(""), "{" GOOD "}", 1024, NULL, NULL, &status));
    assert_false(open_bytes(CONFIG(""), "{" GOOD "}", 1024, &nan, NULL, &status));
    assert_non_null(strstr(status.message, "q_proj.lora_A.weight': value 0 is NaN"));
    assert_false(open_bytes(CONFIG(""), "{" GOOD "}", 1024, &infinity, NULL, &status));
    assert_non_null(strstr(status.message, "q_proj.lora_A.weight': value 0 is infinite"));
}

/* The name of an adapter of zeros but for element i. */
static void name_of_bytes(const char *config_text, size_t i, const uint32_t *element,
                          char name[IDENTITY_SIZE])
{
    static const char header[] = "{" GOOD "}";
    struct status status = {0};
    struct peft_config config;
    struct tensor_file file;
    struct adapter *adapter;
    struct buf bytes = {0};

    put_safetensors(&bytes, header, 1024);
    if (element)
        memcpy(bytes.data + 8 + strlen(header) + 4 * i, element, 4);
    assert_true(peft_config_parse(
        &config, json_file_parse(text_of(config_text), JSON_FILE_EXACT, &status), &status));
    assert_true(safetensors_read(&file, (const uint8_t *)bytes.data, bytes.len, &status));
    adapter = adapter_make("folder", &config, &file, llama, &status);
    golden_need(adapter != NULL, "bytes", &status);
    memcpy(name, adapter->name, IDENTITY_SIZE);
    adapter_close(adapter);
    tensor_file_close(&file);
    peft_config_release(&config);
    buf_release(&bytes);
}

/* One bit anywhere, or another scale of the same matrices, is another adapter. */
static void every_byte_is_in_the_name(void **state)
{
    static const uint32_t one = 0x3F800000;
    char first[IDENTITY_SIZE], other[IDENTITY_SIZE];

    (void)state;
    name_of_bytes(CONFIG(""), 0, NULL, first);
    name_of_bytes(CONFIG(",\"use_rslora\":true"), 0, NULL, other);
    assert_string_not_equal(strchr(first, '@'), strchr(other, '@'));
    for (size_t i = 0; i < 256; i++) { /* of A and B, 128 each */
        name_of_bytes(CONFIG(""), i, &one, other);
        assert_string_not_equal(strchr(first, '@'), strchr(other, '@'));
    }
}

static void pickled_weights_are_refused_by_name(void **state)
{
    struct status status = {0};
    char dir[64];

    (void)state;
    make_folder(dir);
    write_text(dir, CONFIG_FILE, CONFIG(""));
    write_text(dir, "adapter_model.bin", "PK");
    assert_null(adapter_open(dir, llama, &status));
    assert_non_null(strstr(status.message, "/adapter_model.bin: not supported, as it is a program: "
                                           "save the adapter as adapter_model.safetensors"));
    remove_file(dir, CONFIG_FILE);
    remove_file(dir, "adapter_model.bin");
    rmdir(dir);
}

static void an_alpha_that_old_peft_read_otherwise_is_a_warning(void **state)
{
    struct status status = {0};
    struct buf warnings = {0};
    static const char patterns[] =
        CONFIG(",\"rank_pattern\":{\"q_proj\":2},\"alpha_pattern\":{\"self_attn.q_proj\":9}");
    static const char dated[] =
        CONFIG(",\"rank_pattern\":{\"q_proj\":2},\"alpha_pattern\":{\"self_attn.q_proj\":9},"
               "\"peft_version\":\"0.21.2\"");

    (void)state;
    assert_true(open_bytes(patterns, "{" GOOD "}", 1024, NULL, &warnings, &status));
    assert_string_equal(warnings.data, "alpha of 'model.layers.0.self_attn.q_proj' is 9; PEFT "
                                       "before 0.14 made 2 of the same alpha_pattern\n");
    buf_reset(&warnings);
    assert_true(open_bytes(dated, "{" GOOD "}", 1024, NULL, &warnings, &status));
    assert_int_equal(warnings.len, 0);
    buf_release(&warnings);
}

/* PEFT saves the output's weights with an adapter of it: a copy of the base's is passed over. */
static void a_copy_of_the_bases_weights_is_passed_over(void **state)
{
    static const char header[] = "{" GOOD "," TENSOR("base_model.model.lm_head.base_layer.weight",
                                                     "F32", "[259,64]", 1024, 67328) "}";
    float *copy = memory_zeroed((size_t)259 * 64, sizeof(*copy));
    struct buf file = {0}, warnings = {0};
    struct status status = {0};
    struct adapter *adapter;
    char dir[64];

    (void)state;
    read_rows(llama->weights.lm_head, 259, 64, copy);
    make_folder(dir);
    write_text(dir, CONFIG_FILE, CONFIG(""));
    put_safetensors(&file, header, 67328);
    for (int step = 0; step < 2; step++) {
        memcpy(file.data + 8 + sizeof(header) - 1 + 1024, copy, (size_t)259 * 64 * sizeof(*copy));
        write_file(dir, WEIGHTS_FILE, file.data, file.len);
        adapter = adapter_open(dir, llama, &status);
        golden_need(adapter != NULL, "copy", &status);
        buf_reset(&warnings);
        buf_append_text(&warnings, buf_text(&adapter->warnings));
        adapter_close(adapter);
        if (step == 0)
            assert_int_equal(warnings.len, 0);
        for (size_t i = 0; i < (size_t)259 * 64; i++) /* as if it had been quantised */
            copy[i] *= i % 2 ? 1.05f : 0.95f;
    }
    assert_string_equal(warnings.data, "tensor 'base_model.model.lm_head.base_layer.weight': "
                                       "differs by 5 % from the base model's own, which is used\n");
    remove_file(dir, CONFIG_FILE);
    remove_file(dir, WEIGHTS_FILE);
    rmdir(dir);
    buf_release(&file);
    buf_release(&warnings);
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modules_ranks_and_scales_are_as_the_config_has_them),
        cmocka_unit_test(matrices_are_those_of_the_file),
        cmocka_unit_test(names_tell_adapters_apart),
        cmocka_unit_test(another_base_is_a_warning),
        cmocka_unit_test(bad_folders_are_refused),
        cmocka_unit_test(values_must_be_finite),
        cmocka_unit_test(every_byte_is_in_the_name),
        cmocka_unit_test(pickled_weights_are_refused_by_name),
        cmocka_unit_test(an_alpha_that_old_peft_read_otherwise_is_a_warning),
        cmocka_unit_test(a_copy_of_the_bases_weights_is_passed_over),
    };
    int n_failed;

    golden_tiny_make(&folder);
    tiny_write_adapters(folder.data);
    if (!golden_device_open(&device, "scalar", 2))
        return 1;
    llama = open_model("llama-f32");
    n_failed = cmocka_run_group_tests_name("adapter", tests, NULL, NULL);
    model_close(llama);
    golden_device_close(&device);
    golden_tiny_remove(&folder);
    return n_failed;
}
