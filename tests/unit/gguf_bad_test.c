/* GGUF: for every way to lie, the message that it gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "file_bytes.h"
#include "formats/gguf.h"

/* ggml's numbers for the types of tensors. */
enum { T_F32 = 0, T_Q4_1 = 3, T_Q4_K = 12, T_I8 = 24 };

/* ---- files with one thing wrong ---------------------------------------------------------- */

static void no_magic(struct buf *b)
{
    buf_append_string(b, "GGUX");
    put_zeros(b, 20);
}

static void no_version(struct buf *b)
{
    buf_append_string(b, "GGUF\3");
}

static void version(struct buf *b, uint32_t number)
{
    buf_append_string(b, "GGUF");
    put_u32(b, number);
    put_zeros(b, 16);
}

static void version_1(struct buf *b)
{
    version(b, 1);
}

static void version_4(struct buf *b)
{
    version(b, 4);
}

static void big_endian(struct buf *b)
{
    version(b, 0x03000000);
}

static void no_counts(struct buf *b)
{
    put_gguf_start(b, 0, 0);
    b->len -= 8;
}

static void more_tensors_than_bytes(struct buf *b)
{
    put_gguf_start(b, 1000, 0);
}

static void more_tensors_than_we_read(struct buf *b)
{
    put_gguf_start(b, UINT64_MAX, 0);
}

static void more_keys_than_bytes(struct buf *b)
{
    put_gguf_start(b, 0, 1);
    put_zeros(b, 12);
}

static void more_keys_than_we_read(struct buf *b)
{
    put_gguf_start(b, 0, UINT64_C(1) << 62);
}

static void key_longer_than_file(struct buf *b)
{
    put_gguf_start(b, 0, 1);
    put_u64(b, 200);
    put_zeros(b, 20);
}

static void key_too_long(struct buf *b)
{
    put_gguf_start(b, 0, 1);
    put_u64(b, 256);
    put_zeros(b, 300);
}

static void key_empty(struct buf *b)
{
    put_gguf_start(b, 0, 1);
    put_key_u32(b, "", 7);
}

static void key_with_control_character(struct buf *b)
{
    put_gguf_start(b, 0, 1);
    put_key_u32(b, "a\033[2J", 7);
}

static void key_twice(struct buf *b)
{
    put_gguf_start(b, 0, 3);
    put_key_u32(b, "a", 7);
    put_key_u32(b, "b", 7);
    put_key_u32(b, "a", 7);
}

static void value_of_unknown_type(struct buf *b)
{
    put_gguf_start(b, 0, 1);
    put_key(b, "a", 13);
    put_u32(b, 0);
}

static void value_cut(struct buf *b)
{
    put_gguf_start(b, 0, 1);
    put_key(b, "a", BYTES_U64);
    put_u32(b, 0);
}

static void boolean_of_2(struct buf *b)
{
    put_gguf_start(b, 0, 1);
    put_key(b, "a", BYTES_BOOL);
    buf_append_char(b, 2);
}

static void string_longer_than_file(struct buf *b)
{
    put_gguf_start(b, 0, 1);
    put_key(b, "a", BYTES_STRING);
    put_u64(b, 4);
    buf_append_string(b, "abc");
}

static void string_too_long(struct buf *b)
{
    put_gguf_start(b, 0, 1);
    put_key(b, "a", BYTES_STRING);
    put_u64(b, GGUF_MAX_STRING + 1);
    put_zeros(b, GGUF_MAX_STRING + 1);
}

static void string_length_wraps(struct buf *b)
{
    put_gguf_start(b, 0, 1);
    put_key(b, "a", BYTES_STRING);
    put_u64(b, UINT64_MAX);
}

static void array_of_arrays(struct buf *b)
{
    put_gguf_start(b, 0, 1);
    put_key_array(b, "a", BYTES_ARRAY, 1);
    put_zeros(b, 16);
}

static void array_of_unknown_type(struct buf *b)
{
    put_gguf_start(b, 0, 1);
    put_key_array(b, "a", 99, 1);
    put_zeros(b, 16);
}

