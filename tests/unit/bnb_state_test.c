/* What bitsandbytes saves beside a weight: read right, and refused where it does not fit. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "formats/bnb_state.h"
#include "formats/json_file.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

enum { ROWS = 3, COLS = 64, BLOCKS = 3, MOST = 12 };

#define STATE                                                                                      \
    "{\"quant_type\": \"nf4\", \"blocksize\": 64, \"dtype\": \"bfloat16\", \"shape\": [3, 64]"
#define PLAIN STATE "}"
#define NESTED                                                                                     \
    STATE ", \"nested_blocksize\": 256, \"nested_dtype\": \"float32\", \"nested_offset\": 0.5}"

static const float absmax[BLOCKS] = {0.25f, 0, 3}, nested_absmax[1] = {2};
static const uint8_t codes[ROWS * COLS / 2], absmax_8[BLOCKS] = {0, 255, 128};
static float map[NF4_MAP];

struct layer {
    struct tensor_entry entries[MOST];
    struct tensor_file file;
    char names[MOST][64];
    size_t n_names;
};

static void add(struct layer *l, const char *end, const char *type, const void *data, size_t n)
{
    struct tensor_entry *t = &l->entries[l->file.n_entries];
    const bool floats = strcmp(type, "F32") == 0;

    snprintf(l->names[l->n_names], sizeof(l->names[0]), "p.%s", end);
    *t = (struct tensor_entry){
        .name = l->names[l->n_names++],
        .dtype = floats ? DTYPE_F32 : DTYPE_NONE,
        .type_name = type,
        .n_dims = 1,
        .shape = {n, 1, 1, 1},
        .data = data,
        .size = floats ? n * 4 : n,
    };
    l->file.entries = l->entries;
    l->file.n_entries++;
}

/* A name is looked up by halving, so entries are sorted. */
static void sort(struct layer *l)
{
    struct status status = {0};

    assert_true(tensor_file_sort(&l->file, &status));
}

static void make(struct layer *l, bool nested, const char *state)
{
    *l = (struct layer){0};
    nf4_dynamic_map(map);
    add(l, "weight", "U8", codes, sizeof(codes));
    if (nested) {
        add(l, "weight.absmax", "U8", absmax_8, BLOCKS);
        add(l, "weight.nested_absmax", "F32", nested_absmax, 1);
        add(l, "weight.nested_quant_map", "F32", map, NF4_MAP);
    } else {
        add(l, "weight.absmax", "F32", absmax, BLOCKS);
    }
    add(l, "weight.quant_map", "F32", nf4_codes, NF4_CODES);
    add(l, "weight.quant_state.bitsandbytes__nf4", "U8", state, strlen(state));
    sort(l);
}

static struct tensor_entry *entry(struct layer *l, const char *name)
{
    struct tensor_entry *t = (struct tensor_entry *)(uintptr_t)tensor_file_find(&l->file, name);

    assert_non_null(t);
    return t;
}

static bool read(struct layer *l, struct bnb_state *s, float *got, struct status *status)
{
    assert_true(bnb_state_is(&l->file, entry(l, "p.weight")));
    return bnb_state_read(s, &l->file, entry(l, "p.weight"), NULL, status) &&
           bnb_state_absmax(s, got, status);
}

static void reads_absmax_of_floats_and_of_bytes(void **state)
{
    struct status status = {0};
    struct bnb_state s;
    struct layer l;
    float got[BLOCKS];
    bool used[MOST] = {false};

    (void)state;
    make(&l, false, PLAIN);
    assert_true(read(&l, &s, got, &status));
    assert_memory_equal(got, absmax, sizeof(absmax));
    assert_true(s.rows == ROWS && s.cols == COLS && s.block == 64 && s.n_blocks == BLOCKS);
    assert_int_equal(s.dtype, DTYPE_BF16);
    assert_memory_equal(s.values, nf4_codes, sizeof(s.values));
    assert_ptr_equal(s.codes, codes);
    make(&l, true, NESTED);
    assert_true(read(&l, &s, got, &status));
    assert_true(got[0] == map[0] * 2 + 0.5f && got[1] == 2.5f && got[2] == map[128] * 2 + 0.5f);
    assert_true(bnb_state_read(&s, &l.file, entry(&l, "p.weight"), used, &status));
    for (size_t i = 0; i < l.file.n_entries; i++)
        assert_int_equal(used[i], l.entries[i].name[8] == '.');
}

