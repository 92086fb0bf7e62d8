/* Partial statistics: for every way to lie, the message that it gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "score_totals_fixture.h"

/* A good file, for the cases to change. */
static json_t *good_file(void)
{
    struct score_totals *totals = score_totals_new(&fixture_compare, 4);
    struct buf text = {0};
    json_t *root;

    for (uint64_t i = 0; i < 12; i++)
        fixture_add(totals, i);
    fixture_add(totals, 5);
    score_partial_write(totals, &text);
    score_totals_free(totals);
    root = json_loadb(text.data, text.len, 0, NULL);
    assert_non_null(root);
    buf_release(&text);
    return root;
}

/* The value at a path as "legs/0/card" becomes what `json` says; json NULL: it goes. */
static void change(json_t *root, const char *path, const char *json)
{
    char part[64];
    json_t *at = root, *value = NULL;
    size_t n;

    if (json) {
        value = json_loads(json, JSON_DECODE_ANY, NULL);
        assert_non_null(value);
    }
    for (;; path += n + 1) {
        n = strcspn(path, "/");
        assert_true(n < sizeof(part));
        memcpy(part, path, n);
        part[n] = '\0';
        if (path[n] == '\0')
            break;
        at = json_is_array(at) ? json_array_get(at, (size_t)atoi(part)) : json_object_get(at, part);
        assert_non_null(at);
    }
    if (json_is_array(at)) {
        assert_int_equal(value ? json_array_set_new(at, (size_t)atoi(part), value)
                               : json_array_remove(at, (size_t)atoi(part)),
                         0);
    } else {
        assert_int_equal(value ? json_object_set_new(at, part, value) : json_object_del(at, part),
                         0);
    }
}

static void assert_bytes_refused(struct text bytes, const char *message)
{
    struct status status = {0};
    struct score_totals *totals = score_partial_parse(bytes, &status);

    if (totals)
        fail_msg("accepted, instead of: %s", message);
    assert_string_equal(status.message, message);
    assert_int_equal(status.code, STATUS_DATA);
}

