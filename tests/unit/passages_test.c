/* The passages of a record: what is read, what is refused, and who stands next to whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rank/neighbours.h"
#include "rank/passages.h"

struct sample {
    struct record record;
    struct passages passages;
};

static bool read_list(struct sample *sample, const char *list, struct status *status)
{
    struct buf line = {0};
    bool ok;

    memset(sample, 0, sizeof(*sample));
    *status = (struct status){0};
    buf_printf(&line, "{\"passages\":%s}", list);
    if (!record_parse(&sample->record, buf_text(&line), status))
        fail_msg("%s", status->message);
    buf_release(&line);
    ok = passages_read(&sample->passages, &sample->record, status);
    return ok;
}

static void release(struct sample *sample)
{
    passages_release(&sample->passages);
    record_release(&sample->record);
}

static void reads_strings_and_objects_mixed(void **state)
{
    struct status status;
    struct sample s;

    (void)state;
    assert_true(
        read_list(&s,
                  "[\"one\",{\"text\":\"two\",\"id\":\"\\u00e4\\\"\"},"
                  "{\"text\":\"\",\"id\":-7,\"doc\":null,\"pos\":null},{\"text\":\"four\"}]",
                  &status));
    assert_int_equal(s.passages.n, 4);
    assert_false(s.passages.placed);
    assert_true(text_is(s.passages.list[0].text, "one"));
    assert_true(text_is(s.passages.list[0].id, "0"));
    assert_true(text_is(s.passages.list[0].name, "0"));
    assert_true(text_is(s.passages.list[1].name, "\u00e4\""));
    assert_true(text_is(s.passages.list[2].id, "-7"));
    assert_int_equal(s.passages.list[2].text.len, 0);
    assert_true(text_is(s.passages.list[3].id, "3"));
    release(&s);
}

static void an_empty_list_is_no_error(void **state)
{
    struct status status;
    struct sample s;

    (void)state;
    assert_true(read_list(&s, "[]", &status));
    assert_int_equal(s.passages.n, 0);
    release(&s);
}

static void a_place_needs_doc_and_pos(void **state)
{
    struct status status;
    struct sample s;

    (void)state;
    assert_true(read_list(&s,
                          "[{\"text\":\"\",\"doc\":\"d\",\"pos\":3},{\"text\":\"\",\"doc\":\"d\"},"
                          "{\"text\":\"\",\"pos\":4},{\"text\":\"\",\"doc\":9,\"pos\":-1}]",
                          &status));
    assert_true(s.passages.placed);
    assert_true(s.passages.list[0].placed && s.passages.list[3].placed);
    assert_false(s.passages.list[1].placed || s.passages.list[2].placed);
    assert_int_equal(s.passages.list[0].pos, 3);
    assert_true(text_is(s.passages.list[0].doc, "\"d\""));
    assert_true(text_is(s.passages.list[3].doc, "9"));
    release(&s);
}

static void refuses_by_kind_and_member(void **state)
{
    static const struct {
        const char *list, *kind, *member;
    } rows[] = {
        {"null", "missing", "passages"},
        {"\"text\"", "type", "passages"},
        {"{}", "type", "passages"},
        {"[\"a\",7]", "type", "passages[1]"},
        {"[[]]", "type", "passages[0]"},
        {"[{\"id\":\"a\"}]", "missing", "passages[0].text"},
        {"[{\"text\":7}]", "type", "passages[0].text"},
        {"[{\"text\":null}]", "type", "passages[0].text"},
        {"[{\"text\":\"\",\"id\":1.5}]", "type", "passages[0].id"},
        {"[{\"text\":\"\",\"doc\":[],\"pos\":1}]", "type", "passages[0].doc"},
        {"[{\"text\":\"\",\"doc\":\"d\",\"pos\":\"1\"}]", "type", "passages[0].pos"},
        {"[{\"text\":\"\",\"id\":\"a\"},\"\",{\"text\":\"\",\"id\":\"a\"}]", "duplicate",
         "passages[2].id"},
        {"[{\"text\":\"\",\"id\":1},{\"text\":\"\",\"id\":\"1\"}]", "duplicate", "passages[1].id"},
        {"[{\"text\":\"\",\"id\":1},\"\"]", "duplicate", "passages[1].id"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct status status;
        struct sample s;

        if (read_list(&s, rows[i].list, &status))
            fail_msg("%s is taken", rows[i].list);
        assert_int_equal(status.code, STATUS_INPUT);
        assert_string_equal(status.kind, rows[i].kind);
        assert_string_equal(status.member, rows[i].member);
        assert_null(s.passages.list);
        release(&s);
    }
}

static void refuses_more_passages_than_the_limit(void **state)
{
    struct buf list = {0};
    struct status status;
    struct sample s;

    (void)state;
    for (int i = 0; i <= PASSAGES_MAX; i++)
        buf_append_string(&list, i > 0 ? ",\"\"" : "[\"\"");
    buf_append_char(&list, ']');
    assert_false(read_list(&s, list.data, &status));
    assert_string_equal(status.kind, "too_many");
    release(&s);
    buf_release(&list);
}

static void collect(void *context, size_t neighbour)
{
    buf_printf(context, " %zu", neighbour);
}

static void assert_neighbours(const char *list, size_t index, size_t window, const char *want)
{
    struct neighbours neighbours;
    struct buf got = {0};
    struct status status;
    struct sample s;

    assert_true(read_list(&s, list, &status));
    neighbours_init(&neighbours, &s.passages);
    neighbours_each(&neighbours, index, window, collect, &got);
    assert_string_equal(buf_text(&got).ptr, want);
    neighbours_release(&neighbours);
    buf_release(&got);
    release(&s);
}

static void neighbours_are_of_the_same_document_wherever_they_are_listed(void **state)
{
    static const char list[] =
        "[{\"text\":\"\",\"doc\":\"a\",\"pos\":2},{\"text\":\"\",\"doc\":\"b\",\"pos\":1},"
        "{\"text\":\"\",\"doc\":\"a\",\"pos\":0},{\"text\":\"\",\"doc\":\"a\",\"pos\":1},"
        "{\"text\":\"\",\"id\":\"x\"},{\"text\":\"\",\"doc\":\"a\",\"pos\":2,\"id\":\"twin\"}]";

    (void)state;
    assert_neighbours(list, 3, 1, " 2 0 5");
    assert_neighbours(list, 2, 1, " 3");
    assert_neighbours(list, 2, 2, " 3 0 5");
    assert_neighbours(list, 0, 1, " 3"); /* not the one at its own place */
    assert_neighbours(list, 1, 9, "");
    assert_neighbours(list, 4, 9, ""); /* no place */
}

