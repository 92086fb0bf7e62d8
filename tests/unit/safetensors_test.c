/* safetensors: what is read, and for every way to lie the message that it gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "file_bytes.h"
#include "formats/safetensors.h"

#define F32_2(begin, end) "{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[" #begin "," #end "]}"

static const struct {
    const char *header;
    size_t n_data;
    const char *message;
} bad[] = {
    {"", 0, "header does not begin with '{'"},
    {" {}", 0, "header does not begin with '{'"},
    {"[]", 0, "header does not begin with '{'"},
    {"{\"a\":", 0, "header: line 1, column 5: unexpected token near end of file"},
    {"{} x", 0, "header: line 1, column 4: end of file expected"},
    {"{\"a\xff\":1}", 0, "header: line 1, column 3: unable to decode byte 0xff"},
    {"{\"a\":1,\"a\":2}", 0, "header: line 1, column 10: duplicate object key"},
    {"{\"a\\u0000\":1}", 0, "header: line 1, column 10: NUL byte in object key not supported"},
    {"{\"a\":1}", 0, "tensor 'a': must be an object"},
    {"{\"a\":{}}", 0, "tensor 'a': no dtype"},
    {"{\"a\":{\"dtype\":\"F32\"}}", 0, "tensor 'a': no shape"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[]}}", 4, "tensor 'a': no data_offsets"},
    {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4,
     "header: line 1, column 27: duplicate object key"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4],\"x\":1}}", 4,
     "tensor 'a': has members beside dtype, shape and data_offsets"},
    {"{\"a\":{\"dtype\":7,\"shape\":[],\"data_offsets\":[0,4]}}", 4,
     "tensor 'a': dtype must be a string"},
    {"{\"a\":{\"dtype\":\"F31\",\"shape\":[],\"data_offsets\":[0,4]}}", 4,
     "tensor 'a': unknown dtype 'F31'"},
    {"{\"a\":{\"dtype\":\"\\u001b[2J\",\"shape\":[],\"data_offsets\":[0,4]}}", 4,
     "tensor 'a': unknown dtype '?'"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[0,4]}}", 4,
     "tensor 'a': shape must be an array"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4,
     "tensor 'a': shape must hold integers from 0 up"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}", 4,
     "tensor 'a': shape must hold integers from 0 up"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1],\"data_offsets\":[0,4]}}", 4,
     "tensor 'a': 5 dimensions, at most 4 are read"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,4]}}", 4,
     "tensor 'a': shape overflows"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2305843009213693952],\"data_offsets\":[0,4]}}", 4,
     "tensor 'a': shape overflows"},
    {"{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,2]}}", 2,
     "tensor 'a': 12 bits are no whole bytes"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[0,4],\"data_offsets\":[0,16]}}", 16,
     "tensor 'a': shape needs 0 bytes, has 16"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,8]}}", 8,
     "tensor 'a': shape needs 16 bytes, has 8"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8]}}", 8,
     "tensor 'a': data_offsets must be [begin, end]"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]}}", 8,
     "tensor 'a': data_offsets must hold integers from 0 up"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8,
     "tensor 'a': begins at 8, but ends at 0"},
    {"{\"a\":" F32_2(0, 8) "}", 4,
     "tensor 'a': ends at 8, but the data has 4 bytes: is the file cut short?"},
    {"{\"a\":" F32_2(4, 12) "}", 12, "tensor 'a': begins at 4, but the one before ends at 0"},
    {"{\"a\":" F32_2(0, 8) ",\"b\":" F32_2(12, 20) "}", 20,
     "tensor 'b': begins at 12, but the one before ends at 8"},
    {"{\"a\":" F32_2(0, 8) ",\"b\":" F32_2(4, 12) "}", 12,
     "tensor 'b': begins at 4, but the one before ends at 8"},
    {"{\"a\":" F32_2(0, 8) ",\"b\":" F32_2(0, 8) "}", 8,
     "tensor 'b': begins at 0, but the one before ends at 8"},
    {"{\"a\":" F32_2(0, 8) "}", 9, "tensors end at 8, but the data has 9 bytes"},
    {"{}", 1, "tensors end at 0, but the data has 1 bytes"},
    {"{\"__metadata__\":1}", 0, "__metadata__: must be an object"},
    {"{\"__metadata__\":{\"format\":1}}", 0, "__metadata__: 'format' must be a string"},
    {"{\"__metadata__\":{\"format\":{}}}", 0, "__metadata__: 'format' must be a string"},
    {"{\"\":" F32_2(0, 8) "}", 8,
     "tensor 1: name is empty, longer than 255 bytes or has control characters"},
    {"{\"a\\n\":" F32_2(0, 8) "}", 8,
     "tensor 1: name is empty, longer than 255 bytes or has control characters"},
};

static void assert_refused(const char *bytes, size_t n, const char *message)
{
    uint8_t *copy = exact_copy(bytes, n);
    struct tensor_file file;
    struct status status = {0};

    assert_false(safetensors_read(&file, copy, n, &status));
    assert_string_equal(status.message, message);
    assert_int_equal(status.code, STATUS_CONFIG);
    assert_null(file.entries); /* nothing is left open */
    free(copy);
}

