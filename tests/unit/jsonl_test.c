/* Lines of files: where they end, how they are numbered, what a broken one costs. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "formats/jsonl.h"
#include "formats/record.h"

static char directory[] = "/tmp/jsonl-test-XXXXXX";

static char *path_of(const char *name, char path[64])
{
    snprintf(path, 64, "%s/%s", directory, name);
    return path;
}

static void make_file(const char *name, const char *bytes, size_t n)
{
    char path[64];
    FILE *file = fopen(path_of(name, path), "w");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

/* The lines of these files as "file-index:number:bytes|", too long ones as "...". */
static struct buf lines_of(const char *const *paths, size_t n_paths, size_t max_line)
{
    struct status status = {0};
    struct jsonl *jsonl = jsonl_open(paths, n_paths, max_line, &status);
    struct buf all = {0};
    enum jsonl_result result;
    struct line line;

    assert_non_null(jsonl);
    while ((result = jsonl_next(jsonl, &line, &status)) == JSONL_LINE) {
        buf_printf(&all, "%c%zu:", line.file[strlen(line.file) - 1], line.number);
        if (line.too_long)
            buf_printf(&all, "...%zu", (size_t)line.size);
        buf_append_text(&all, line.bytes);
        buf_append_string(&all, line.unfinished ? "?" : "|");
    }
    assert_int_equal(result, JSONL_END);
    jsonl_close(jsonl);
    return all;
}

static void assert_lines(const char *bytes, size_t n, size_t max_line, const char *expected)
{
    char path[64];
    const char *const paths[] = {path_of("f", path)};
    struct buf all;

    make_file("f", bytes, n);
    all = lines_of(paths, 1, max_line);
    assert_string_equal(all.len > 0 ? all.data : "", expected);
    buf_release(&all);
}
#define ASSERT_LINES(literal, max_line, expected)                                                  \
    assert_lines(literal, sizeof(literal) - 1, max_line, expected)

static void a_line_ends_at_any_line_end_or_at_the_end(void **state)
{
    (void)state;
    ASSERT_LINES("", 100, "");
    ASSERT_LINES("\n", 100, "f1:|");
    ASSERT_LINES("a\nb\n", 100, "f1:a|f2:b|");
    ASSERT_LINES("a\nb", 100, "f1:a|f2:b?");
    ASSERT_LINES("a\r\n\r\nb\r\n", 100, "f1:a|f2:|f3:b|");
    ASSERT_LINES("a\rb\n", 100, "f1:a\rb|");
    ASSERT_LINES("a\r\r\n", 100, "f1:a\r|");
}

static void one_byte_order_mark_at_the_start_is_dropped(void **state)
{
    (void)state;
    ASSERT_LINES("\xef\xbb\xbf"
                 "a\n",
                 100, "f1:a|");
    ASSERT_LINES("\xef\xbb\xbf\xef\xbb\xbf"
                 "a\n",
                 100,
                 "f1:\xef\xbb\xbf"
                 "a|");
    ASSERT_LINES("a\n\xef\xbb\xbf"
                 "b\n",
                 100,
                 "f1:a|f2:\xef\xbb\xbf"
                 "b|");
    ASSERT_LINES("\xef\xbb\xbf", 100, "");
    ASSERT_LINES("\xef\xbb\xbf\n", 100, "f1:|");
    ASSERT_LINES("\xef\xbb", 100, "f1:\xef\xbb?");
}

static void a_long_line_costs_one_line(void **state)
{
    (void)state;
    ASSERT_LINES("12345\n1234\n123456789\nx\n", 4, "f1:...5|f2:1234|f3:...9|f4:x|");
    ASSERT_LINES("1234\r\n12345\r\n", 4, "f1:1234|f2:...5|");
    ASSERT_LINES("\xef\xbb\xbf"
                 "1234\r\n\xef\xbb\xbf"
                 "1\n",
                 4,
                 "f1:1234|f2:\xef\xbb\xbf"
                 "1|");
    ASSERT_LINES("12345", 4, "f1:...5?");
}

static void lines_cross_the_edges_of_the_reader_s_buffer(void **state)
{
    const size_t size = 200000;
    char *bytes = malloc(size);
    char path[64];
    const char *const paths[] = {path_of("f", path)};

    (void)state;
    for (size_t end = 65530; end <= 65542; end++) { /* a line end round 64 KiB */
        struct status status = {0};
        struct jsonl *jsonl;
        struct line line;

        memset(bytes, 'x', size);
        bytes[end] = '\n';
        bytes[end - 1] = '\r';
        bytes[131072] = '\n';
        make_file("f", bytes, size);
        jsonl = jsonl_open(paths, 1, size, &status);
        assert_non_null(jsonl);
        assert_int_equal(jsonl_total_size(jsonl), size);
        assert_int_equal(jsonl_next(jsonl, &line, &status), JSONL_LINE);
        assert_int_equal(line.bytes.len, end - 1);
        assert_int_equal(jsonl_next(jsonl, &line, &status), JSONL_LINE);
        assert_int_equal(line.bytes.len, 131072 - end - 1);
        assert_int_equal(jsonl_next(jsonl, &line, &status), JSONL_LINE);
        assert_int_equal(line.bytes.len, size - 131072 - 1);
        assert_int_equal(line.position, size);
        assert_int_equal(jsonl_next(jsonl, &line, &status), JSONL_END);
        jsonl_close(jsonl);
    }
    free(bytes);
}

