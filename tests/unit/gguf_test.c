/* GGUF: what is read, value by value and tensor by tensor; gguf_bad_test.c has what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "file_bytes.h"
#include "formats/gguf.h"

/* ggml's numbers for the types of tensors. */
enum { T_F32 = 0, T_Q4_1 = 3, T_Q4_K = 12, T_BF16 = 30 };

/* Every kind of value, and tensors of 1 to 3 dimensions with padding between them. */
static void put_good(struct buf *b)
{
    put_gguf_start(b, 4, 12);
    put_key_u32(b, "u32", 4000000000);
    put_key(b, "i32", BYTES_I32);
    put_u32(b, (uint32_t)-5);
    put_key(b, "u64", BYTES_U64);
    put_u64(b, UINT64_C(1) << 40);
    put_key(b, "u64 max", BYTES_U64);
    put_u64(b, UINT64_MAX);
    put_key_f32(b, "f32", 0.5f);
    put_key(b, "f64", BYTES_F64);
    put_u64(b, UINT64_C(0x3FD0000000000000)); /* 0.25 */
    put_key(b, "bool", BYTES_BOOL);
    buf_append_char(b, 1);
    put_key_string(b, "string", "a b");
    put_key_array(b, "strings", BYTES_STRING, 3);
    put_string(b, "one");
    put_string(b, "");
    put_string(b, "three");
    put_key_array(b, "ints", BYTES_I32, 2);
    put_u32(b, 1);
    put_u32(b, (uint32_t)-2);
    put_key_array(b, "floats", BYTES_F32, 2);
    put_u32(b, 0x3F800000);
    put_u32(b, 0xC0000000);
    put_key_array(b, "empty", BYTES_STRING, 0);
    put_tensor(b, "q", 64, 3, T_Q4_1, 0);    /* 120 bytes, padded to 128 */
    put_tensor(b, "k", 256, 2, T_Q4_K, 128); /* 288 */
    put_string(b, "norm");
    put_u32(b, 1);
    put_u64(b, 5);
    put_u32(b, T_F32);
    put_u64(b, 416); /* 20, padded to 32 */
    put_string(b, "cube");
    put_u32(b, 3);
    put_u64(b, 3);
    put_u64(b, 2);
    put_u64(b, 1);
    put_u32(b, T_BF16);
    put_u64(b, 448); /* 12, not padded at the end */
    put_padding(b, 32);
    put_zeros(b, 460);
}

static void open_good(struct buf *bytes, struct gguf *gguf)
{
    struct status status = {0};

    *bytes = (struct buf){0};
    put_good(bytes);
    assert_true(gguf_read(gguf, (const uint8_t *)bytes->data, bytes->len, &status));
}

static void assert_entry(const struct gguf *gguf, const char *name, enum dtype dtype,
                         const char *type_name, int n_dims, size_t rows, size_t cols,
                         const char *data, size_t size)
{
    const struct tensor_entry *entry = tensor_file_find(&gguf->tensors, name);

    assert_non_null(entry);
    assert_int_equal(entry->dtype, dtype);
    assert_string_equal(entry->type_name, type_name);
    assert_int_equal(entry->n_dims, n_dims);
    assert_int_equal(entry->shape[0], rows);
    assert_int_equal(entry->shape[1], cols);
    assert_ptr_equal(entry->data, data);
    assert_int_equal(entry->size, size);
}

static void turns_shapes_round_and_places_padded_tensors(void **state)
{
    struct buf bytes;
    struct gguf gguf;
    const char *data;

    (void)state;
    open_good(&bytes, &gguf);
    data = bytes.data + bytes.len - 460;
    assert_int_equal(gguf.tensors.n_entries, 4);
    assert_entry(&gguf, "q", DTYPE_Q4_1, "Q4_1", 2, 3, 64, data, 120);
    assert_entry(&gguf, "k", DTYPE_Q4_K, "Q4_K", 2, 2, 256, data + 128, 288);
    assert_entry(&gguf, "norm", DTYPE_F32, "F32", 1, 5, 1, data + 416, 20);
    assert_entry(&gguf, "cube", DTYPE_BF16, "BF16", 3, 1, 2, data + 448, 12);
    assert_int_equal(tensor_file_find(&gguf.tensors, "cube")->shape[2], 3);
    gguf_close(&gguf);
    buf_release(&bytes);
}

