/* Small JSON files: their limits, and members with types and ranges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "file_bytes.h"
#include "formats/json_file.h"

/* n brackets open, then n closed, around `inner`. */
static struct buf nested(size_t n, const char *inner)
{
    struct buf text = {0};

    for (size_t i = 0; i < n; i++)
        buf_append_char(&text, '[');
    buf_append_string(&text, inner);
    for (size_t i = 0; i < n; i++)
        buf_append_char(&text, ']');
    return text;
}

static void assert_parse(struct text bytes, const char *message)
{
    struct status status = {0};
    json_t *value = json_file_parse(bytes, JSON_FILE_EXACT, &status);

    assert_int_equal(value != NULL, message == NULL);
    if (message) {
        assert_string_equal(status.message, message);
        assert_int_equal(status.code, STATUS_CONFIG);
    }
    json_decref(value);
}

static void nests_to_64_levels_and_no_deeper(void **state)
{
    struct buf text = nested(JSON_FILE_MAX_DEPTH, "");

    (void)state;
    assert_parse(buf_text(&text), NULL);
    buf_release(&text);
    text = nested(JSON_FILE_MAX_DEPTH + 1, "");
    assert_parse(buf_text(&text), "nested deeper than 64 levels");
    buf_release(&text);
}

static void counts_no_brackets_inside_strings(void **state)
{
    struct buf text = nested(JSON_FILE_MAX_DEPTH, "\"[[{{\\\"[[\",\"\\\\\"");

    (void)state;
    assert_parse(buf_text(&text), NULL);
    buf_release(&text);
}

static void reads_at_most_16_mib(void **state)
{
    struct buf text = {0};

    (void)state;
    buf_append_string(&text, "[]");
    while (text.len < JSON_FILE_MAX_SIZE)
        buf_append_char(&text, ' ');
    assert_parse(buf_text(&text), NULL);
    buf_append_char(&text, ' ');
    assert_parse(buf_text(&text), "16777217 bytes, at most 16777216 are read");
    buf_release(&text);
}

/* What stands near a fault is the file's, perhaps for a terminal to obey: it is not repeated. */
static void never_repeats_the_bytes_of_the_file(void **state)
{
    (void)state;
    assert_parse(text_of("{\"a\":secret}"), "line 1, column 11: invalid token");
    assert_parse(text_of("[\"secret\" 1]"), "line 1, column 11: ']' expected");
    assert_parse(text_of("[1e999]"), "line 1, column 6: real number overflow");
    assert_parse(text_of("[\"\\ud800\"]"), "line 1, column 9: invalid Unicode '\\uD800'");
}

static void reads_integers_of_any_length_as_reals_when_asked(void **state)
{
    const struct text text = text_of("{\"n\":1000000000000000019884624838656,\"m\":512}");
    struct status status = {0};
    json_t *root = json_file_parse(text, JSON_FILE_INTEGERS_AS_REALS, &status);
    double value = 0;
    bool found;

    (void)state;
    assert_non_null(root);
    assert_true(json_file_number(root, "n", 1, 1e40, &value, &found, &status));
    assert_true(value >= 1e30 && value <= 1e30);
    assert_true(json_file_number(root, "m", 1, 1e40, &value, NULL, &status));
    assert_true(value >= 512 && value <= 512);
    json_decref(root);
    assert_null(json_file_parse(text, JSON_FILE_EXACT, &status));
    assert_string_equal(status.message, "line 1, column 36: too big integer");
}

static void gets_members_by_type_and_range(void **state)
{
    struct status status = {0};
    json_t *root =
        json_file_parse(text_of("{\"i\":-3,\"r\":0.5,\"t\":true,\"s\":\"x\",\"z\":null}"),
                        JSON_FILE_EXACT, &status);
    int64_t integer = 9;
    double number;
    bool yes = false, found = true;
    const char *string;

    (void)state;
    assert_non_null(root);
    assert_true(json_file_int(root, "i", -3, -3, &integer, NULL, &status));
    assert_int_equal(integer, -3);
    assert_false(json_file_int(root, "i", -2, 0, &integer, NULL, &status));
    assert_string_equal(status.message, "i: must be an integer from -2 to 0, is -3");
    assert_true(json_file_int(root, "z", 0, 1, &integer, &found, &status));
    assert_false(found);
    assert_int_equal(integer, -3); /* left alone */
    assert_false(json_file_int(root, "z", 0, 1, &integer, NULL, &status));
    assert_string_equal(status.message, "z: missing");
    assert_true(json_file_number(root, "r", 0, 1, &number, &found, &status));
    assert_true(found);
    assert_true(number >= 0.5 && number <= 0.5);
    assert_true(json_file_number(root, "i", -5, 0, &number, NULL, &status)); /* an integer is one */
    assert_true(json_file_bool(root, "t", &yes, NULL, &status));
    assert_true(yes);
    assert_false(json_file_bool(root, "i", &yes, NULL, &status));
    assert_string_equal(status.message, "i: must be true or false, is an integer");
    assert_true(json_file_string(root, "s", &string, NULL, &status));
    assert_string_equal(string, "x");
    assert_false(json_file_string(root, "t", &string, NULL, &status));
    assert_string_equal(status.message, "t: must be a string, is a boolean");
    assert_false(json_file_string(root, "absent", &string, NULL, &status));
    assert_string_equal(status.message, "absent: missing");
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nests_to_64_levels_and_no_deeper),
        cmocka_unit_test(counts_no_brackets_inside_strings),
        cmocka_unit_test(reads_at_most_16_mib),
        cmocka_unit_test(never_repeats_the_bytes_of_the_file),
        cmocka_unit_test(reads_integers_of_any_length_as_reals_when_asked),
        cmocka_unit_test(gets_members_by_type_and_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
