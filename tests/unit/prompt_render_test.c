/* Templates filled from records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "text/prompt_render.h"

static struct status status;

/* The template filled from the record; NULL and status if it cannot be. */
static bool render(const char *template, const char *line, struct buf *out)
{
    struct prompt_template parts;
    struct prompt_text text;
    struct record record = {0};
    bool ok;

    assert_true(prompt_template_parse(&parts, template, &status));
    assert_true(record_parse(&record, text_of(line), &status));
    ok = prompt_render(&parts, &record, 3, NULL, &text, &status);
    if (ok)
        buf_append_text(out, buf_text(&text.frame));
    prompt_render_release(&text);
    record_release(&record);
    prompt_template_release(&parts);
    return ok;
}

static void assert_renders(const char *template, const char *line, const char *want)
{
    struct buf out = {0};

    if (!render(template, line, &out))
        fail_msg("%s", status.message);
    assert_int_equal(out.len, strlen(want));
    assert_memory_equal(buf_text(&out).ptr, want, out.len);
    buf_release(&out);
}

static void assert_fails(const char *template, const char *line, const char *kind,
                         const char *member, const char *message)
{
    struct buf out = {0};

    assert_false(render(template, line, &out));
    assert_int_equal(status.code, STATUS_INPUT);
    assert_string_equal(status.kind, kind);
    assert_string_equal(status.member, member);
    assert_string_equal(status.message, message);
}

static void places_strings_numbers_and_booleans(void **state)
{
    (void)state;
    assert_renders("Q: {query}", "{\"query\":\"a\\u00e9\\nb\"}", "Q: a\xC3\xA9\nb");
    assert_renders("{a}|{b}|{c}|{d}", "{\"a\":5,\"b\":0.5,\"c\":true,\"d\":-1e300}",
                   "5|0.5|true|-1e+300");
    assert_renders("{n} of {{n}", "{\"n\":9}", "3 of {n}");
    assert_renders("", "{\"a\":1}", "");
}

static void places_members_of_members(void **state)
{
    (void)state;
    assert_renders("{p.age} {p.name.last}", "{\"p\":{\"age\":60,\"name\":{\"last\":\"x\"}}}",
                   "60 x");
    assert_renders("{a.b}", "{\"a.b\":1,\"a\":{\"b\":2}}", "1"); /* the member of that name */
}

static void text_of_a_record_is_not_read_as_a_template(void **state)
{
    (void)state;
    assert_renders("{query}", "{\"query\":\"{secret} {{ {each x}\",\"secret\":1}",
                   "{secret} {{ {each x}");
}

static void goes_through_lists(void **state)
{
    (void)state;
    assert_renders("{each rationales}{number}. {item} [{index}]\n{end}.",
                   "{\"rationales\":[\"a\",\"b\"]}", "1. a [0]\n2. b [1]\n.");
    assert_renders("{each passages}{item.id}={item.text};{end}",
                   "{\"passages\":[\"a\",{\"id\":\"x\",\"text\":\"b\"},{\"text\":\"c\"}]}",
                   "0=a;x=b;2=c;");
    assert_renders("{each passages}{item} ({item.year}){end}",
                   "{\"passages\":[{\"text\":\"a\",\"year\":1999}]}", "a (1999)");
    assert_renders("<{each a}x{end}>{each a}{query}{end}", "{\"a\":[],\"query\":1}", "<>");
    assert_renders("{each p.list}{item},{end}", "{\"p\":{\"list\":[1,2]}}", "1,2,");
}

static void places_selected_evidence_in_rank_order_with_its_text(void **state)
{
    static const char line[] =
        "{\"passages\":[\"zero\",{\"id\":\"b\",\"text\":\"bee\",\"year\":7},{\"text\":\"two\"},"
        "{\"id\":9,\"text\":\"nine\"}],\"evidence\":["
        "{\"id\":9,\"rank\":1,\"selected\":true,\"score\":0.9},"
        "{\"id\":0,\"rank\":2,\"selected\":false,\"score\":0.8},"
        "{\"id\":\"b\",\"rank\":3,\"selected\":true,\"score\":0.75},"
        "{\"id\":2,\"rank\":4,\"selected\":true,\"score\":0.5}]}";

    (void)state;
    assert_renders("{each selected}[{item.id}] {item.text}\n{end}", line,
                   "[9] nine\n[b] bee\n[2] two\n");
    assert_renders("{each selected}{number}:{item}:{item.score}:{item.rank} {end}", line,
                   "1:nine:0.9:1 2:bee:0.75:3 3:two:0.5:4 ");
    assert_renders("{each selected}{item}{end}",
                   "{\"passages\":[\"a\"],\"evidence\":[{\"id\":0,\"selected\":true}]}", "a");
}

