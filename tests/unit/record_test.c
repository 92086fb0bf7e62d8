/* A record and its line: what is refused and where, what goes back byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "formats/json_write.h"
#include "formats/record.h"

static struct text literal(const char *bytes, size_t n)
{
    return (struct text){bytes, n};
}

/* The line with `members` added after those named in `replaced` (NULL or one name) went. */
static char *written(const char *line, const char *members, const char *replaced)
{
    struct record record = {0};
    struct status status = {0};
    struct buf out = {0};

    assert_true(record_parse(&record, text_of(line), &status));
    record_write(&record, text_of(members), &replaced, replaced ? 1 : 0, &out);
    record_release(&record);
    return out.data; /* the caller frees */
}

static void assert_written(const char *line, const char *members, const char *replaced,
                           const char *expected)
{
    char *got = written(line, members, replaced);

    assert_string_equal(got, expected);
    free(got);
}

static void new_members_go_before_the_closing_brace(void **state)
{
    (void)state;
    assert_written("{\"a\":1}", "\"b\":2", NULL, "{\"a\":1,\"b\":2}\n");
    assert_written("{}", "\"b\":2", NULL, "{\"b\":2}\n");
    assert_written("{ }", "\"b\":2", NULL, "{ \"b\":2}\n");
    assert_written("{\"a\":1}", "", NULL, "{\"a\":1}\n");
    assert_written("{}", "", NULL, "{}\n");
    assert_written(" {\"a\" : {\"}\":\"}\"} } ", "\"b\":2", NULL,
                   " {\"a\" : {\"}\":\"}\"} ,\"b\":2}\n");
}

static void old_members_stay_as_they_were_spelled(void **state)
{
    (void)state;
    assert_written(
        "{\"n\":1.000,\"e\":-0.0E+2,\"s\":\"\\u00e9\\/\xc3\xa9\",\t\"z\":[ ]}", "\"b\":2", NULL,
        "{\"n\":1.000,\"e\":-0.0E+2,\"s\":\"\\u00e9\\/\xc3\xa9\",\t\"z\":[ ],\"b\":2}\n");
}

static void a_replaced_member_leaves_no_trace(void **state)
{
    (void)state;
    assert_written("{\"b\":1, \"a\":2,  \"c\":3}", "\"b\":9", "b", "{\"a\":2,  \"c\":3,\"b\":9}\n");
    assert_written("{\"a\":2, \"b\":1,  \"c\":3}", "\"b\":9", "b", "{\"a\":2,  \"c\":3,\"b\":9}\n");
    assert_written("{\"a\":2, \"b\" : {\"b\":1} }", "\"b\":9", "b", "{\"a\":2 ,\"b\":9}\n");
    assert_written("{\"b\":1}", "\"b\":9", "b", "{\"b\":9}\n");
    assert_written("{ \"b\":1 }", "", "b", "{  }\n");
    /* the name counts, not its spelling */
    assert_written("{\"\\u0062\":1,\"bb\":2}", "\"b\":9", "b", "{\"bb\":2,\"b\":9}\n");
    /* nor where it stands */
    assert_written("{\"a\":{\"b\":1}}", "\"b\":9", "b", "{\"a\":{\"b\":1},\"b\":9}\n");
}

static void gaps_are_filled_and_what_is_there_is_not(void **state)
{
    struct record record = {0};
    struct status status = {0};
    struct buf out = {0};

    (void)state;
    assert_true(record_parse(&record, text_of("{\"tokens\":null}"), &status));
    record_missing_members(&record, text_of("\"tokens\":[1,2],\"n_tokens\":2,\"x\":{\"tokens\":1}"),
                           &out);
    assert_string_equal(out.data, "\"n_tokens\":2,\"x\":{\"tokens\":1}");
    buf_release(&out);
    record_release(&record);
}

struct bad_line {
    const char *bytes;
    size_t len;
    const char *kind;
    size_t column;
    const char *message;
};
#define BAD(literal, kind, column, message)                                                        \
    {                                                                                              \
        literal, sizeof(literal) - 1, kind, column, message                                        \
    }