static void places_may_be_any_integer(void **state)
{
    static const char list[] = "[{\"text\":\"\",\"doc\":1,\"pos\":9223372036854775807},"
                               "{\"text\":\"\",\"doc\":1,\"pos\":-9223372036854775808},"
                               "{\"text\":\"\",\"doc\":\"1\",\"pos\":9223372036854775806}]";

    (void)state;
    assert_neighbours(list, 0, 1, "");
    assert_neighbours(list, 1, 100, ""); /* doc "1" is not doc 1 */
}

static void without_places_the_list_is_the_document(void **state)
{
    (void)state;
    assert_neighbours("[\"\",\"\",\"\",\"\"]", 0, 1, " 1");
    assert_neighbours("[\"\",\"\",\"\",\"\"]", 2, 1, " 1 3");
    assert_neighbours("[\"\",\"\",\"\",\"\"]", 3, 2, " 1 2");
    assert_neighbours("[\"\",\"\",\"\",\"\"]", 1, 100, " 0 2 3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_strings_and_objects_mixed),
        cmocka_unit_test(an_empty_list_is_no_error),
        cmocka_unit_test(a_place_needs_doc_and_pos),
        cmocka_unit_test(refuses_by_kind_and_member),
        cmocka_unit_test(refuses_more_passages_than_the_limit),
        cmocka_unit_test(neighbours_are_of_the_same_document_wherever_they_are_listed),
        cmocka_unit_test(places_may_be_any_integer),
        cmocka_unit_test(without_places_the_list_is_the_document),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