static void array_too_long(struct buf *b)
{
    put_gguf_start(b, 0, 1);
    put_key_array(b, "a", BYTES_U8, GGUF_MAX_ELEMENTS + 1);
    put_zeros(b, GGUF_MAX_ELEMENTS + 1);
}

static void array_size_wraps(struct buf *b)
{
    put_gguf_start(b, 0, 1);
    put_key_array(b, "a", BYTES_U64, UINT64_C(0x2000000000000001));
    put_zeros(b, 8);
}

static void array_longer_than_file(struct buf *b)
{
    put_gguf_start(b, 0, 1);
    put_key_array(b, "a", BYTES_U32, 3);
    put_zeros(b, 11);
}

static void more_strings_than_bytes(struct buf *b)
{
    put_gguf_start(b, 0, 1);
    put_key_array(b, "a", BYTES_STRING, 1000000);
    put_zeros(b, 100);
}

static void string_in_array_cut(struct buf *b)
{
    put_gguf_start(b, 0, 1);
    put_key_array(b, "a", BYTES_STRING, 2);
    put_string(b, "one");
    put_u64(b, 9);
    buf_append_string(b, "two");
}

static void boolean_of_7_in_array(struct buf *b)
{
    put_gguf_start(b, 0, 1);
    put_key_array(b, "a", BYTES_BOOL, 2);
    buf_append(b, "\1\7", 2);
}

static void alignment(struct buf *b, uint32_t value)
{
    put_gguf_start(b, 0, 1);
    put_key_u32(b, "general.alignment", value);
}

static void alignment_0(struct buf *b)
{
    alignment(b, 0);
}

static void alignment_48(struct buf *b)
{
    alignment(b, 48);
}

static void alignment_huge(struct buf *b)
{
    alignment(b, UINT32_C(1) << 31);
}

static void alignment_string(struct buf *b)
{
    put_gguf_start(b, 0, 1);
    put_key_string(b, "general.alignment", "32");
}

/* One tensor and its data. */
static void tensor(struct buf *b, const char *name, uint64_t ne0, uint64_t ne1, uint32_t type,
                   uint64_t offset, size_t n_data)
{
    put_gguf_start(b, 1, 0);
    put_tensor(b, name, ne0, ne1, type, offset);
    put_padding(b, 32);
    put_zeros(b, n_data);
}

static void tensor_name_too_long(struct buf *b)
{
    tensor(b, "0123456789012345678901234567890123456789012345678901234567890123", 2, 2, T_F32, 0,
           16);
}

static void tensor_name_empty(struct buf *b)
{
    tensor(b, "", 2, 2, T_F32, 0, 16);
}

static void tensor_name_with_newline(struct buf *b)
{
    tensor(b, "a\nb", 2, 2, T_F32, 0, 16);
}

static void dimensions(struct buf *b, uint32_t n_dims)
{
    put_gguf_start(b, 1, 0);
    put_string(b, "w");
    put_u32(b, n_dims);
    for (uint32_t i = 0; i < 5; i++)
        put_u64(b, 1);
    put_zeros(b, 64);
}

static void dimensions_0(struct buf *b)
{
    dimensions(b, 0);
}

static void dimensions_5(struct buf *b)
{
    dimensions(b, 5);
}

static void dimension_negative(struct buf *b)
{
    tensor(b, "w", UINT64_MAX, 1, T_F32, 0, 16);
}

static void elements_wrap(struct buf *b)
{
    tensor(b, "w", UINT64_C(1) << 62, 4, T_F32, 0, 16);
}

static void bytes_wrap(struct buf *b)
{
    tensor(b, "w", UINT64_C(1) << 31, UINT64_C(1) << 31, T_F32, 0, 16);
}

static void padded_size_wraps(struct buf *b)
{
    /* 2^64 - 1 bytes: the size fits, its padding does not */
    tensor(b, "w", UINT64_C(0x5555555555555555), 3, T_I8, 0, 16);
}

