/* Generated text -> rationales. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "text/rationales.h"

/* The rationales of `generation`, as JSON. */
static void assert_parsed(struct text generation, size_t max, const char *json)
{
    struct rationales rationales = {0};
    struct buf out = {0};

    rationales_parse(&rationales, generation, max);
    rationales_write(&rationales, &out);
    assert_string_equal(out.data, json);
    buf_release(&out);
    rationales_release(&rationales);
}

static void assert_lines(const char *generation, const char *json)
{
    assert_parsed(text_of(generation), 0, json);
}

static void takes_one_rationale_a_line(void **state)
{
    (void)state;
    assert_lines("Look for a.\nLook for b.\nLook for c.",
                 "[\"Look for a.\",\"Look for b.\",\"Look for c.\"]");
    assert_lines(" Look for a. \r\n\n \t\nLook for b.\n", "[\"Look for a.\",\"Look for b.\"]");
    assert_lines("Two sentences. On one line.", "[\"Two sentences. On one line.\"]");
    assert_lines("", "[]");
}

static void takes_no_more_than_wanted(void **state)
{
    (void)state;
    assert_parsed(text_of("a\nb\nc\nd"), 3, "[\"a\",\"b\",\"c\"]");
    assert_parsed(text_of("a\na\nb\nc"), 2, "[\"a\",\"b\"]");
}

static void takes_numbers_bullets_and_labels_off(void **state)
{
    (void)state;
    assert_lines("1. a\n2) b\n(3) c\n4: d", "[\"a\",\"b\",\"c\",\"d\"]");
    assert_lines("- a\n* b\n• c\n– d\n+ e", "[\"a\",\"b\",\"c\",\"d\",\"e\"]");
    assert_lines("Rationale 1: a\nrationale #2. b\nRationale: c", "[\"a\",\"b\",\"c\"]");
    assert_lines("- 1. a\n* Rationale 2: b", "[\"a\",\"b\"]");
    assert_lines("**Rationale 1:** a\n**Rationale 2**: b\n**3.** c\n**d**",
                 "[\"a\",\"b\",\"c\",\"d\"]");
    assert_lines("<rationale_1>a</rationale_1>\n<rationale_2>\nb\n</rationale_2>", "[\"a\",\"b\"]");
}

static void leaves_numbers_that_belong_to_the_sentence(void **state)
{
    (void)state;
    assert_lines("2.5 mg daily\n5-year survival\n-5 degrees\n1999: a year\n80% of cases",
                 "[\"2.5 mg daily\",\"5-year survival\",\"-5 degrees\",\"1999: a year\","
                 "\"80% of cases\"]");
    assert_lines("Rationales differ.\nRational use", "[\"Rationales differ.\",\"Rational use\"]");
}

static void drops_lines_that_say_nothing_and_repeats(void **state)
{
    (void)state;
    assert_lines("Here are 3 rationales:\n1. a\n---\n```\n2. a\n***\n3. b", "[\"a\",\"b\"]");
    assert_lines("1.\n2.\nRationale 1:\na", "[\"a\"]");
}

static void ends_at_the_next_heading(void **state)
{
    (void)state;
    assert_lines("a\nb ### Query:\nc", "[\"a\",\"b\"]");
    assert_lines("### Response:\na", "[]");
}

static void puts_the_replacement_character_for_bytes_that_are_not_utf8(void **state)
{
    static const char bad[] = "a\xFF\xC3\nb\xE2\x80";

    (void)state;
    assert_parsed((struct text){bad, sizeof(bad) - 1}, 0,
                  "[\"a\xEF\xBF\xBD\xEF\xBF\xBD\",\"b\xEF\xBF\xBD\xEF\xBF\xBD\"]");
    assert_lines("fièvre – 38 °C", "[\"fièvre – 38 °C\"]");
}

static void survives_zeros_and_marks_alone(void **state)
{
    static const char zeros[] = "1\0 a\n\0\n(\n**\n<rationale\n</rationale>\n1";

    (void)state;
    assert_parsed((struct text){zeros, sizeof(zeros) - 1}, 0,
                  "[\"1\\u0000 a\",\"<rationale\",\"1\"]");
}

static void a_parse_may_be_followed_by_another(void **state)
{
    struct rationales rationales = {0};

    (void)state;
    rationales_parse(&rationales, text_of("a\nb\nc"), 0);
    assert_int_equal(rationales.n, 3);
    rationales_parse(&rationales, text_of("d"), 0);
    assert_int_equal(rationales.n, 1);
    assert_true(text_is(rationales.items[0], "d"));
    rationales_release(&rationales);
}

static void is_complete_when_enough_lines_have_ended(void **state)
{
    (void)state;
    assert_false(rationales_complete(text_of("a\nb\nc"), 3)); /* c may go on */
    assert_true(rationales_complete(text_of("a\nb\nc\n"), 3));
    assert_true(rationales_complete(text_of("a\nb\nc\nd"), 3));
    assert_false(rationales_complete(text_of("a\n\na\nb\n"), 3)); /* a repeat is none */
    assert_false(rationales_complete(text_of(""), 1));
    assert_false(rationales_complete(text_of("a\n1.\na\na\n\na\na\n"), 3));
    assert_true(rationales_complete(text_of("a\na\na\na\na\na\n"), 3)); /* in circles */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_one_rationale_a_line),
        cmocka_unit_test(takes_no_more_than_wanted),
        cmocka_unit_test(takes_numbers_bullets_and_labels_off),
        cmocka_unit_test(leaves_numbers_that_belong_to_the_sentence),
        cmocka_unit_test(drops_lines_that_say_nothing_and_repeats),
        cmocka_unit_test(ends_at_the_next_heading),
        cmocka_unit_test(puts_the_replacement_character_for_bytes_that_are_not_utf8),
        cmocka_unit_test(survives_zeros_and_marks_alone),
        cmocka_unit_test(a_parse_may_be_followed_by_another),
        cmocka_unit_test(is_complete_when_enough_lines_have_ended),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
