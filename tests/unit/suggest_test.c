/* The name that was probably meant, and strict numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/number.h"
#include "base/suggest.h"

static const char *const names[] = {"temperature", "top-k", "top-p", "seed", "max-tokens"};

static const char *near(const char *typed)
{
    return suggest(typed, names, sizeof(names) / sizeof(names[0]));
}

static void finds_a_name_with_letters_lost_added_changed_or_swapped(void **state)
{
    (void)state;
    assert_string_equal(near("temprature"), "temperature");
    assert_string_equal(near("temperaturee"), "temperature");
    assert_string_equal(near("temperatura"), "temperature");
    assert_string_equal(near("max-tokesn"), "max-tokens");
    assert_string_equal(near("sede"), "seed"); /* a swap is one edit */
}

static void prefers_the_nearest_and_of_equals_the_first(void **state)
{
    (void)state;
    assert_string_equal(near("top-p"), "top-p");
    assert_string_equal(near("top-q"), "top-k");
}

static void stays_silent_when_nothing_is_near(void **state)
{
    (void)state;
    assert_null(near("verbose"));
    assert_null(near(""));
    assert_null(near("x"));
    assert_null(near("a-name-of-more-than-sixty-three-letters-that-no-option-has-and-none-will"));
}

static void reads_numbers_that_are_the_whole_string(void **state)
{
    uint64_t u;
    int64_t i;
    double d;

    (void)state;
    assert_true(number_int64("-12", &i) && i == -12);
    assert_true(number_int64("9223372036854775807", &i) && i == INT64_MAX);
    assert_true(number_uint64("18446744073709551615", &u) && u == UINT64_MAX);
    assert_true(number_double("-2.5e-1", &d) && d == -0.25);
    assert_true(number_double(".5", &d) && d == 0.5);
}

static void refuses_what_only_begins_like_a_number(void **state)
{
    static const char *const wrong[] = {"",    " 1",   "1 ",  "+1",  "1x",    "0x10",
                                        "inf", "-inf", "nan", "--1", "1e999", "."};
    uint64_t u = 7;
    int64_t i = 7;
    double d = 7;

    (void)state;
    for (size_t n = 0; n < sizeof(wrong) / sizeof(wrong[0]); n++) {
        assert_false(number_int64(wrong[n], &i));
        assert_false(number_uint64(wrong[n], &u));
        assert_false(number_double(wrong[n], &d));
    }
    assert_false(number_int64("9223372036854775808", &i));
    assert_false(number_uint64("18446744073709551616", &u));
    assert_false(number_uint64("-1", &u));
    assert_false(number_int64("1.5", &i));
    assert_true(u == 7 && i == 7 && d == 7.0); /* left alone */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_a_name_with_letters_lost_added_changed_or_swapped),
        cmocka_unit_test(prefers_the_nearest_and_of_equals_the_first),
        cmocka_unit_test(stays_silent_when_nothing_is_near),
        cmocka_unit_test(reads_numbers_that_are_the_whole_string),
        cmocka_unit_test(refuses_what_only_begins_like_a_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