/* What is done to a good layer before it is read. */
static const struct {
    bool nested;
    const char *state;       /* NULL: as it should be */
    const char *name, *type; /* of a part that is changed or added; NULL: none */
    size_t n;                /* its elements; 0: it goes */
    float value;             /* and its first, of F32 */
    const char *message;
} bad[] = {
    {0, "", 0, 0, 0, 0,
     "quant_state.bitsandbytes__nf4: line 1, column 0: '[' or '{' expected near end of file"},
    {0, "[]", 0, 0, 0, 0, "quant_state.bitsandbytes__nf4: must be an object"},
    {0, STATE ", \"x\": 1}", 0, 0, 0, 0, "quant_state.bitsandbytes__nf4: x: unknown key"},
    {0, STATE ", \"dtype\": \"float16\"}", 0, 0, 0, 0,
     "quant_state.bitsandbytes__nf4: line 1, column 85: duplicate object key"},
    {0, "{\"quant_type\": \"fp4\"}", 0, 0, 0, 0,
     "quant_state.bitsandbytes__nf4: quant_type: 'fp4' is not supported, only 'nf4'"},
    {0, "{\"blocksize\": 0}", 0, 0, 0, 0,
     "quant_state.bitsandbytes__nf4: blocksize: must be an integer from 32 to 1048576, is 0"},
    {0, "{\"blocksize\": -64}", 0, 0, 0, 0,
     "quant_state.bitsandbytes__nf4: blocksize: must be an integer from 32 to 1048576, is -64"},
    {0, "{\"blocksize\": 96, \"dtype\": \"float16\", \"shape\": [3, 64]}", 0, 0, 0, 0,
     "quant_state.bitsandbytes__nf4: blocksize: must be a power of two, is 96"},
    {0, "{\"blocksize\": 64}", 0, 0, 0, 0, "quant_state.bitsandbytes__nf4: dtype: missing"},
    {0, "{\"blocksize\": 64, \"dtype\": \"float64\"}", 0, 0, 0, 0,
     "quant_state.bitsandbytes__nf4: dtype: 'float64' is not supported, only float16, bfloat16 and "
     "float32"},
    {0, "{\"blocksize\": 64, \"dtype\": \"float16\"}", 0, 0, 0, 0,
     "quant_state.bitsandbytes__nf4: shape: must be [rows, columns]"},
    {0, "{\"blocksize\": 64, \"dtype\": \"float16\", \"shape\": [3, -64]}", 0, 0, 0, 0,
     "quant_state.bitsandbytes__nf4: shape: must be [rows, columns]"},
    {0, "{\"blocksize\": 64, \"dtype\": \"float16\", \"shape\": [3, 9223372036854775807]}", 0, 0, 0,
     0, "quant_state.bitsandbytes__nf4: shape: must be [rows, columns]"},
    {0, "{\"blocksize\": 64, \"dtype\": \"float16\", \"shape\": [3, 65]}", 0, 0, 0, 0,
     "quant_state.bitsandbytes__nf4: shape: rows of 65 columns are not supported, only of "
     "multiples of 32"},
    {0, "{\"blocksize\": 64, \"dtype\": \"float16\", \"shape\": [4, 64]}", 0, 0, 0, 0,
     "96 bytes, but its quant_state has shape [4, 64]: 128 bytes"},
    {0, "{\"blocksize\": 32, \"dtype\": \"float16\", \"shape\": [3, 64]}", 0, 0, 0, 0,
     "absmax: 3 elements, must be 6"},
    {1, STATE ", \"nested_dtype\": \"float32\"}", 0, 0, 0, 0,
     "quant_state.bitsandbytes__nf4: nested_blocksize: missing"},
    {1, STATE ", \"nested_blocksize\": 256, \"nested_dtype\": \"float16\", \"nested_offset\": 0}",
     0, 0, 0, 0,
     "quant_state.bitsandbytes__nf4: nested_dtype: 'float16' is not supported, only 'float32'"},
    {1, STATE ", \"nested_blocksize\": 256, \"nested_dtype\": \"float32\"}", 0, 0, 0, 0,
     "quant_state.bitsandbytes__nf4: nested_offset: missing"},
    {1, STATE ", \"nested_blocksize\": 2, \"nested_dtype\": \"float32\", \"nested_offset\": 0}", 0,
     0, 0, 0, "nested_absmax: 1 elements, must be 2"},
    {1, PLAIN, 0, 0, 0, 0, "absmax: type U8, must be F32"},
    {0, NESTED, 0, 0, 0, 0, "absmax: type F32, must be U8"},
    {0, NULL, "weight.quant_state.bitsandbytes__nf4", "U8", 0, 0,
     "quant_state.bitsandbytes__nf4: missing"},
    {0, NULL, "weight.quant_state.bitsandbytes__fp4", "U8", 2, 0,
     "has two quant_states, of nf4 and of fp4"},
    {0, NULL, "weight.quant_state.other", "U8", 2, 0,
     "quant_state.other: is no part of a quantised weight"},
    {0, NULL, "SCB", "F32", 3, 0, "quantised by llm.int8() (it has an SCB), only nf4 is supported"},
    {0, NULL, "weight.absmax", "F32", 0, 0, "absmax: missing"},
    {0, NULL, "weight.absmax", "F32", 2, 0, "absmax: 2 elements, must be 3"},
    {0, NULL, "weight.absmax", "F32", 3, -1,
     "absmax: element 0 must be finite and 0 or more, is -1"},
    {0, NULL, "weight.absmax", "F32", 3, NAN,
     "absmax: element 0 must be finite and 0 or more, is nan"},
    {0, NULL, "weight.absmax", "F32", 3, INFINITY,
     "absmax: element 0 must be finite and 0 or more, is inf"},
    {0, NULL, "weight.quant_map", "F32", 0, 0, "quant_map: missing"},
    {0, NULL, "weight.quant_map", "F32", 15, 0, "quant_map: 15 elements, must be 16"},
    {0, NULL, "weight.quant_map", "F32", 16, NAN,
     "quant_map: element 0 must be from -1 to 1, is nan"},
    {0, NULL, "weight.quant_map", "F32", 16, 2, "quant_map: element 0 must be from -1 to 1, is 2"},
    {0, NULL, "weight.quant_map", "U8", 16, 0, "quant_map: type U8, must be F32"},
    {0, NULL, "weight.nested_absmax", "F32", 1, 0,
     "nested_absmax: is there, but the quant_state has no nested_blocksize"},
    {1, NULL, "weight.nested_absmax", "F32", 0, 0, "nested_absmax: missing"},
    {1, NULL, "weight.nested_absmax", "F32", 1, -2,
     "nested_absmax: element 0 must be finite and 0 or more, is -2"},
    {1, NULL, "weight.nested_quant_map", "F32", 255, 0,
     "nested_quant_map: 255 elements, must be 256"},
    {1, NULL, "weight.nested_quant_map", "F32", 256, INFINITY,
     "nested_quant_map: element 0 must be from -1 to 1, is inf"},
};