static const struct bad_line bad_lines[] = {
    BAD("", "blank", 1, "blank line"),
    BAD(" \t\r", "blank", 1, "blank line"),
    BAD("PATIENT", "json", 1, "not valid JSON: expected an object"),
    BAD("{\"a\":PATIENT}", "json", 6, "not valid JSON: expected a value"),
    BAD("{\"a\":tru}", "json", 9, "not valid JSON: expected true, false or null"),
    BAD("{\"a\":1", "json", 7, "not valid JSON: the line ends before ',' or '}'"),
    BAD("{\"a\":1,}", "json", 8, "not valid JSON: expected the name of a member"),
    BAD("{\"a\":1}PATIENT", "json", 8, "not valid JSON: expected nothing more after the object"),
    BAD("{\"a\":1}{}", "json", 8, "not valid JSON: expected nothing more after the object"),
    BAD("{\"a\" 1}", "json", 6, "not valid JSON: expected ':'"),
    BAD("{a:1}", "json", 2, "not valid JSON: expected the name of a member"),
    BAD("{'a':1}", "json", 2, "not valid JSON: expected the name of a member"),
    BAD("{\"a\":[1,2}", "json", 10, "not valid JSON: expected ',' or ']'"),
    BAD("{\"a\":01}", "json", 7, "not valid JSON: a number starts with 0"),
    BAD("{\"a\":-}", "json", 7, "not valid JSON: expected a digit"),
    BAD("{\"a\":1.}", "json", 8, "not valid JSON: expected a digit"),
    BAD("{\"a\":.5}", "json", 6, "not valid JSON: expected a value"),
    BAD("{\"a\":1e}", "json", 8, "not valid JSON: expected a digit"),
    BAD("{\"a\":+1}", "json", 6, "not valid JSON: expected a value"),
    BAD("{\"a\":NaN}", "json", 6, "not valid JSON: expected a value"),
    BAD("{\"a\":\"PATIENT\t\"}", "json", 14, "not valid JSON: control character in a string"),
    BAD("{\"a\":\"\\x\"}", "json", 8,
        "not valid JSON: expected one of \" \\ / b f n r t u after a backslash"),
    BAD("{\"a\":\"\\u12g4\"}", "json", 11,
        "not valid JSON: expected four hexadecimal digits after \\u"),
    BAD("{\"a\":\"PATIENT", "json", 14, "not valid JSON: the line ends before the end of a string"),
    BAD("[1,2]", "object", 1, "a JSON value, but not an object"),
    BAD("\"PATIENT\"", "object", 1, "a JSON value, but not an object"),
    BAD(" 17", "object", 2, "a JSON value, but not an object"),
    BAD("null", "object", 1, "a JSON value, but not an object"),
    BAD("\0", "nul", 1, "NUL byte in line"),
    BAD("{\"a\":\"x\0y\"}", "nul", 8, "NUL byte in line"),
    BAD("{\"a\":1}\0", "nul", 8, "NUL byte in line"),
    BAD("{\"a\\u0000\":1}", "nul", 4, "\\u0000 in the name of a member"),
    BAD("{\"a\":\"PATIENT\xff\"}", "utf8", 14, "byte 0xff is not UTF-8"),
    BAD("\xff", "utf8", 1, "byte 0xff is not UTF-8"),
    BAD("{\"a\":\"\xc0\x80\"}", "utf8", 7, "byte 0xc0 is not UTF-8"),         /* overlong */
    BAD("{\"a\":\"\xed\xa0\x80\"}", "utf8", 7, "byte 0xed is not UTF-8"),     /* a surrogate */
    BAD("{\"a\":\"\xf4\x90\x80\x80\"}", "utf8", 7, "byte 0xf4 is not UTF-8"), /* above U+10FFFF */
    BAD("{\"a\":\"\xe2\x82", "utf8", 7, "byte 0xe2 is not UTF-8"),            /* cut at the end */
    BAD("{\"a\":\"\\ud800\"}", "surrogate", 7, "half of a surrogate pair alone"),
    BAD("{\"a\":\"\\udc00\\ud800\"}", "surrogate", 7, "half of a surrogate pair alone"),
    BAD("{\"a\":\"\\ud800\\u0041\"}", "surrogate", 7, "half of a surrogate pair alone"),
    BAD("{\"PATIENT\":1,\"PATIENT\":2}", "duplicate", 14, "the same member occurs twice"),
    BAD("{\"a\":{\"PATIENT\":1,\"P\\u0041TIENT\":2}}", "duplicate", 19,
        "the same member occurs twice"),
    BAD("{\"id\":1.5}", "type", 7, "member 'id': expected a string or an integer, got a number"),
    BAD("{\"id\":{\"PATIENT\":1}}", "type", 7,
        "member 'id': expected a string or an integer, got an object"),
    BAD("{\"query\":1,\"query\":2}", "duplicate", 12, "member 'query' occurs twice"),
};