static void type_unknown(struct buf *b)
{
    tensor(b, "w", 32, 1, 4, 0, 16);
}

static void type_beyond_all(struct buf *b)
{
    tensor(b, "w", 32, 1, 0xFFFFFFFF, 0, 16);
}

static void row_no_multiple_of_block(struct buf *b)
{
    tensor(b, "w", 48, 2, T_Q4_1, 0, 60);
}

static void row_no_multiple_of_k_block(struct buf *b)
{
    tensor(b, "w", 576, 2, T_Q4_K, 0, 648);
}

static void offset_not_0(struct buf *b)
{
    tensor(b, "w", 2, 2, T_F32, 32, 48);
}

static void offset_huge(struct buf *b)
{
    tensor(b, "w", 2, 2, T_F32, UINT64_MAX - 31, 16);
}

static void data_missing(struct buf *b)
{
    put_gguf_start(b, 1, 0);
    put_tensor(b, "w", 2, 2, T_F32, 0);
}

static void data_short(struct buf *b)
{
    tensor(b, "w", 2, 2, T_F32, 0, 15);
}

static void data_left_over(struct buf *b)
{
    tensor(b, "w", 2, 2, T_F32, 0, 33);
}

static void infos_cut(struct buf *b)
{
    put_gguf_start(b, 1, 0);
    put_tensor(b, "w", 2, 2, T_F32, 0);
    b->len -= 4;
}

/* Two tensors of 16 bytes. */
static void two(struct buf *b, const char *name, uint64_t offset, size_t n_data)
{
    put_gguf_start(b, 2, 0);
    put_tensor(b, "w", 2, 2, T_F32, 0);
    put_tensor(b, name, 2, 2, T_F32, offset);
    put_padding(b, 32);
    put_zeros(b, n_data);
}

static void tensors_overlap(struct buf *b)
{
    two(b, "v", 0, 48);
}

static void tensors_unaligned(struct buf *b)
{
    two(b, "v", 16, 48);
}

static void tensors_with_hole(struct buf *b)
{
    two(b, "v", 64, 80);
}

static void tensor_twice(struct buf *b)
{
    two(b, "w", 32, 48);
}

static void second_tensor_outside(struct buf *b)
{
    two(b, "v", 32, 16);
}

static void second_tensor_cut(struct buf *b)
{
    two(b, "v", 32, 40);
}