static void files_follow_each_other_and_number_their_own_lines(void **state)
{
    char a[64], b[64], c[64];
    const char *const paths[] = {path_of("a", a), path_of("b", b), path_of("c", c), a};
    struct buf all;

    (void)state;
    make_file("a", "1\n2", 3);
    make_file("b", "", 0);
    make_file("c",
              "\xef\xbb\xbf"
              "3\n",
              5);
    all = lines_of(paths, 4, 100);
    assert_string_equal(all.data, "a1:1|a2:2?c1:3|a1:1|a2:2?");
    buf_release(&all);
}

static void a_missing_file_is_named_when_its_turn_comes(void **state)
{
    char a[64], none[64];
    const char *const paths[] = {path_of("a", a), path_of("none", none)};
    struct status status = {0};
    struct jsonl *jsonl;
    struct line line;

    (void)state;
    make_file("a", "1\n", 2);
    assert_null(jsonl_open(&paths[1], 1, 100, &status));
    assert_int_equal(status.code, STATUS_NO_INPUT);
    assert_non_null(strstr(status.message, none));
    jsonl = jsonl_open(paths, 2, 100, &status);
    assert_non_null(jsonl);
    assert_int_equal(jsonl_next(jsonl, &line, &status), JSONL_LINE);
    assert_int_equal(jsonl_next(jsonl, &line, &status), JSONL_FAILED);
    assert_int_equal(status.code, STATUS_NO_INPUT);
    jsonl_close(jsonl);
}

/* Cut a file of records anywhere: the whole lines before the cut are records, what is left of the
 * next one is one only where the cut fell on its end. */
static void every_prefix_of_a_file_gives_its_whole_records(void **state)
{
    static const char file[] =
        "{\"id\":1,\"s\":\"\xc3\xa9\"}\r\n{\"n\":[1e5,{}]}\n{}\n{\"\\u00e9\":null}\n";
    char path[64];
    const char *const paths[] = {path_of("f", path)};

    (void)state;
    for (size_t n = 0; n < sizeof(file); n++) {
        struct status status = {0};
        size_t n_good = 0, n_bad = 0, n_whole = 0;
        struct record record = {0};
        struct jsonl *jsonl;
        struct line line;

        make_file("f", file, n);
        for (size_t i = 0; i < n; i++)
            n_whole += file[i] == '\n';
        jsonl = jsonl_open(paths, 1, 1000, &status);
        assert_non_null(jsonl);
        while (jsonl_next(jsonl, &line, &status) == JSONL_LINE) {
            if (record_parse(&record, line.bytes, &status)) {
                n_good++;
            } else {
                assert_true(line.unfinished);
                n_bad++;
            }
        }
        assert_int_equal(status.code == STATUS_OK || status.code == STATUS_INPUT, 1);
        assert_true(n_good == n_whole || n_good == n_whole + 1);
        assert_int_equal(n_good + n_bad, n_whole + (n > 0 && file[n - 1] != '\n'));
        jsonl_close(jsonl);
        record_release(&record);
    }
}

static void *read_one(void *jsonl)
{
    static struct line line;
    struct status status = {0};

    return jsonl_next(jsonl, &line, &status) == JSONL_END ? NULL : &line;
}

static void a_reader_that_waits_can_be_called_off(void **state)
{
    char path[64];
    const char *const paths[] = {path_of("fifo", path)};
    struct status status = {0};
    struct jsonl *jsonl;
    pthread_t thread;
    void *result;

    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    jsonl = jsonl_open(paths, 1, 100, &status); /* nobody writes: this does not wait */
    assert_non_null(jsonl);
    assert_int_equal(jsonl_total_size(jsonl), 0);
    assert_int_equal(pthread_create(&thread, NULL, read_one, jsonl), 0);
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    jsonl_interrupt(jsonl);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_null(result);
    assert_null(read_one(jsonl));
    jsonl_close(jsonl);
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"f", "a", "b", "c", "fifo"};
    char path[64];

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unlink(path_of(names[i], path));
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_ends_at_any_line_end_or_at_the_end),
        cmocka_unit_test(one_byte_order_mark_at_the_start_is_dropped),
        cmocka_unit_test(a_long_line_costs_one_line),
        cmocka_unit_test(lines_cross_the_edges_of_the_reader_s_buffer),
        cmocka_unit_test(files_follow_each_other_and_number_their_own_lines),
        cmocka_unit_test(a_missing_file_is_named_when_its_turn_comes),
        cmocka_unit_test(every_prefix_of_a_file_gives_its_whole_records),
        cmocka_unit_test(a_reader_that_waits_can_be_called_off),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