static void a_missing_member_is_an_error_that_names_it(void **state)
{
    (void)state;
    assert_fails("{query}", "{\"text\":\"x\"}", "missing", "query", "member 'query' is missing");
    assert_fails("{query}", "{\"query\":null}", "missing", "query", "member 'query' is missing");
    assert_fails("{p.age}", "{\"p\":{}}", "missing", "p.age", "member 'p.age' is missing");
    assert_fails("{p.age}", "{\"p\":3}", "missing", "p.age", "member 'p.age' is missing");
    assert_fails("{each r}{item}{end}", "{\"a\":1}", "missing", "r", "member 'r' is missing");
    assert_fails("{each passages}{item.year}{end}", "{\"passages\":[{\"text\":\"a\"}]}", "missing",
                 "passages[0].year", "member 'passages[0].year' is missing");
    assert_fails("{each selected}{item}{end}", "{\"passages\":[]}", "missing", "evidence",
                 "member 'evidence' is missing");
    assert_fails("{each selected}{item}{end}", "{\"evidence\":[]}", "missing", "passages",
                 "member 'passages' is missing");
    assert_fails(
        "{each selected}{item.x}{end}",
        "{\"passages\":[\"p\",\"q\"],\"evidence\":[{\"id\":0},{\"id\":1,\"selected\":true}]}",
        "missing", "evidence[1].x", "member 'evidence[1].x' is missing");
}

static void a_wrong_type_is_an_error_that_names_it(void **state)
{
    (void)state;
    assert_fails("{query}", "{\"query\":[\"x\"]}", "type", "query",
                 "member 'query': expected a string, a number or a boolean, got a list");
    assert_fails("{each r}{item}{end}", "{\"r\":\"x\"}", "type", "r",
                 "member 'r': expected a list, got a string");
    assert_fails("{each r}{item}{end}", "{\"r\":[1,[2]]}", "type", "r[1]",
                 "member 'r[1]': expected a string, a number or a boolean, got a list");
    assert_fails("{each r}{item.x}{end}", "{\"r\":[\"s\"]}", "type", "r[0].x",
                 "member 'r[0].x': expected an object, got a string");
    assert_fails("{each selected}{item}{end}",
                 "{\"passages\":[\"p\"],\"evidence\":[{\"id\":1,\"selected\":true}]}", "value",
                 "evidence", "member 'evidence[0].id' is the id of no passage");
    assert_fails("{each selected}{item}{end}",
                 "{\"passages\":[\"p\"],\"evidence\":[{\"id\":\"0\",\"selected\":true}]}", "value",
                 "evidence", "member 'evidence[0].id' is the id of no passage");
}

static void a_member_left_out_can_be_put_in_at_any_length(void **state)
{
    struct prompt_template parts;
    struct prompt_text text;
    struct record record = {0};
    struct buf out = {0};

    (void)state;
    assert_true(prompt_template_parse(&parts, "{q}-{b}-{q}", &status));
    assert_true(record_parse(&record, text_of("{\"b\":\"B\"}"), &status)); /* q is not asked for */
    assert_true(prompt_render(&parts, &record, 3, "q", &text, &status));
    assert_int_equal(text.n_marks, 2);
    prompt_render_fill(&text, text_of("xy"), &out);
    assert_string_equal(out.data, "xy-B-xy");
    buf_reset(&out);
    prompt_render_fill(&text, text_of(""), &out);
    assert_string_equal(out.data, "-B-");
    buf_release(&out);
    prompt_render_release(&text);
    record_release(&record);
    prompt_template_release(&parts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_strings_numbers_and_booleans),
        cmocka_unit_test(places_members_of_members),
        cmocka_unit_test(text_of_a_record_is_not_read_as_a_template),
        cmocka_unit_test(goes_through_lists),
        cmocka_unit_test(places_selected_evidence_in_rank_order_with_its_text),
        cmocka_unit_test(a_missing_member_is_an_error_that_names_it),
        cmocka_unit_test(a_wrong_type_is_an_error_that_names_it),
        cmocka_unit_test(a_member_left_out_can_be_put_in_at_any_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