static const struct {
    void (*write)(struct buf *bytes);
    const char *message;
} bad[] = {
    {no_magic, "does not begin with 'GGUF'"},
    {no_version, "version: needs 4 bytes, but 1 are left in the file: is it cut short?"},
    {version_1, "GGUF version 1; 2 and 3 are read"},
    {version_4, "GGUF version 4; 2 and 3 are read"},
    {big_endian, "big-endian file; only little-endian is read"},
    {no_counts, "number of keys: needs 8 bytes, but 0 are left in the file: is it cut short?"},
    {more_tensors_than_bytes, "1000 tensors, but 8 bytes follow: is the file cut short?"},
    {more_tensors_than_we_read, "18446744073709551615 tensors, at most 65536 are read"},
    {more_keys_than_bytes, "1 keys, but 12 bytes follow: is the file cut short?"},
    {more_keys_than_we_read, "4611686018427387904 keys, at most 65536 are read"},
    {key_longer_than_file, "key 1: needs 200 bytes, but 20 are left in the file: is it cut short?"},
    {key_too_long, "key 1: string of 256 bytes, at most 255 are read"},
    {key_empty, "key 1: is empty or has control characters"},
    {key_with_control_character, "key 1: is empty or has control characters"},
    {key_twice, "key 'a': is there twice"},
    {value_of_unknown_type, "key 'a': unknown type 13"},
    {value_cut, "key 'a': needs 8 bytes, but 4 are left in the file: is it cut short?"},
    {boolean_of_2, "key 'a': a boolean must be 0 or 1, is 2"},
    {string_longer_than_file,
     "key 'a': needs 4 bytes, but 3 are left in the file: is it cut short?"},
    {string_too_long, "key 'a': string of 16777217 bytes, at most 16777216 are read"},
    {string_length_wraps, "key 'a': string of 18446744073709551615 bytes, at most 16777216 are "
                          "read"},
    {array_of_arrays, "key 'a': an array of arrays is not read"},
    {array_of_unknown_type, "key 'a': unknown type 99"},
    {array_too_long, "key 'a': 4194305 elements, at most 4194304 are read"},
    {array_size_wraps, "key 'a': 2305843009213693953 elements, at most 4194304 are read"},
    {array_longer_than_file,
     "key 'a': needs 12 bytes, but 11 are left in the file: is it cut short?"},
    {more_strings_than_bytes,
     "key 'a': 1000000 strings, but 100 bytes follow: is the file cut short?"},
    {string_in_array_cut,
     "key 'a': element 1: needs 9 bytes, but 3 are left in the file: is it cut short?"},
    {boolean_of_7_in_array, "key 'a': a boolean must be 0 or 1, is 7"},
    {alignment_0, "general.alignment: must be a power of two up to 65536, is 0"},
    {alignment_48, "general.alignment: must be a power of two up to 65536, is 48"},
    {alignment_huge, "general.alignment: must be a power of two up to 65536, is 2147483648"},
    {alignment_string, "general.alignment: must be an integer, is a string"},
    {tensor_name_too_long, "tensor 1: name: string of 64 bytes, at most 63 are read"},
    {tensor_name_empty, "tensor 1: name is empty or has control characters"},
    {tensor_name_with_newline, "tensor 1: name is empty or has control characters"},
    {dimensions_0, "tensor 'w': 0 dimensions, must be 1 to 4"},
    {dimensions_5, "tensor 'w': 5 dimensions, must be 1 to 4"},
    {dimension_negative, "tensor 'w': shape overflows"},
    {elements_wrap, "tensor 'w': shape overflows"},
    {bytes_wrap, "tensor 'w': shape overflows"},
    {padded_size_wraps, "tensor 'w': offset and size overflow"},
    {type_unknown, "tensor 'w': unknown type 4"},
    {type_beyond_all, "tensor 'w': unknown type 4294967295"},
    {row_no_multiple_of_block, "tensor 'w': rows of 48, but Q4_1 has blocks of 32"},
    {row_no_multiple_of_k_block, "tensor 'w': rows of 576, but Q4_K has blocks of 256"},
    {offset_not_0, "tensor 'w': offset 32, must be 0"},
    {offset_huge, "tensor 'w': offset 18446744073709551584, must be 0"},
    {infos_cut, "tensor 'w': needs 8 bytes, but 4 are left in the file: is it cut short?"},
    {data_missing, "tensor 'w': needs 16 bytes, but 0 are left in the file: is it cut short?"},
    {data_short, "tensor 'w': needs 16 bytes, but 15 are left in the file: is it cut short?"},
    {data_left_over, "1 bytes that belong to no tensor at the end"},
    {tensors_overlap, "tensor 'v': offset 0, must be 32"},
    {tensors_unaligned, "tensor 'v': offset 16, must be 32"},
    {tensors_with_hole, "tensor 'v': offset 64, must be 32"},
    {tensor_twice, "tensor 'w': is there twice"},
    {second_tensor_outside, "tensor 'v': begins behind the end"},
    {second_tensor_cut, "tensor 'v': needs 16 bytes, but 8 are left in the file: is it cut short?"},
};

static void refuses_each_lie_with_its_own_message(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct buf bytes = {0};
        struct gguf gguf;
        struct status status = {0};
        uint8_t *copy;

        bad[i].write(&bytes);
        copy = exact_copy(bytes.data, bytes.len);
        assert_false(gguf_read(&gguf, copy, bytes.len, &status));
        assert_string_equal(status.message, bad[i].message);
        assert_int_equal(status.code, STATUS_CONFIG);
        assert_null(gguf.pairs); /* nothing is left open */
        assert_null(gguf.tensors.entries);
        free(copy);
        buf_release(&bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_each_lie_with_its_own_message),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