static void remove_part(struct layer *l, const char *name)
{
    struct tensor_entry *t = entry(l, name);

    memmove(t, t + 1, (size_t)(l->entries + l->file.n_entries - (t + 1)) * sizeof(*t));
    l->file.n_entries--;
}

static void refuses_what_does_not_fit(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(bad); i++) {
        struct status status = {0};
        float got[BLOCKS], numbers[NF4_MAP] = {bad[i].value};
        struct bnb_state s;
        struct layer l;
        char name[64];

        make(&l, bad[i].nested, bad[i].state ? bad[i].state : bad[i].nested ? NESTED : PLAIN);
        if (bad[i].name) {
            snprintf(name, sizeof(name), "p.%s", bad[i].name);
            if (tensor_file_find(&l.file, name))
                remove_part(&l, name);
            if (bad[i].n > 0)
                add(&l, bad[i].name, bad[i].type, numbers, bad[i].n);
            sort(&l);
        }
        assert_false(read(&l, &s, got, &status));
        assert_int_equal(status.code, STATUS_CONFIG);
        assert_string_equal(status.message, bad[i].message);
    }
}

static void reads_quantization_config(void **state)
{
    static const char head[] = "{\"quant_method\":\"bitsandbytes\",\"load_in_4bit\":true,";
    static const struct {
        const char *json, *message; /* NULL: fine */
    } configs[] = {
        {"\"bnb_4bit_quant_type\":\"nf4\",\"load_in_8bit\":false,\"_load_in_4bit\":true,"
         "\"bnb_4bit_compute_dtype\":\"bfloat16\",\"bnb_4bit_quant_storage\":\"uint8\","
         "\"bnb_4bit_use_double_quant\":true,\"llm_int8_skip_modules\":[\"lm_head\"],"
         "\"llm_int8_threshold\":6.0,\"other\":null}",
         NULL},
        {"\"bnb_4bit_quant_type\":\"fp4\"}",
         "bnb_4bit_quant_type: 'fp4' is not supported, only 'nf4'"},
        {"\"bnb_4bit_quant_storage\":\"uint8\"}",
         "bnb_4bit_quant_type: 'fp4' is not supported, only 'nf4'"},
        {"\"bnb_4bit_quant_type\":\"nf4\",\"bnb_4bit_quant_storage\":\"bfloat16\"}",
         "bnb_4bit_quant_storage: 'bfloat16' is not supported, only 'uint8'"},
        {"\"load_in_8bit\":true}",
         "load_in_8bit: 8-bit weights (llm.int8()) are not supported, only nf4"},
        {"\"bnb_4bit_quant_type\":\"nf4\",\"other\":1}", "other: is not supported"},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(configs); i++) {
        struct status status = {0};
        char json[512], message[256];
        json_t *root;

        snprintf(json, sizeof(json), "%s%s", head, configs[i].json);
        root = json_file_parse(text_of(json), JSON_FILE_EXACT, &status);
        assert_non_null(root);
        assert_int_equal(bnb_state_check_config(root, &status), configs[i].message == NULL);
        snprintf(message, sizeof(message), "quantization_config: %s", configs[i].message);
        if (configs[i].message)
            assert_string_equal(status.message, message);
        json_decref(root);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_absmax_of_floats_and_of_bytes),
        cmocka_unit_test(refuses_what_does_not_fit),
        cmocka_unit_test(reads_quantization_config),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