static void each_bad_line_has_its_kind_column_and_message(void **state)
{
    struct record record = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(bad_lines) / sizeof(bad_lines[0]); i++) {
        const struct bad_line *bad = &bad_lines[i];
        struct status status = {0};

        assert_false(record_parse(&record, literal(bad->bytes, bad->len), &status));
        if (status.code != STATUS_INPUT || strcmp(status.kind, bad->kind) != 0 ||
            status.column != bad->column || strcmp(status.message, bad->message) != 0)
            fail_msg("case %zu: %s, column %zu: %s", i, status.kind, status.column, status.message);
        assert_null(record.object);
    }
    record_release(&record);
}

static void messages_show_nothing_of_the_text(void **state)
{
    struct record record = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(bad_lines) / sizeof(bad_lines[0]); i++) {
        struct status status = {0};

        assert_false(record_parse(&record, literal(bad_lines[i].bytes, bad_lines[i].len), &status));
        assert_null(strstr(status.message, "PATIENT"));
        assert_null(strstr(status.member, "PATIENT"));
    }
    record_release(&record);
}

static void a_known_member_that_occurs_twice_is_named(void **state)
{
    struct record record = {0};
    struct status status = {0};

    (void)state;
    assert_false(
        record_parse(&record, text_of("{\"id\":\"x\",\"text\":\"\",\"text\":\"\"}"), &status));
    assert_string_equal(status.member, "text");
    assert_true(text_is(record.id, "\"x\"")); /* for the error record */
    record_release(&record);
}

static char *nested(int depth)
{
    const size_t n = (size_t)depth;
    char *line = calloc(2 * n + 10, 1);

    strcpy(line, "{\"a\":");
    memset(line + 5, '[', n - 1);
    memset(line + 5 + n - 1, ']', n - 1);
    line[5 + 2 * (n - 1)] = '}';
    return line;
}

static void nests_256_deep_and_not_deeper(void **state)
{
    struct record record = {0};
    struct status status = {0};
    char *fits = nested(RECORD_MAX_DEPTH), *deeper = nested(RECORD_MAX_DEPTH + 1);

    (void)state;
    assert_true(record_parse(&record, text_of(fits), &status));
    assert_false(record_parse(&record, text_of(deeper), &status));
    assert_string_equal(status.kind, "depth");
    assert_int_equal(status.column, 5 + RECORD_MAX_DEPTH);
    free(fits);
    free(deeper);
    record_release(&record);
}