static void reads_integers_of_any_width(void **state)
{
    struct buf bytes;
    struct gguf gguf;
    struct status status = {0};
    uint64_t value = 7;
    bool found;

    (void)state;
    open_good(&bytes, &gguf);
    assert_true(gguf_uint(&gguf, "u32", &value, &found, &status));
    assert_true(found);
    assert_int_equal(value, 4000000000);
    assert_true(gguf_uint(&gguf, "u64", &value, NULL, &status));
    assert_int_equal(value, UINT64_C(1) << 40);
    assert_true(gguf_uint(&gguf, "absent", &value, &found, &status));
    assert_false(found);
    assert_int_equal(value, UINT64_C(1) << 40);
    assert_false(gguf_uint(&gguf, "absent", &value, NULL, &status));
    assert_string_equal(status.message, "absent: missing");
    assert_false(gguf_uint(&gguf, "i32", &value, NULL, &status));
    assert_string_equal(status.message, "i32: must be an integer from 0 to 2^63 - 1");
    assert_false(gguf_uint(&gguf, "u64 max", &value, NULL, &status));
    assert_string_equal(status.message, "u64 max: must be an integer from 0 to 2^63 - 1");
    assert_false(gguf_uint(&gguf, "string", &value, NULL, &status));
    assert_string_equal(status.message, "string: must be an integer, is a string");
    assert_false(gguf_uint(&gguf, "ints", &value, NULL, &status));
    assert_string_equal(status.message,
                        "ints: must be an integer, is an array of which each is an integer");
    assert_int_equal(status.code, STATUS_CONFIG);
    gguf_close(&gguf);
    buf_release(&bytes);
}

