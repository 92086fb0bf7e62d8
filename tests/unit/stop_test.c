/* Where a text that grows piece by piece is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "run/stop.h"

struct outcome {
    enum finish finish;
    size_t len;
};

/* Feeds `text` in pieces of `step` bytes, as tokens do, until it is stopped. */
static struct outcome feed(const struct stop_rules *rules, const char *text, size_t step)
{
    const struct text whole = text_of(text);

    for (size_t seen = 0; seen < whole.len;) {
        const size_t len = seen + step < whole.len ? seen + step : whole.len;
        size_t cut;
        const enum finish finish = stop_search(rules, (struct text){whole.ptr, len}, seen, &cut);

        if (finish != FINISH_NONE)
            return (struct outcome){finish, cut};
        seen = len;
    }
    return (struct outcome){FINISH_NONE, whole.len};
}

static void check(const struct stop_rules *rules, const char *text, enum finish finish,
                  const char *kept)
{
    for (size_t step = 1; step <= strlen(text); step++) {
        const struct outcome got = feed(rules, text, step);

        assert_int_equal(got.finish, finish);
        assert_int_equal(got.len, strlen(kept));
        assert_memory_equal(text, kept, got.len);
    }
}

static void a_stop_string_is_found_however_its_pieces_fall(void **state)
{
    const struct text strings[] = {text_of("###"), text_of("END")};
    const struct stop_rules rules = {.strings = strings, .n_strings = 2};

    (void)state;
    check(&rules, "one two### three", FINISH_STOP, "one two");
    check(&rules, "## # one", FINISH_NONE, "## # one");
    check(&rules, "EN", FINISH_NONE, "EN");
    check(&rules, "ENEND", FINISH_STOP, "EN");
    check(&rules, "ab#####", FINISH_STOP, "ab");
    check(&rules, "###", FINISH_STOP, "");
}

static void the_earliest_stop_string_cuts(void **state)
{
    const struct text strings[] = {text_of("c"), text_of("bcd"), text_of("é")};
    const struct stop_rules rules = {.strings = strings, .n_strings = 3};
    size_t cut;

    (void)state;
    assert_int_equal(stop_search(&rules, text_of("abcd"), 0, &cut), FINISH_STOP);
    assert_int_equal(cut, 1);
    assert_int_equal(stop_search(&rules, text_of("xx\xC3\xA9"), 2, &cut), FINISH_STOP);
    assert_int_equal(cut, 2);
}

static void text_without_a_stop_goes_on(void **state)
{
    const struct stop_rules rules = {.max_tokens = 5};

    (void)state;
    check(&rules, "no rule for this\n\n\n", FINISH_NONE, "no rule for this\n\n\n");
}

static void lines_are_counted_when_they_end(void **state)
{
    const struct text strings[] = {text_of("###")};
    const struct stop_rules rules = {.strings = strings, .n_strings = 1, .n_rationales = 2};

    (void)state;
    check(&rules, "Look for A.\nLook for B.", FINISH_NONE, "Look for A.\nLook for B.");
    check(&rules, "Look for A.\n\nLook for B.\nLook for C.\n", FINISH_COUNT,
          "Look for A.\n\nLook for B.");
    check(&rules, "\n1. Look for A.\n2. Look for B.\n", FINISH_COUNT,
          "\n1. Look for A.\n2. Look for B.");
    check(&rules, "Look for A.\n### Query\n", FINISH_STOP, "Look for A.\n");
}

static void end_tokens_are_told_from_others(void **state)
{
    const int32_t ids[] = {2, 0};
    const struct stop_rules rules = {.end_ids = ids, .n_end_ids = 2};

    (void)state;
    assert_true(stop_is_end(&rules, 0));
    assert_true(stop_is_end(&rules, 2));
    assert_false(stop_is_end(&rules, 1));
    assert_false(stop_is_end(&(struct stop_rules){.max_tokens = 1}, 0));
}

static void reasons_have_the_names_of_the_record(void **state)
{
    (void)state;
    assert_string_equal(stop_finish_name(FINISH_STOP), "stop");
    assert_string_equal(stop_finish_name(FINISH_LENGTH), "length");
    assert_string_equal(stop_finish_name(FINISH_COUNT), "count");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stop_string_is_found_however_its_pieces_fall),
        cmocka_unit_test(the_earliest_stop_string_cuts),
        cmocka_unit_test(text_without_a_stop_goes_on),
        cmocka_unit_test(lines_are_counted_when_they_end),
        cmocka_unit_test(end_tokens_are_told_from_others),
        cmocka_unit_test(reasons_have_the_names_of_the_record),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
