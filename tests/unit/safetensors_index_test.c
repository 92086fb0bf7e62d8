/* Weights in several files: joined as one, and every disagreement of index and files by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "file_bytes.h"
#include "formats/json_file.h"
#include "formats/safetensors_index.h"

#define MAP(members) "{\"weight_map\":{" members "}}"
#define SIZED(size) "{\"metadata\":{\"total_size\":" size "}," GOOD_MAP "}"
#define GOOD_MAP "\"weight_map\":{\"a\":\"one\",\"b\":\"two\",\"c\":\"one\"}"
#define GOOD "{" GOOD_MAP "}"
#define LONG_NAME                                                                                  \
    "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"                             \
    "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"                             \
    "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"                             \
    "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"

#define WRONG_SIZE "metadata: total_size: must be a number of bytes from 0 up"

/* What the index alone must not be. */
static const struct {
    const char *json, *message;
} bad[] = {
    {"[]", "must be an object"},
    {"{}", "weight_map: must be an object of tensors and their files"},
    {"{\"weight_map\":7}", "weight_map: must be an object of tensors and their files"},
    {MAP(""), "weight_map: must be an object of tensors and their files"},
    {MAP("\"a\":7"), "weight_map: 'a': must be a string"},
    {MAP("\"a\":null"), "weight_map: 'a': must be a string"},
    {MAP("\"\":\"x\""), "weight_map: the name of a tensor is empty, longer than 255 bytes or has "
                        "control characters"},
    {MAP("\"a\\n\":\"x\""), "weight_map: the name of a tensor is empty, longer than 255 bytes or "
                            "has control characters"},
    {MAP("\"" LONG_NAME "\":\"x\""), "weight_map: the name of a tensor is empty, longer than 255 "
                                     "bytes or has control characters"},
    {MAP("\"a\":\"\""), "weight_map: 'a': '?' is no name of a file in the same folder"},
    {MAP("\"a\":\".\""), "weight_map: 'a': '.' is no name of a file in the same folder"},
    {MAP("\"a\":\"..\""), "weight_map: 'a': '..' is no name of a file in the same folder"},
    {MAP("\"a\":\"../x\""), "weight_map: 'a': '../x' is no name of a file in the same folder"},
    {MAP("\"a\":\"/etc/x\""), "weight_map: 'a': '/etc/x' is no name of a file in the same folder"},
    {MAP("\"a\":\"b/x\""), "weight_map: 'a': 'b/x' is no name of a file in the same folder"},
    {MAP("\"a\":\"x..y\""), "weight_map: 'a': 'x..y' is no name of a file in the same folder"},
    {MAP("\"a\":\"\\u001b[2J\""), "weight_map: 'a': '?' is no name of a file in the same folder"},
    {"{\"metadata\":[]," GOOD_MAP "}", "metadata: must be an object"},
    {SIZED("\"24\""), WRONG_SIZE},
    {SIZED("-1"), WRONG_SIZE},
    {SIZED("24.5"), WRONG_SIZE},
    {SIZED("1e300"), WRONG_SIZE},
};

static void refuses_an_index_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct safetensors_index index;
        struct status status = {0};
        json_t *root = json_file_parse(text_of(bad[i].json), JSON_FILE_EXACT, &status);

        assert_non_null(root);
        assert_false(safetensors_index_read(&index, root, &status));
        assert_string_equal(status.message, bad[i].message);
        assert_int_equal(status.code, STATUS_CONFIG);
        assert_null(index.shards);
        json_decref(root);
    }
}

static void refuses_more_files_or_tensors_than_are_read(void **state)
{
    static const size_t counts[] = {SAFETENSORS_INDEX_MAX_SHARDS + 1, TENSOR_FILE_MAX_TENSORS + 1};
    static const char *const messages[] = {"weight_map: 4097 files, at most 4096 are read",
                                           "weight_map: 65537 tensors, at most 65536 are read"};

    (void)state;
    for (int c = 0; c < 2; c++) {
        json_t *map = json_object(), *root = json_object();
        struct safetensors_index index;
        struct status status = {0};

        for (size_t i = 0; i < counts[c]; i++) {
            char name[32];

            snprintf(name, sizeof(name), "t%zu", i);
            json_object_set_new(map, name, json_string(name));
        }
        json_object_set_new(root, "weight_map", map);
        assert_false(safetensors_index_read(&index, root, &status));
        assert_string_equal(status.message, messages[c]);
        json_decref(root);
    }
}

/* A file of tensors of two floats each, named by one letter: its first is `value`, then one more.
 */