/* What jansson says of the same line. */
static bool jansson_takes(struct text line)
{
    json_t *value = json_loadb(line.ptr, line.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    const bool ok = json_is_object(value);

    json_decref(value);
    return ok;
}

/* Every byte of a line with everything in it, replaced by every byte. */
static void agrees_with_jansson_on_every_line_one_byte_away(void **state)
{
    static const char line[] = "{\"a\":[1,-2.5e+3,0.1,{}],\"b\\n\\u00e9\":\"\xc3\xa9\xe2\x82\xac"
                               "\xf0\x9f\x98\x80\\ud83d\\ude00\\u0000\", \"c\" :true,\"d\":null}";
    const size_t n = sizeof(line) - 1;
    struct record record = {0};
    char changed[sizeof(line)];

    (void)state;
    assert_true(jansson_takes(literal(line, n)));
    for (size_t at = 0; at < n; at++) {
        for (int byte = 0; byte < 256; byte++) {
            struct status status = {0};
            bool ok;

            memcpy(changed, line, sizeof(line));
            changed[at] = (char)byte;
            ok = record_parse(&record, literal(changed, n), &status);
            if (ok != jansson_takes(literal(changed, n)))
                fail_msg("byte %zu as 0x%02x: %s", at, (unsigned)byte, ok ? "taken" : "refused");
        }
    }
    record_release(&record);
}

static void no_prefix_of_a_record_is_a_record(void **state)
{
    static const char line[] = "{\"id\":\"a\",\"n\":[1e5,true],\"s\":\"\\u00e9\xc3\xa9\"}";
    struct record record = {0};
    struct status status = {0};

    (void)state;
    for (size_t n = 0; n < sizeof(line) - 1; n++) {
        assert_false(record_parse(&record, literal(line, n), &status));
        assert_int_equal(status.code, STATUS_INPUT);
        assert_true(status.column <= n + 1);
    }
    assert_true(record_parse(&record, literal(line, sizeof(line) - 1), &status));
    record_release(&record);
}

static void numbers_that_jansson_refuses_pass_unchanged(void **state)
{
    static const char line[] =
        "{\"a\":1234567890123456789012345,\"b\":1e999,\"c\":-1E+400,\"d\":[-9223372036854775809],"
        "\"e\":9223372036854775807,\"f\":0.1e-999,\"g\":99999999999999999999}";
    struct record record = {0};
    struct status status = {0};
    struct buf out = {0};

    (void)state;
    assert_true(record_parse(&record, text_of(line), &status));
    record_write(&record, text_of("\"z\":1"), NULL, 0, &out);
    assert_memory_equal(out.data, line, sizeof(line) - 2);
    assert_string_equal(out.data + sizeof(line) - 2, ",\"z\":1}\n");
    /* in the tree they are numbers of nearly that size */
    assert_true(json_real_value(record_get(&record, "a")) > 1.2345678e24);
    assert_true(json_real_value(record_get(&record, "a")) < 1.2345679e24);
    assert_true(json_real_value(record_get(&record, "b")) == 1e308);
    assert_true(json_real_value(record_get(&record, "c")) == -1e308);
    assert_true(json_integer_value(record_get(&record, "e")) == INT64_MAX);
    assert_true(json_real_value(record_get(&record, "g")) == 99999999999999999e3);
    buf_release(&out);
    record_release(&record);
}

static void an_integer_of_a_thousand_digits_passes(void **state)
{
    char line[1100] = "{\"a\":-";
    struct record record = {0};
    struct status status = {0};

    (void)state;
    memset(line + 6, '7', 1000);
    strcpy(line + 1006, "}");
    assert_true(record_parse(&record, text_of(line), &status));
    assert_true(json_real_value(record_get(&record, "a")) == -1e308);
    record_release(&record);
}

static void the_key_is_of_the_id_or_of_the_line(void **state)
{
    struct record record = {0};
    struct status status = {0};

    (void)state;
    assert_true(record_parse(&record, text_of("{\"a\":1,\"id\" : \"x\\u0041\" }"), &status));
    assert_true(text_is(record.id, "\"x\\u0041\""));
    assert_true(record.key == hash64("\"x\\u0041\"", 9));
    assert_true(record_parse(&record, text_of("{\"id\":123456789012345678901234567890}"), &status));
    assert_true(text_is(record.id, "123456789012345678901234567890"));
    assert_true(record_parse(&record, text_of("{\"id\":null}"), &status));
    assert_int_equal(record.id.len, 0);
    assert_true(record.key == hash64("{\"id\":null}", 11));
    record_release(&record);
}

static bool is_failed(const char *line)
{
    struct record record = {0};
    struct status status = {0};
    bool failed;

    assert_true(record_parse(&record, text_of(line), &status));
    failed = record.failed_upstream;
    record_release(&record);
    return failed;
}

static void only_an_error_with_tool_and_code_marks_a_failed_record(void **state)
{
    (void)state;
    assert_true(is_failed("{\"error\":{\"tool\":\"medrat-gen\",\"code\":\"type\"}}"));
    assert_true(is_failed("{\"id\":[],\"error\":{\"tool\":\"t\",\"code\":\"c\"},\"query\":5}"));
    assert_false(is_failed("{\"error\":null}"));
    assert_false(is_failed("{\"error\":\"no\"}"));
    assert_false(is_failed("{\"error\":{\"code\":\"type\"}}"));
    assert_false(is_failed("{\"a\":{\"error\":{\"tool\":\"t\",\"code\":\"c\"}}}"));
}

static void members_are_typed(void **state)
{
    struct record record = {0};
    struct status status = {0};
    struct text text, *texts;
    int32_t *ids;
    bool found;
    size_t n;

    (void)state;
    assert_true(record_parse(&record,
                             text_of("{\"s\":\"a\\u0000b\",\"l\":[\"x\",\"\"],\"t\":[0,2147483647],"
                                     "\"null\":null,\"mixed\":[\"x\",1],\"wide\":[1,2147483648]}"),
                             &status));
    assert_true(record_string(&record, "s", &text, &found, &status) && found);
    assert_int_equal(text.len, 3);
    assert_memory_equal(text.ptr, "a\0b", 3);
    assert_true(record_string(&record, "absent", &text, &found, &status) && !found);
    assert_true(record_string(&record, "null", &text, &found, &status) && !found);
    assert_false(record_string(&record, "l", &text, &found, &status));
    assert_string_equal(status.kind, "type");
    assert_string_equal(status.member, "l");
    assert_int_equal(status.column, 21);
    assert_true(record_string_list(&record, "l", &texts, &n, &found, &status) && found && n == 2);
    assert_true(text_is(texts[0], "x") && texts[1].len == 0);
    free(texts);
    assert_false(record_string_list(&record, "mixed", &texts, &n, &found, &status));
    assert_string_equal(status.member, "mixed[1]");
    assert_true(record_tokens(&record, "t", &ids, &n, &found, &status) && found && n == 2);
    assert_int_equal(ids[1], INT32_MAX);
    free(ids);
    assert_false(record_tokens(&record, "wide", &ids, &n, &found, &status));
    assert_string_equal(status.member, "wide[1]");
    assert_false(record_tokens(&record, "s", &ids, &n, &found, &status));
    record_release(&record);
}

static void an_error_record_is_a_failed_record(void **state)
{
    struct record record = {0}, back = {0};
    struct status why = {0}, status = {0};
    struct buf out = {0};

    (void)state;
    assert_true(record_parse(&record, text_of("{\"id\":\"q\\/1\",\"query\":7}"), &status));
    assert_false(
        record_fail_type(&record, "query", "a string", record_get(&record, "query"), &why));
    record_write_error(&record, "medrat-gen", &why, 12, &out);
    assert_string_equal(out.data,
                        "{\"id\":\"q\\/1\",\"error\":{\"tool\":\"medrat-gen\",\"code\":"
                        "\"type\",\"message\":\"member 'query': expected a string, got an "
                        "integer\",\"line\":12,\"column\":22,\"member\":\"query\"}}\n");
    out.len--;
    assert_true(record_parse(&back, buf_text(&out), &status));
    assert_true(back.failed_upstream);
    buf_release(&out);
    record_release(&record);
    record_release(&back);
}

static char *as_json(struct text text)
{
    struct buf out = {0};

    json_write_string(&out, text);
    return out.data;
}

static void strings_are_escaped_and_always_utf8(void **state)
{
    char *got = as_json(literal("a\"\\\n\0\x1f\x7f\xc3\xa9", 9));

    (void)state;
    assert_string_equal(got, "\"a\\\"\\\\\\n\\u0000\\u001F\x7f\xc3\xa9\"");
    free(got);
    got = as_json(literal("\xff"
                          "a\xe2\x82",
                          4));
    assert_string_equal(got, "\"\xef\xbf\xbd"
                             "a\xef\xbf\xbd\xef\xbf\xbd\"");
    free(got);
}

static void numbers_read_back_the_same(void **state)
{
    static const double values[] = {
        0, -0.0, 1, 0.1, 1.0 / 3, 1e21, 123456789, 5e-324, 1.7976931348623157e308};
    struct buf out = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        buf_reset(&out);
        json_write_double(&out, values[i]);
        assert_true(strtod(out.data, NULL) == values[i]);
        assert_non_null(strpbrk(out.data, ".e"));
    }
    buf_reset(&out);
    json_write_double(&out, 0.1);
    json_write_comma(&out);
    json_write_float(&out, 0.1f);
    json_write_comma(&out);
    json_write_double(&out, strtod("nan", NULL));
    assert_string_equal(out.data, "0.1,0.1,null");
    buf_release(&out);
}

