/* Files given in place of a model's: what is said of each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "file_bytes.h"
#include "formats/foreign_file.h"

#define BYTES(literal) literal, sizeof(literal) - 1

static const struct {
    const char *bytes;
    size_t n;
    const char *wanted;
    const char *message; /* behind the path; NULL: nothing is known, the failure stands */
} files[] = {
    {BYTES(""), FOREIGN_FILE_GGUF, "is empty, not a GGUF file"},
    {BYTES("<!DOCTYPE html>\n<html>"), FOREIGN_FILE_GGUF,
     "is a web page (HTML or XML), not a GGUF file"},
    {BYTES("\xEF\xBB\xBF\r\n <HTML lang=\"en\">"), FOREIGN_FILE_JSON,
     "is a web page (HTML or XML), not a JSON file"},
    {BYTES("<?xml version=\"1.0\"?><Error>"), FOREIGN_FILE_SAFETENSORS,
     "is a web page (HTML or XML), not a safetensors file"},
    {BYTES("[PAD]\n[unused0]\n"), "a vocab.txt", NULL},
    {BYTES("{\n}\na\n"), "a vocab.txt", "is a JSON file, not a vocab.txt"},
    {BYTES("{\na\n"), "a vocab.txt", NULL},
    {BYTES("{"), "a vocab.txt", NULL},
    {BYTES("<s>\n</s>\n"), "a vocab.txt", NULL},
    {BYTES("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n"),
     FOREIGN_FILE_SAFETENSORS,
     "is a pointer of Git LFS, not a safetensors file: 'git lfs pull' fetches the file"},
    {BYTES("\0\0\0\0\0\0\0\0\0\0"), FOREIGN_FILE_GGUF,
     "begins with zero bytes, not as a GGUF file does: is it fetched completely?"},
    {BYTES("{\"error\":\"no such model\"}"), FOREIGN_FILE_GGUF, "is a JSON file, not a GGUF file"},
    {BYTES("\n{\n \"a"), FOREIGN_FILE_SAFETENSORS, "is a JSON file, not a safetensors file"},
    {BYTES("{\"architectures\":"), FOREIGN_FILE_JSON, NULL},
    {BYTES("GGUF\3\0\0\0"), FOREIGN_FILE_SAFETENSORS, "is a GGUF file, not a safetensors file"},
    {BYTES("GGUF\3\0\0\0"), FOREIGN_FILE_GGUF, NULL},
    {BYTES("ggjt\3\0\0\0"), FOREIGN_FILE_GGUF, "is a GGML file, older than GGUF, not a GGUF file"},
    {BYTES("\2\0\0\0\0\0\0\0{}"), FOREIGN_FILE_GGUF, "is a safetensors file, not a GGUF file"},
    {BYTES("\2\0\0\0\0\0\0\0{}"), FOREIGN_FILE_SAFETENSORS, NULL},
    {BYTES("\3\0\0\0\0\0\0\0{}"), FOREIGN_FILE_GGUF, NULL}, /* its header is not all there */
    {BYTES("PK\3\4rest"), FOREIGN_FILE_SAFETENSORS, "is a zip archive, not a safetensors file"},
    {BYTES("\x1F\x8B\b\0rest"), FOREIGN_FILE_JSON, "is gzip data, not a JSON file"},
    {BYTES("\x28\xB5\x2F\xFDrest"), FOREIGN_FILE_GGUF, "is zstd data, not a GGUF file"},
    {BYTES("\x80\2\x8A\nl\xFC\x9C\x46\xF9 j"), FOREIGN_FILE_GGUF,
     "is a pickle of PyTorch, which is never read, not a GGUF file"},
    {BYTES("binary\1\2"), FOREIGN_FILE_GGUF, NULL},
    {BYTES(" \t\n"), FOREIGN_FILE_JSON, NULL},
};

static void says_what_a_file_is_instead(void **state)
{
    char folder[64], path[80];

    (void)state;
    make_folder(folder);
    snprintf(path, sizeof(path), "%s/model", folder);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        struct status status = {.code = STATUS_CONFIG, .message = "as it was"};
        struct buf message = {0};

        write_file(folder, "model", files[i].bytes, files[i].n);
        assert_false(foreign_file_explain(path, files[i].wanted, &status));
        if (files[i].message)
            buf_printf(&message, "%s: %s", path, files[i].message);
        assert_string_equal(status.message, files[i].message ? message.data : "as it was");
        assert_int_equal(status.code, STATUS_CONFIG);
        buf_release(&message);
    }
    remove_file(folder, "model");
    rmdir(folder);
}

static void leaves_other_failures_alone(void **state)
{
    struct status status = {.code = STATUS_MEMORY, .message = "no memory"};

    (void)state;
    assert_false(foreign_file_explain("/dev/null", FOREIGN_FILE_GGUF, &status));
    assert_string_equal(status.message, "no memory");
    status.code = STATUS_CONFIG; /* no regular file, nothing there */
    assert_false(foreign_file_explain("/dev/null", FOREIGN_FILE_GGUF, &status));
    assert_false(foreign_file_explain("/nosuch", FOREIGN_FILE_GGUF, &status));
    assert_false(foreign_file_explain("/", FOREIGN_FILE_GGUF, &status));
    assert_string_equal(status.message, "no memory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_a_file_is_instead),
        cmocka_unit_test(leaves_other_failures_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