static void refuses_each_change_with_its_reason(void **state)
{
    static const struct {
        const char *path, *json, *message;
    } cases[] = {
        {"medrat_partial", NULL, "is not what medrat-score --partial writes"},
        {"medrat_partial", "2", "medrat_partial: must be an integer from 1 to 1, is 2"},
        {"protocol", "[]", "protocol: must be an object, is a list"},
        {"protocol/model", NULL, "protocol: model: missing"},
        {"protocol/model", "7", "protocol: model: must be a string, is an integer"},
        {"protocol/kernels", "\"0123456789012345678901234567890123\"",
         "protocol: kernels: longer than 31 bytes"},
        {"protocol/max_length", "-1",
         "protocol: max_length: must be an integer from 0 to 1073741824, is -1"},
        {"protocol/compare", "1", "protocol: compare: must be true or false, is an integer"},
        {"protocol/unknown", "1", "protocol: a member that is not known here"},
        {"unknown", "1", "must have 10 members, has 11"},
        {"batch", "1.5", "batch: must be an integer from 0 to 9007199254740992, is a number"},
        {"counts", NULL, "must have 10 members, has 9"},
        {"counts/scored", "-1",
         "counts: scored: must be an integer from 0 to 9007199254740992, is -1"},
        {"counts/weight", "9007199254740993",
         "counts: weight: must be an integer from 0 to 9007199254740992, is 9007199254740993"},
        {"counts/query", "{\"tokens\":1}", "counts: query: must have 2 items, has 1"},
        {"counts/query/bytes", "\"1\"",
         "counts: query: bytes: must be an integer from 0 to 9007199254740992, is a string"},
        {"counts/other", "1", "counts: must have 12 items, has 13"},
        {"counts/truncated", "13", "counts: more records than were scored"},
        {"counts/improved", "12", "counts: more records than were scored"},
        {"counts/weight", "5", "counts: the tokens do not fit the records"},
        {"skipped", "[]", "skipped: must be an object, is a list"},
        {"skipped/x", "-1", "skipped: x: must be an integer from 0 to 9007199254740992, is -1"},
        {"skipped/a\nb", "1", "skipped: a reason that is none of ours"},
        {"keys", "7", "keys: must be ascending keys of 16 hexadecimal digits each"},
        {"keys", "\"0123\"", "keys: must be ascending keys of 16 hexadecimal digits each"},
        {"keys", "\"0123456789ABCDEF\"",
         "keys: must be ascending keys of 16 hexadecimal digits each"},
        {"keys", "\"00000000000000020000000000000001\"",
         "keys: must be ascending keys of 16 hexadecimal digits each"},
        {"keys", "\"00000000000000010000000000000001\"",
         "keys: must be ascending keys of 16 hexadecimal digits each"},
        {"keys", "\"\"", "keys: 0 of them, of 13 records"},
        {"repeated_keys", "\"0000000000000001\"",
         "repeated_keys: must be ascending keys of 16 hexadecimal digits each"},
        {"repeated_keys", "null",
         "repeated_keys: must be ascending keys of 16 hexadecimal digits each"},
        {"legs/1", NULL, "legs: must have 2 items, has 1"},
        {"legs/1", "[]", "legs[1]: must be an object of 11 members"},
        {"legs/0/card", "\"0x10p0\"", "legs[0]: card: is not an exact sum as \"0x1ap-64\""},
        {"legs/0/card", "1.5", "legs[0]: card: must be a string, is a number"},
        {"legs/0/plain", "\"nan\"", "legs[0]: plain: is not an exact sum as \"0x1ap-64\""},
        {"legs/0/losses", "\"0x1p1000\"", "legs[0]: losses: beyond 1e+120"},
        {"legs/0/squares", "\"-0x1p1000\"", "legs[0]: squares: beyond 1e+220"},
        {"legs/0/least", "1e101",
         "legs[0]: least: must be a number from -1e+100 to 1e+100, is 1e+101"},
        {"legs/0/histogram", "[[1,2,3]]",
         "legs[0]: histogram: must be ascending pairs of bin and number, 12 in all"},
        {"legs/0/histogram", "[[2,1],[1,11]]",
         "legs[0]: histogram: must be ascending pairs of bin and number, 12 in all"},
        {"legs/0/histogram", "[[32769,12]]",
         "legs[0]: histogram: must be ascending pairs of bin and number, 12 in all"},
        {"legs/0/histogram", "[[1,13]]",
         "legs[0]: histogram: must be ascending pairs of bin and number, 12 in all"},
        {"legs/0/histogram", "[[1,2.0]]",
         "legs[0]: histogram: must be ascending pairs of bin and number, 12 in all"},
        {"legs/0/histogram", "[[1,11]]", "legs[0]: histogram: 11 records, but 12 were scored"},
        {"legs/0/histogram", "{}", "legs[0]: histogram: must be a list, is an object"},
        {"worst/0", "[]", "worst[0]: must be an object of 4 members"},
        {"worst/0/id", "7", "worst[0]: id: must be the JSON text of an id"},
        {"worst/0/id", "\"q7\"", "worst[0]: id: must be the JSON text of an id"},
        {"worst/0/id", "\"{}\"", "worst[0]: id: must be the JSON text of an id"},
        {"worst/0/id", "\"1,2\"", "worst[0]: id: must be the JSON text of an id"},
        {"worst/0/id", "\" 12\"", "worst[0]: id: must be the JSON text of an id"},
        {"worst/0/key", "\"12\"", "worst[0]: key: must be 16 hexadecimal digits"},
        {"worst/0/adapted", "-5", "worst[0]: did not get worse"},
        {"worst/0/base", "\"1\"",
         "worst[0]: base: must be a number from -1e+100 to 1e+100, is a string"},
        {"worst", "[]", "worst: must have 6 items, has 0"},
        {"bootstrap/7", NULL, "bootstrap: must have 1000 items, has 999"},
        {"bootstrap/7", "[1]", "bootstrap[7]: must be a list of 6"},
        {"bootstrap/7/0", "\"1\"", "bootstrap[7]: sum: is not an exact sum as \"0x1ap-64\""},
        {"bootstrap/7/2", "-1", "bootstrap[7]: weight: out of range"},
        {"bootstrap/7/2", "1.5", "bootstrap[7]: weight: out of range"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *root = good_file();
        char *text;

        change(root, cases[i].path, cases[i].json);
        text = json_dumps(root, JSON_COMPACT);
        assert_bytes_refused(text_of(text), cases[i].message);
        free(text);
        json_decref(root);
    }
}

static void refuses_what_is_no_such_file(void **state)
{
    static const struct {
        const char *bytes, *message;
    } cases[] = {
        {"", "line 1, column 0: '[' or '{' expected near end of file"},
        {"{", "line 1, column 1: string or '}' expected near end of file"},
        {"[]", "is not what medrat-score --partial writes"},
        {"{\"medrat\":1}", "is not what medrat-score --partial writes"},
        {"{\"medrat_partial\":1,\"medrat_partial\":1}", "line 1, column 36: duplicate object key"},
        {"{\"medrat_partial\":1}", "protocol: must be an object, is missing"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_bytes_refused(text_of(cases[i].bytes), cases[i].message);
}

static void a_good_file_cut_anywhere_is_refused(void **state)
{
    json_t *root = good_file();
    char *text = json_dumps(root, JSON_COMPACT);
    const size_t len = strlen(text);

    (void)state;
    for (size_t n = 0; n < len; n += 997) {
        struct status status = {0};

        assert_null(score_partial_parse((struct text){text, n}, &status));
        assert_int_equal(status.code, STATUS_DATA);
    }
    free(text);
    json_decref(root);
}

static void too_many_reasons_are_refused(void **state)
{
    json_t *root = good_file();
    char path[32], *text;

    (void)state;
    for (int i = 0; i < SCORE_MAX_REASONS; i++) {
        snprintf(path, sizeof(path), "skipped/reason %d", i);
        change(root, path, "1");
    }
    text = json_dumps(root, JSON_COMPACT);
    assert_bytes_refused(text_of(text), "skipped: more than 32 reasons");
    free(text);
    json_decref(root);
}

static void a_missing_file_is_named(void **state)
{
    struct status status = {0};

    (void)state;
    assert_null(score_partial_read("no/such.json", &status));
    assert_int_equal(status.code, STATUS_NO_INPUT);
    assert_non_null(strstr(status.message, "no/such.json"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_each_change_with_its_reason),
        cmocka_unit_test(refuses_what_is_no_such_file),
        cmocka_unit_test(a_good_file_cut_anywhere_is_refused),
        cmocka_unit_test(too_many_reasons_are_refused),
        cmocka_unit_test(a_missing_file_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
