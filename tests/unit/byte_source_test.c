/* The bytes of a file, packed or not: gzip in members, cut, and followed by something else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "formats/byte_source.h"

static char path[] = "/tmp/byte-source-test-XXXXXX";

static void make_file(const void *bytes, size_t n)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

/* All bytes of the file, read `step` at a time. */
static bool read_all(size_t step, struct buf *all, struct status *status)
{
    struct byte_source *source = byte_source_open(path, -1, status);
    bool ok;
    size_t n;

    assert_non_null(source);
    buf_reset(all);
    while ((ok = byte_source_read(source, buf_reserve(all, step), step, &n, status)) && n > 0)
        all->len += n;
    byte_source_close(source);
    return ok;
}

/* Appends one gzip member. */
static void pack(const void *bytes, size_t n, struct buf *out)
{
    const size_t bound = compressBound((uLong)n) + 64;
    z_stream z = {0};

    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)bytes;
    z.avail_in = (uInt)n;
    z.next_out = (Bytef *)buf_reserve(out, bound);
    z.avail_out = (uInt)bound;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    out->len += z.total_out;
    deflateEnd(&z);
}

/* "PATH: message" */
static void assert_message(const struct status *status, const char *message)
{
    assert_memory_equal(status->message, path, strlen(path));
    assert_memory_equal(status->message + strlen(path), ": ", 2);
    assert_string_equal(status->message + strlen(path) + 2, message);
}

static void plain_files_come_as_they_are(void **state)
{
    static const char *const files[] = {"", "a", "\x1f", "\x1fzb", "{}\n"};
    struct status status = {0};
    struct buf all = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        make_file(files[i], strlen(files[i]));
        assert_true(read_all(1, &all, &status));
        assert_true(text_is(buf_text(&all), files[i]));
        assert_true(read_all(1000, &all, &status));
        assert_true(text_is(buf_text(&all), files[i]));
    }
    buf_release(&all);
}

static void gzip_members_join(void **state)
{
    const size_t sizes[] = {1, 7, 4096, 1 << 20};
    struct buf packed = {0}, all = {0}, plain = {0};
    struct status status = {0};

    (void)state;
    for (size_t i = 0; i < 300000; i++) /* more than any buffer, and not too regular */
        buf_printf(&plain, "%zx", i * i);
    pack("one ", 4, &packed);
    pack("", 0, &packed);
    pack(plain.data, plain.len, &packed);
    pack("end", 3, &packed);
    make_file(packed.data, packed.len);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        assert_true(read_all(sizes[i], &all, &status));
        assert_int_equal(all.len, plain.len + 7);
        assert_memory_equal(all.data, "one ", 4);
        assert_memory_equal(all.data + 4, plain.data, plain.len);
        assert_memory_equal(all.data + 4 + plain.len, "end", 3);
    }
    buf_release(&packed);
    buf_release(&plain);
    buf_release(&all);
}

static void gzip_cut_anywhere_is_an_error(void **state)
{
    struct buf packed = {0}, all = {0};
    size_t first;

    (void)state;
    pack("first member\n", 13, &packed);
    first = packed.len;
    pack("second member\n", 14, &packed);
    for (size_t n = 2; n < packed.len; n++) {
        struct status status = {0};

        make_file(packed.data, n);
        if (n == first) { /* a whole file as well */
            assert_true(read_all(100, &all, &status));
            continue;
        }
        assert_false(read_all(100, &all, &status));
        assert_int_equal(status.code, STATUS_DATA);
        assert_message(&status, "gzip data is cut short");
    }
    buf_release(&packed);
    buf_release(&all);
}

static void what_follows_gzip_must_be_gzip(void **state)
{
    static const char *const rests[][2] = {
        {"x", "something that is not gzip follows gzip data"},
        {"\n", "something that is not gzip follows gzip data"},
        {"{\"a\":1}\n", "something that is not gzip follows gzip data"},
        {"\x1fx", "broken gzip data: incorrect header check"},
        {"\x1f\x8b\x08zzzzzzzzzzzz", "broken gzip data: unknown header flags set"},
    };
    struct buf packed = {0}, all = {0};

    (void)state;
    pack("text\n", 5, &packed);
    for (size_t i = 0; i < sizeof(rests) / sizeof(rests[0]); i++) {
        struct status status = {0};
        struct buf file = {0};

        buf_append_text(&file, buf_text(&packed));
        buf_append_string(&file, rests[i][0]);
        make_file(file.data, file.len);
        assert_false(read_all(100, &all, &status));
        assert_int_equal(status.code, STATUS_DATA);
        assert_message(&status, rests[i][1]);
        buf_release(&file);
    }
    buf_release(&packed);
    buf_release(&all);
}

static void says_what_is_broken_within_gzip(void **state)
{
    /* ten bytes of header, then the first of the data: a block of type 3 */
    static const char block[] = "\x1f\x8b\x08\0\0\0\0\0\0\3\7",
                      other[] = "\x1f\x8b\x07\0\0\0\0\0\0\3";
    struct buf packed = {0}, all = {0};
    struct status status = {0};

    (void)state;
    make_file(block, sizeof(block) - 1);
    assert_false(read_all(100, &all, &status));
    assert_message(&status, "broken gzip data: invalid block type");
    make_file(other, sizeof(other) - 1);
    assert_false(read_all(100, &all, &status));
    assert_message(&status, "broken gzip data: unknown compression method");
    pack("text\n", 5, &packed);
    packed.data[packed.len - 1] ^= 1;
    make_file(packed.data, packed.len);
    assert_false(read_all(100, &all, &status));
    assert_message(&status, "broken gzip data: incorrect length check");
    packed.data[packed.len - 5] ^= 1;
    make_file(packed.data, packed.len);
    assert_false(read_all(100, &all, &status));
    assert_message(&status, "broken gzip data: incorrect data check");
    buf_release(&packed);
    buf_release(&all);
}

static void a_changed_byte_never_gives_other_text(void **state)
{
    static const char plain[] = "what a checksum is good for\n";
    struct buf packed = {0}, all = {0};

    (void)state;
    pack(plain, sizeof(plain) - 1, &packed);
    for (size_t at = 2; at < packed.len; at++) {
        for (int bit = 0; bit < 8; bit++) {
            struct status status = {0};

            packed.data[at] ^= (char)(1 << bit);
            make_file(packed.data, packed.len);
            if (read_all(5, &all, &status)) /* the byte did not matter: a time stamp, a pad bit */
                assert_true(text_is(buf_text(&all), plain));
            packed.data[at] ^= (char)(1 << bit);
        }
    }
    buf_release(&packed);
    buf_release(&all);
}

static void a_folder_is_not_a_file(void **state)
{
    struct status status = {0};

    (void)state;
    assert_null(byte_source_open("/tmp", -1, &status));
    assert_int_equal(status.code, STATUS_NO_INPUT);
    assert_null(byte_source_open("/nowhere/at/all", -1, &status));
    assert_int_equal(status.code, STATUS_NO_INPUT);
}

static int set_up(void **state)
{
    const int fd = mkstemp(path);

    (void)state;
    return fd < 0 ? -1 : close(fd);
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_files_come_as_they_are),
        cmocka_unit_test(gzip_members_join),
        cmocka_unit_test(gzip_cut_anywhere_is_an_error),
        cmocka_unit_test(what_follows_gzip_must_be_gzip),
        cmocka_unit_test(says_what_is_broken_within_gzip),
        cmocka_unit_test(a_changed_byte_never_gives_other_text),
        cmocka_unit_test(a_folder_is_not_a_file),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