static void refuses_each_lie_with_its_own_message(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct buf bytes = {0};

        put_safetensors(&bytes, bad[i].header, bad[i].n_data);
        assert_refused(bytes.data, bytes.len, bad[i].message);
        buf_release(&bytes);
    }
}

static void refuses_a_header_length_that_the_file_cannot_hold(void **state)
{
    struct buf bytes = {0};

    (void)state;
    assert_refused("", 0, "0 bytes, a header length needs 8");
    assert_refused("\x02\0\0\0\0\0\0", 7, "7 bytes, a header length needs 8");
    assert_refused("\x03\0\0\0\0\0\0\0{}", 10,
                   "header length 3, but 2 bytes follow: is the file cut short?");
    assert_refused(
        "\xff\xff\xff\xff\xff\xff\xff\xff{}", 10,
        "header length 18446744073709551615, but 2 bytes follow: is the file cut short?");
    put_u64(&bytes, SAFETENSORS_MAX_HEADER + 1);
    put_zeros(&bytes, SAFETENSORS_MAX_HEADER + 1);
    assert_refused(bytes.data, bytes.len, "header length 16777217, at most 16777216 is read");
    buf_release(&bytes);
}

static void refuses_a_header_nested_too_deep(void **state)
{
    struct buf header = {0}, bytes = {0};

    (void)state;
    buf_append_string(&header, "{\"a\":");
    for (int i = 0; i < 100000; i++)
        buf_append_char(&header, '[');
    put_safetensors(&bytes, header.data, 0);
    assert_refused(bytes.data, bytes.len, "header: nested deeper than 64 levels");
    buf_release(&header);
    buf_release(&bytes);
}

static void refuses_a_name_longer_than_messages_show(void **state)
{
    struct buf header = {0}, bytes = {0};

    (void)state;
    buf_append_string(&header, "{\"");
    for (int i = 0; i < 256; i++)
        buf_append_char(&header, 'n');
    buf_append_string(&header, "\":" F32_2(0, 8) "}");
    put_safetensors(&bytes, header.data, 8);
    assert_refused(bytes.data, bytes.len,
                   "tensor 1: name is empty, longer than 255 bytes or has control characters");
    buf_release(&header);
    buf_release(&bytes);
}