static void reads_integers_of_each_type(void **state)
{
    static const struct {
        uint32_t type;
        int size;
        uint64_t bits, value;
        bool negative; /* no count: refused */
    } ints[] = {
        {BYTES_U8, 1, 0xFF, 0xFF, false},
        {BYTES_I8, 1, 0x7F, 0x7F, false},
        {BYTES_I8, 1, 0xFF, 0, true},
        {BYTES_U16, 2, 0xFFFE, 0xFFFE, false},
        {BYTES_I16, 2, 0x7FFE, 0x7FFE, false},
        {BYTES_I16, 2, 0xFFFE, 0, true},
        {BYTES_I64, 8, INT64_MAX, INT64_MAX, false},
        {BYTES_I64, 8, UINT64_MAX, 0, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(ints) / sizeof(ints[0]); i++) {
        struct buf bytes = {0};
        struct gguf gguf;
        struct status status = {0};
        uint64_t value = 0;

        put_gguf_start(&bytes, 0, 1);
        put_key(&bytes, "n", ints[i].type);
        for (int k = 0; k < ints[i].size; k++)
            buf_append_char(&bytes, (char)(ints[i].bits >> 8 * k));
        assert_true(gguf_read(&gguf, (const uint8_t *)bytes.data, bytes.len, &status));
        assert_int_equal(gguf_uint(&gguf, "n", &value, NULL, &status), !ints[i].negative);
        assert_int_equal(value, ints[i].value);
        gguf_close(&gguf);
        buf_release(&bytes);
    }
}

static void reads_floats_booleans_and_strings(void **state)
{
    struct buf bytes;
    struct gguf gguf;
    struct status status = {0};
    double number;
    bool yes = false;
    struct text text;

    (void)state;
    open_good(&bytes, &gguf);
    assert_true(gguf_float(&gguf, "f32", &number, NULL, &status));
    assert_true(number >= 0.5 && number <= 0.5);
    assert_true(gguf_float(&gguf, "f64", &number, NULL, &status));
    assert_true(number >= 0.25 && number <= 0.25);
    assert_false(gguf_float(&gguf, "u32", &number, NULL, &status));
    assert_string_equal(status.message, "u32: must be a float, is an integer");
    assert_true(gguf_bool(&gguf, "bool", &yes, NULL, &status));
    assert_true(yes);
    assert_false(gguf_bool(&gguf, "f32", &yes, NULL, &status));
    assert_string_equal(status.message, "f32: must be a boolean, is a float");
    assert_true(gguf_string(&gguf, "string", &text, NULL, &status));
    assert_true(text_is(text, "a b"));
    assert_false(gguf_string(&gguf, "bool", &text, NULL, &status));
    assert_string_equal(status.message, "bool: must be a string, is a boolean");
    gguf_close(&gguf);
    buf_release(&bytes);
}

static void reads_arrays(void **state)
{
    struct buf bytes;
    struct gguf gguf;
    struct status status = {0};
    const struct text *texts;
    int32_t *ints;
    float *floats;
    size_t n;

    (void)state;
    open_good(&bytes, &gguf);
    assert_true(gguf_string_array(&gguf, "strings", &texts, &n, NULL, &status));
    assert_int_equal(n, 3);
    assert_true(text_is(texts[0], "one"));
    assert_true(text_is(texts[1], ""));
    assert_true(text_is(texts[2], "three"));
    assert_true(gguf_string_array(&gguf, "empty", &texts, &n, NULL, &status));
    assert_int_equal(n, 0);
    assert_false(gguf_string_array(&gguf, "ints", &texts, &n, NULL, &status));
    assert_string_equal(status.message, "ints: must be an array of strings, is an array of which "
                                        "each is an integer");
    assert_true(gguf_int_array(&gguf, "ints", &ints, &n, NULL, &status));
    assert_int_equal(n, 2);
    assert_int_equal(ints[0], 1);
    assert_int_equal(ints[1], -2);
    free(ints);
    assert_false(gguf_int_array(&gguf, "floats", &ints, &n, NULL, &status));
    assert_true(gguf_float_array(&gguf, "floats", &floats, &n, NULL, &status));
    assert_int_equal(n, 2);
    assert_true(floats[0] >= 1.0f && floats[0] <= 1.0f);
    assert_true(floats[1] >= -2.0f && floats[1] <= -2.0f);
    free(floats);
    assert_false(gguf_float_array(&gguf, "strings", &floats, &n, NULL, &status));
    gguf_close(&gguf);
    buf_release(&bytes);
}

static void refuses_an_array_element_beyond_32_bits(void **state)
{
    struct buf bytes = {0};
    struct gguf gguf;
    struct status status = {0};
    int32_t *ints;
    size_t n;

    (void)state;
    put_gguf_start(&bytes, 0, 1);
    put_key_array(&bytes, "types", BYTES_U32, 2);
    put_u32(&bytes, 1);
    put_u32(&bytes, 0x80000000);
    assert_true(gguf_read(&gguf, (const uint8_t *)bytes.data, bytes.len, &status));
    assert_false(gguf_int_array(&gguf, "types", &ints, &n, NULL, &status));
    assert_string_equal(status.message, "types: element 1 does not fit 32 bits");
    gguf_close(&gguf);
    buf_release(&bytes);
}

/* Data begins and ends at multiples of general.alignment; the last may be padded, too. */
static void heeds_the_alignment_of_the_file(void **state)
{
    for (size_t padding = 0; padding <= 48; padding += 48) {
        struct buf bytes = {0};
        struct gguf gguf;
        struct status status = {0};

        (void)state;
        put_gguf_start(&bytes, 2, 1);
        put_key_u32(&bytes, "general.alignment", 64);
        put_tensor(&bytes, "a", 2, 2, T_F32, 0);
        put_tensor(&bytes, "b", 2, 2, T_F32, 64);
        put_padding(&bytes, 64);
        put_zeros(&bytes, 80 + padding);
        assert_true(gguf_read(&gguf, (const uint8_t *)bytes.data, bytes.len, &status));
        assert_int_equal(tensor_file_find(&gguf.tensors, "b")->data -
                             tensor_file_find(&gguf.tensors, "a")->data,
                         64);
        gguf_close(&gguf);
        buf_release(&bytes);
    }
}

static void refuses_a_file_cut_at_any_byte(void **state)
{
    struct buf bytes = {0};

    (void)state;
    put_good(&bytes);
    for (size_t n = 0; n < bytes.len; n++) {
        uint8_t *copy = exact_copy(bytes.data, n);
        struct gguf gguf;
        struct status status = {0};

        assert_false(gguf_read(&gguf, copy, n, &status));
        assert_int_equal(status.code, STATUS_CONFIG);
        free(copy);
    }
    buf_release(&bytes);
}

static void assert_inside(const struct gguf *gguf, const uint8_t *bytes, size_t n)
{
    for (size_t k = 0; k < gguf->tensors.n_entries; k++) {
        const struct tensor_entry *entry = &gguf->tensors.entries[k];

        assert_true(entry->data >= bytes && entry->data <= bytes + n);
        assert_true(entry->size <= (size_t)(bytes + n - entry->data));
    }
}

/* What is accepted with one byte changed still lies inside the file. */
static void never_points_outside_whatever_byte_changes(void **state)
{
    static const uint8_t values[] = {0x00, 0x01, 0x08, 0x09, 0x20, 0x7F, 0x80, 0xFF};
    struct buf bytes = {0};
    uint8_t *copy;

    (void)state;
    put_good(&bytes);
    copy = exact_copy(bytes.data, bytes.len);
    for (size_t i = 0; i < bytes.len * sizeof(values); i++) {
        const size_t at = i / sizeof(values);
        struct gguf gguf;
        struct status status = {0};

        copy[at] = values[i % sizeof(values)];
        if (gguf_read(&gguf, copy, bytes.len, &status)) {
            assert_inside(&gguf, copy, bytes.len);
            gguf_close(&gguf);
        }
        copy[at] = (uint8_t)bytes.data[at];
    }
    free(copy);
    buf_release(&bytes);
}

static void names_the_file_in_every_message(void **state)
{
    char folder[64];
    struct buf path = {0}, wanted = {0};
    struct gguf gguf;
    struct status status = {0};

    (void)state;
    make_folder(folder);
    buf_printf(&path, "%s/m.gguf", folder);
    assert_false(gguf_open(&gguf, path.data, &status));
    assert_int_equal(status.code, STATUS_NO_INPUT);
    write_text(folder, "m.gguf", "");
    assert_false(gguf_open(&gguf, path.data, &status));
    assert_int_equal(status.code, STATUS_CONFIG);
    buf_printf(&wanted, "%s: is empty, not a GGUF file", path.data);
    assert_string_equal(status.message, wanted.data);
    remove_file(folder, "m.gguf");
    rmdir(folder);
    buf_release(&path);
    buf_release(&wanted);
}

static char smollm2[512];

static void reads_smollm2_135m_instruct(void **state)
{
    struct gguf gguf;
    struct status status = {0};
    const struct text *texts;
    int32_t *types;
    size_t n;

    (void)state;
    assert_true(gguf_open(&gguf, smollm2, &status));
    assert_int_equal(gguf.version, 3);
    assert_int_equal(gguf.n_pairs, 33);
    assert_int_equal(gguf.tensors.n_entries, 272);
    assert_entry(&gguf, "token_embd.weight", DTYPE_Q8_0, "Q8_0", 2, 49152, 576,
                 (const char *)gguf.tensors.map.data + 1785664, 30081024);
    assert_true(gguf_string_array(&gguf, "tokenizer.ggml.tokens", &texts, &n, NULL, &status));
    assert_int_equal(n, 49152);
    assert_true(text_is(texts[2], "<|im_end|>"));
    assert_true(gguf_string_array(&gguf, "tokenizer.ggml.merges", &texts, &n, NULL, &status));
    assert_int_equal(n, 48900);
    assert_true(gguf_int_array(&gguf, "tokenizer.ggml.token_type", &types, &n, NULL, &status));
    assert_int_equal(n, 49152);
    assert_int_equal(types[2], 3); /* control */
    free(types);
    gguf_close(&gguf);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(turns_shapes_round_and_places_padded_tensors),
        cmocka_unit_test(reads_integers_of_any_width),
        cmocka_unit_test(reads_integers_of_each_type),
        cmocka_unit_test(reads_floats_booleans_and_strings),
        cmocka_unit_test(reads_arrays),
        cmocka_unit_test(refuses_an_array_element_beyond_32_bits),
        cmocka_unit_test(heeds_the_alignment_of_the_file),
        cmocka_unit_test(refuses_a_file_cut_at_any_byte),
        cmocka_unit_test(never_points_outside_whatever_byte_changes),
        cmocka_unit_test(names_the_file_in_every_message),
        {0}, /* a real model's, where it is installed */
    };

    if (model_file("smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", smollm2)[0])
        tests[sizeof(tests) / sizeof(tests[0]) - 1] =
            (struct CMUnitTest)cmocka_unit_test(reads_smollm2_135m_instruct);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