static void names_bring_their_commas(void **state)
{
    struct buf out = {0};

    (void)state;
    json_write_name(&out, "a");
    buf_append_char(&out, '{');
    json_write_name(&out, "b");
    json_write_ints(&out, (const int32_t[]){1, -2, 3}, 3);
    json_write_name(&out, "c");
    json_write_bool(&out, true);
    buf_append_char(&out, '}');
    json_write_name(&out, "d");
    json_write_int(&out, INT64_MIN);
    assert_string_equal(out.data, "\"a\":{\"b\":[1,-2,3],\"c\":true},\"d\":-9223372036854775808");
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_members_go_before_the_closing_brace),
        cmocka_unit_test(old_members_stay_as_they_were_spelled),
        cmocka_unit_test(a_replaced_member_leaves_no_trace),
        cmocka_unit_test(gaps_are_filled_and_what_is_there_is_not),
        cmocka_unit_test(each_bad_line_has_its_kind_column_and_message),
        cmocka_unit_test(messages_show_nothing_of_the_text),
        cmocka_unit_test(a_known_member_that_occurs_twice_is_named),
        cmocka_unit_test(nests_256_deep_and_not_deeper),
        cmocka_unit_test(agrees_with_jansson_on_every_line_one_byte_away),
        cmocka_unit_test(no_prefix_of_a_record_is_a_record),
        cmocka_unit_test(numbers_that_jansson_refuses_pass_unchanged),
        cmocka_unit_test(an_integer_of_a_thousand_digits_passes),
        cmocka_unit_test(the_key_is_of_the_id_or_of_the_line),
        cmocka_unit_test(only_an_error_with_tool_and_code_marks_a_failed_record),
        cmocka_unit_test(members_are_typed),
        cmocka_unit_test(an_error_record_is_a_failed_record),
        cmocka_unit_test(strings_are_escaped_and_always_utf8),
        cmocka_unit_test(numbers_read_back_the_same),
        cmocka_unit_test(names_bring_their_commas),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