/* Out of order, with an empty tensor, a scalar, padding, metadata, and types to step over. */
static const char good[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                           "\"w\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[8,32]},"
                           "\"ids\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]},"
                           "\"h\":{\"shape\":[3],\"data_offsets\":[34,40],\"dtype\":\"F16\"},"
                           "\"none\":{\"dtype\":\"BF16\",\"shape\":[0,7],\"data_offsets\":[34,34]},"
                           "\"one\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[32,34]}}   ";

static void assert_entry(const struct tensor_file *file, const char *name, enum dtype dtype,
                         const char *type_name, int n_dims, size_t rows, size_t cols,
                         const uint8_t *data, size_t size)
{
    const struct tensor_entry *entry = tensor_file_find(file, name);

    assert_non_null(entry);
    assert_string_equal(entry->name, name);
    assert_int_equal(entry->dtype, dtype);
    assert_string_equal(entry->type_name, type_name);
    assert_int_equal(entry->n_dims, n_dims);
    assert_int_equal(entry->shape[0], rows);
    assert_int_equal(entry->shape[1], cols);
    assert_int_equal(entry->shape[3], 1);
    assert_ptr_equal(entry->data, data);
    assert_int_equal(entry->size, size);
}

static void reads_tensors_of_every_shape_in_any_order(void **state)
{
    struct buf bytes = {0};
    struct tensor_file file;
    struct status status = {0};
    const uint8_t *data;

    (void)state;
    put_safetensors(&bytes, good, 40);
    data = (const uint8_t *)bytes.data + bytes.len - 40;
    assert_true(safetensors_read(&file, (const uint8_t *)bytes.data, bytes.len, &status));
    assert_int_equal(file.n_entries, 5);
    assert_entry(&file, "w", DTYPE_F32, "F32", 2, 2, 3, data + 8, 24);
    assert_entry(&file, "ids", DTYPE_NONE, "I64", 1, 1, 1, data, 8);
    assert_entry(&file, "h", DTYPE_F16, "F16", 1, 3, 1, data + 34, 6);
    assert_entry(&file, "none", DTYPE_BF16, "BF16", 2, 0, 7, data + 34, 0);
    assert_entry(&file, "one", DTYPE_BF16, "BF16", 0, 1, 1, data + 32, 2);
    assert_null(tensor_file_find(&file, "__metadata__"));
    assert_null(tensor_file_find(&file, "x"));
    tensor_file_close(&file);
    buf_release(&bytes);
}

static void reads_a_file_without_tensors(void **state)
{
    struct buf bytes = {0};
    struct tensor_file file;
    struct status status = {0};

    (void)state;
    put_safetensors(&bytes, "{}", 0);
    assert_true(safetensors_read(&file, (const uint8_t *)bytes.data, bytes.len, &status));
    assert_int_equal(file.n_entries, 0);
    assert_null(tensor_file_find(&file, "a"));
    tensor_file_close(&file);
    buf_release(&bytes);
}

static void refuses_a_file_cut_at_any_byte(void **state)
{
    struct buf bytes = {0};

    (void)state;
    put_safetensors(&bytes, good, 40);
    for (size_t n = 0; n < bytes.len; n++) {
        uint8_t *copy = exact_copy(bytes.data, n);
        struct tensor_file file;
        struct status status = {0};

        assert_false(safetensors_read(&file, copy, n, &status));
        assert_int_equal(status.code, STATUS_CONFIG);
        free(copy);
    }
    buf_release(&bytes);
}

/* What is accepted with one byte changed still lies inside the file. */
static void never_points_outside_whatever_byte_changes(void **state)
{
    static const uint8_t values[] = {0x00, 0x01, 0x7F, 0x80, 0xFF, '9', '"', '}'};
    struct buf bytes = {0};
    uint8_t *copy;

    (void)state;
    put_safetensors(&bytes, good, 40);
    copy = exact_copy(bytes.data, bytes.len);
    for (size_t i = 0; i < bytes.len * sizeof(values); i++) {
        const size_t at = i / sizeof(values);
        struct tensor_file file;
        struct status status = {0};

        copy[at] = values[i % sizeof(values)];
        if (safetensors_read(&file, copy, bytes.len, &status)) {
            for (size_t k = 0; k < file.n_entries; k++) {
                const struct tensor_entry *entry = &file.entries[k];

                assert_true(entry->data >= copy);
                assert_true(entry->data + entry->size <= copy + bytes.len);
            }
            tensor_file_close(&file);
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
    struct tensor_file file;
    struct status status = {0};

    (void)state;
    make_folder(folder);
    buf_printf(&path, "%s/m.safetensors", folder);
    assert_false(safetensors_open(&file, path.data, &status));
    assert_int_equal(status.code, STATUS_NO_INPUT);
    buf_printf(&wanted, "%s: No such file or directory", path.data);
    assert_string_equal(status.message, wanted.data);

    write_file(folder, "m.safetensors", "\x02\0\0\0\0\0\0\0[]", 10);
    assert_false(safetensors_open(&file, path.data, &status));
    assert_int_equal(status.code, STATUS_CONFIG);
    buf_reset(&wanted);
    buf_printf(&wanted, "%s: header does not begin with '{'", path.data);
    assert_string_equal(status.message, wanted.data);

    write_file(folder, "m.safetensors", "\x02\0\0\0\0\0\0\0{}", 10);
    assert_true(safetensors_open(&file, path.data, &status));
    tensor_file_close(&file);
    remove_file(folder, "m.safetensors");
    rmdir(folder);
    buf_release(&path);
    buf_release(&wanted);
}

static char minilm[512];

static void reads_the_weights_of_all_minilm_l6_v2(void **state)
{
    struct tensor_file file;
    struct status status = {0};
    const struct tensor_entry *entry;

    (void)state;
    assert_true(safetensors_open(&file, minilm, &status));
    assert_int_equal(file.n_entries, 104);
    entry = tensor_file_find(&file, "embeddings.word_embeddings.weight");
    assert_non_null(entry);
    assert_int_equal(entry->dtype, DTYPE_F32);
    assert_int_equal(entry->n_dims, 2);
    assert_int_equal(entry->shape[0], 30522);
    assert_int_equal(entry->shape[1], 384);
    entry = tensor_file_find(&file, "embeddings.position_ids");
    assert_non_null(entry);
    assert_string_equal(entry->type_name, "I64");
    tensor_file_close(&file);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_tensors_of_every_shape_in_any_order),
        cmocka_unit_test(reads_a_file_without_tensors),
        cmocka_unit_test(refuses_each_lie_with_its_own_message),
        cmocka_unit_test(refuses_a_header_length_that_the_file_cannot_hold),
        cmocka_unit_test(refuses_a_header_nested_too_deep),
        cmocka_unit_test(refuses_a_name_longer_than_messages_show),
        cmocka_unit_test(refuses_a_file_cut_at_any_byte),
        cmocka_unit_test(never_points_outside_whatever_byte_changes),
        cmocka_unit_test(names_the_file_in_every_message),
        {0}, /* a real model's, where it is installed */
    };

    if (model_file("minilm/model.safetensors", minilm)[0])
        tests[sizeof(tests) / sizeof(tests[0]) - 1] =
            (struct CMUnitTest)cmocka_unit_test(reads_the_weights_of_all_minilm_l6_v2);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