static void write_shard(const char *folder, const char *name, const char *letters, float value)
{
    struct buf header = {0}, bytes = {0};
    const size_t n = strlen(letters);

    for (size_t i = 0; i < n; i++)
        buf_printf(&header, "%c\"%c\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[%zu,%zu]}",
                   i > 0 ? ',' : '{', letters[i], 8 * i, 8 * i + 8);
    buf_append_string(&header, n > 0 ? "}" : "{}");
    put_safetensors(&bytes, header.data, 0);
    for (size_t i = 0; i < 2 * n; i++) {
        const float x = value + (float)i;

        buf_append(&bytes, &x, sizeof(x));
    }
    write_file(folder, name, bytes.data, bytes.len);
    buf_release(&header);
    buf_release(&bytes);
}

static bool open_index(struct tensor_file *file, const char *folder, const char *json,
                       struct status *status)
{
    struct buf path = {0};
    bool ok;

    write_text(folder, "index", json);
    buf_printf(&path, "%s/index", folder);
    ok = safetensors_index_open(file, path.data, status);
    buf_release(&path);
    return ok;
}

static void assert_first(const struct tensor_file *file, const char *name, float wanted)
{
    const struct tensor_entry *entry = tensor_file_find(file, name);
    float value;

    assert_non_null(entry);
    memcpy(&value, entry->data, sizeof(value));
    assert_true(value >= wanted && value <= wanted);
}

static void joins_the_files_that_the_index_names(void **state)
{
    static const char *const good[] = {GOOD, SIZED("24"), SIZED("24.0"), SIZED("null")};
    char folder[64];

    (void)state;
    make_folder(folder);
    write_shard(folder, "one", "ca", 10);
    write_shard(folder, "two", "b", 20);
    write_text(folder, "consolidated.safetensors", "not read");
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct tensor_file file;
        struct status status = {0};

        if (!open_index(&file, folder, good[i], &status))
            fail_msg("%s: %s", good[i], status.message);
        assert_int_equal(file.n_entries, 3);
        assert_string_equal(file.entries[0].name, "a");
        assert_string_equal(file.entries[2].name, "c");
        assert_first(&file, "a", 12);
        assert_first(&file, "b", 20);
        assert_first(&file, "c", 10);
        tensor_file_close(&file);
    }
    remove_file(folder, "index");
    remove_file(folder, "one");
    remove_file(folder, "two");
    remove_file(folder, "consolidated.safetensors");
    rmdir(folder);
}

static void refuses_files_that_are_not_as_the_index_says(void **state)
{
    static const struct {
        const char *json, *message;
    } wrong[] = {
        {SIZED("23"), "/index: metadata: total_size: 23, but the tensors have 24 bytes"},
        {MAP("\"a\":\"one\",\"b\":\"two\""), "/index: one has tensor 'c', weight_map does not"},
        {MAP("\"a\":\"one\",\"b\":\"one\",\"c\":\"one\",\"d\":\"two\""),
         "/index: tensor 'b' is in two, but weight_map has it in one"},
        {MAP("\"a\":\"one\",\"b\":\"two\",\"c\":\"one\",\"d\":\"two\""),
         "/index: tensor 'd' is not in two"},
        {MAP("\"a\":\"one\",\"b\":\"three\",\"c\":\"one\""), "/three: No such file or directory"},
        {MAP("\"a\":\"one\",\"b\":\"index\",\"c\":\"one\""),
         "/index: is a JSON file, not a safetensors file"},
        {"{\"weight_map\":", "/index: line 1, column 14: unexpected token near end of file"},
    };
    char folder[64];

    (void)state;
    make_folder(folder);
    write_shard(folder, "one", "ca", 10);
    write_shard(folder, "two", "b", 20);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct tensor_file file;
        struct buf message = {0};
        struct status status = {0};

        buf_printf(&message, "%s%s", folder, wrong[i].message);
        assert_false(open_index(&file, folder, wrong[i].json, &status));
        if (strncmp(status.message, message.data, message.len) != 0)
            fail_msg("'%s', but not '%s'", status.message, message.data);
        assert_null(file.entries); /* nothing is left open */
        assert_null(file.parts);
        buf_release(&message);
    }
    remove_file(folder, "index");
    remove_file(folder, "one");
    remove_file(folder, "two");
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_an_index_by_name),
        cmocka_unit_test(refuses_more_files_or_tensors_than_are_read),
        cmocka_unit_test(joins_the_files_that_the_index_names),
        cmocka_unit_test(refuses_files_that_are_not_as_the_index_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
