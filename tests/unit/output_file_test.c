/* An output file appears when it is complete, or not at all. */
#define _XOPEN_SOURCE 700 /* symlink, mkdtemp */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "formats/output_file.h"

static char directory[] = "/tmp/output-file-test-XXXXXX";

static char *path_of(const char *name, char path[64])
{
    snprintf(path, 64, "%s/%s", directory, name);
    return path;
}

static size_t n_files(void)
{
    DIR *dir = opendir(directory);
    size_t n = 0;

    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n - 2; /* . and .. */
}

static void remove_files(void)
{
    DIR *dir = opendir(directory);
    struct dirent *entry;
    char path[512];

    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        snprintf(path, sizeof(path), "%s/%.400s", directory, entry->d_name);
        unlink(path);
    }
    closedir(dir);
}

/* The file's bytes, unpacked if it is gzip, as a string. */
static const char *content(const char *path)
{
    static char bytes[200000];
    gzFile file = gzopen(path, "r");
    int n;

    if (!file)
        return NULL;
    n = gzread(file, bytes, sizeof(bytes) - 1);
    assert_true(n >= 0);
    bytes[n] = '\0';
    gzclose(file);
    return bytes;
}

static mode_t mode_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 0777;
}

static struct output_file *write_two_lines(const char *path)
{
    struct status status = {0};
    struct output_file *output = output_file_open(path, &status);

    assert_non_null(output);
    assert_true(output_file_write(output, text_of("one\n"), &status));
    assert_true(output_file_write(output, text_of("two\n"), &status));
    assert_int_equal(output_file_size(output), 8);
    return output;
}

static void the_name_appears_on_commit(void **state)
{
    struct status status = {0};
    char path[64];
    struct output_file *output = write_two_lines(path_of("o", path));

    (void)state;
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(mode_of(output_file_temporary(output)), 0600);
    assert_true(output_file_commit(output, &status));
    assert_string_equal(content(path), "one\ntwo\n");
    assert_int_equal(mode_of(path), 0640); /* by the umask that main sets */
    assert_int_equal(n_files(), 1);
    remove_files();
}

static void nothing_is_left_of_what_was_discarded(void **state)
{
    char path[64];
    struct output_file *output = write_two_lines(path_of("o", path));

    (void)state;
    assert_int_equal(n_files(), 1);
    output_file_discard(output);
    assert_int_equal(n_files(), 0);
}

static void a_file_that_is_replaced_is_whole_until_then_and_lends_its_mode(void **state)
{
    struct status status = {0};
    struct output_file *output;
    char path[64];
    FILE *old = fopen(path_of("o", path), "w");

    (void)state;
    assert_non_null(old);
    assert_true(fputs("old\n", old) >= 0 && fclose(old) == 0);
    assert_int_equal(chmod(path, 0600), 0);
    output = write_two_lines(path);
    assert_string_equal(content(path), "old\n");
    assert_true(output_file_commit(output, &status));
    assert_string_equal(content(path), "one\ntwo\n");
    assert_int_equal(mode_of(path), 0600);
    remove_files();
}

static void a_link_stays_one(void **state)
{
    struct status status = {0};
    char path[64], link[64];
    struct stat st;

    (void)state;
    assert_true(output_file_commit(write_two_lines(path_of("o", path)), &status));
    assert_int_equal(symlink(path, path_of("link", link)), 0);
    assert_true(output_file_commit(write_two_lines(link), &status));
    assert_int_equal(lstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    remove_files();
}

static void a_name_in_gz_is_packed(void **state)
{
    struct status status = {0};
    struct output_file *output;
    static char big[150000];
    unsigned char magic[2];
    char path[64];
    FILE *file;

    (void)state;
    for (size_t i = 0; i < sizeof(big) - 1; i++) /* hard to pack: several buffers come out */
        big[i] = (char)('a' + (i * i * 7 + i / 3) % 23);
    output = output_file_open(path_of("o.gz", path), &status);
    assert_non_null(output);
    for (size_t at = 0; at < sizeof(big) - 1; at += 49999)
        assert_true(output_file_write(
            output,
            (struct text){big + at, at + 49999 < sizeof(big) - 1 ? 49999 : sizeof(big) - 1 - at},
            &status));
    assert_true(output_file_commit(output, &status));
    assert_string_equal(content(path), big);
    file = fopen(path, "r");
    assert_true(file && fread(magic, 1, 2, file) == 2 && fclose(file) == 0);
    assert_true(magic[0] == 0x1f && magic[1] == 0x8b);
    remove_files();
}

static void an_empty_output_is_a_file_too(void **state)
{
    struct status status = {0};
    char path[64];
    struct output_file *output = output_file_open(path_of("o.gz", path), &status);

    (void)state;
    assert_non_null(output);
    assert_true(output_file_commit(output, &status));
    assert_string_equal(content(path), "");
    remove_files();
}

static void devices_are_written_in_place(void **state)
{
    struct status status = {0};
    struct output_file *output = write_two_lines("/dev/null");
    struct stat st;

    (void)state;
    assert_null(output_file_temporary(output));
    assert_true(output_file_commit(output, &status));
    assert_int_equal(stat("/dev/null", &st), 0);
    assert_true(S_ISCHR(st.st_mode));
}

static void a_full_disk_is_told(void **state)
{
    struct status status = {0};
    struct output_file *output = output_file_open("/dev/full", &status);

    (void)state;
    assert_non_null(output);
    assert_false(output_file_write(output, text_of("x"), &status));
    assert_int_equal(status.code, STATUS_IO);
    assert_non_null(strstr(status.message, "/dev/full: "));
    output_file_discard(output);
}

static void a_place_that_is_not_there_is_told_at_once(void **state)
{
    struct status status = {0};

    (void)state;
    assert_null(output_file_open("/nowhere/at/all", &status));
    assert_int_equal(status.code, STATUS_IO);
    assert_null(output_file_open(directory, &status));
    assert_int_equal(status.code, STATUS_IO);
}

static int set_up(void **state)
{
    (void)state;
    umask(0026);
    return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    remove_files();
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_name_appears_on_commit),
        cmocka_unit_test(nothing_is_left_of_what_was_discarded),
        cmocka_unit_test(a_file_that_is_replaced_is_whole_until_then_and_lends_its_mode),
        cmocka_unit_test(a_link_stays_one),
        cmocka_unit_test(a_name_in_gz_is_packed),
        cmocka_unit_test(an_empty_output_is_a_file_too),
        cmocka_unit_test(devices_are_written_in_place),
        cmocka_unit_test(a_full_disk_is_told),
        cmocka_unit_test(a_place_that_is_not_there_is_told_at_once),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
