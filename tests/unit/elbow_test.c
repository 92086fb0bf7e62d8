/* The elbow of falling scores, against the reference in Python and by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rank/cut.h"
#include "rank/elbow.h"

#include "tests/unit/draw.h"

enum { MAX_SCORES = 60 };

static int falling(const void *left, const void *right)
{
    const double x = *(const double *)left;
    const double y = *(const double *)right;

    return (x < y) - (x > y);
}

/* elbow_case() of tests/golden/meteora.py */
static size_t make_case(uint64_t number, double *scores)
{
    struct draw draw = {number};
    const size_t n = draw_below(&draw, 4) == 0 ? draw_below(&draw, 6) : draw_below(&draw, 60);
    const uint64_t shape = draw_below(&draw, 8);
    const uint64_t base = draw_below(&draw, 100);

    for (size_t j = 0; j < n; j++)
        scores[j] = draw_score(&draw, shape, j, base);
    qsort(scores, n, sizeof(*scores), falling);
    return n;
}

static void agrees_with_the_reference_on_4000_cases(void **state)
{
    FILE *golden = fopen("tests/golden/meteora_elbow.txt", "r");
    double scores[MAX_SCORES];
    size_t number = 0;
    char line[16];

    (void)state;
    assert_non_null(golden);
    while (fgets(line, sizeof(line), golden)) {
        const size_t want = strtoul(line, NULL, 10);
        const size_t got = elbow_cut(scores, make_case(number, scores));

        if (got != want)
            fail_msg("case %zu: keeps %zu, the reference %zu; meteora.py --elbow %zu shows it",
                     number, got, want, number);
        number++;
    }
    fclose(golden);
    assert_int_equal(number, 4000);
}

static void takes_all_of_two_or_fewer(void **state)
{
    const double scores[] = {0.9, 0.1};

    (void)state;
    assert_int_equal(elbow_cut(scores, 0), 0);
    assert_int_equal(elbow_cut(scores, 1), 1);
    assert_int_equal(elbow_cut(scores, 2), 2);
}

static void cuts_behind_the_first_step_that_stands_out(void **state)
{
    const double scores[] = {0.90, 0.88, 0.86, 0.40, 0.39, 0.10, 0.09};

    (void)state;
    assert_int_equal(elbow_cut(scores, 7), 3); /* 0.86 -> 0.40; 0.39 -> 0.10 comes later */
}

static void of_three_the_first_is_kept_whatever_the_steps(void **state)
{
    const double late[] = {0.9, 0.89, 0.1}; /* its z value is 1 but for rounding */
    const double early[] = {0.9, 0.2, 0.1};

    (void)state;
    assert_int_equal(elbow_cut(late, 3), 1);
    assert_int_equal(elbow_cut(early, 3), 1);
}

static void flat_scores_keep_one(void **state)
{
    const double flat[] = {0.5, 0.5, 0.5, 0.5, 0.5};
    const double nearly[] = {0.5, 0.5 - 4e-10, 0.5 - 8e-10, 0.5 - 17e-10, 0.5 - 17e-10};

    (void)state;
    assert_int_equal(elbow_cut(flat, 5), 1);
    assert_int_equal(elbow_cut(nearly, 5), 1); /* steps of 4e-10 and 9e-10 count as 0 */
}

static void without_a_steep_step_the_fallback_keeps_one_less_than_the_cliff(void **state)
{
    /* steps 0.25 0.25 0: z is 0.7 at most; growths 0, -0.25: the first is the largest */
    const double ending_flat[] = {1.0, 0.75, 0.5, 0.5};
    /* steps 0 0.25 0.25: growths 0.25, 0; the cliff is behind the second, one is kept */
    const double starting_flat[] = {1.0, 1.0, 0.75, 0.5};
    /* steps 0.25 0 0.25 0.25 (z 0.58): growths -0.25 0.25 0; the cliff is behind the third */
    const double flat_inside[] = {1.0, 0.75, 0.75, 0.5, 0.25};

    (void)state;
    assert_int_equal(elbow_cut(ending_flat, 4), 1);
    assert_int_equal(elbow_cut(starting_flat, 4), 1);
    assert_int_equal(elbow_cut(flat_inside, 5), 2);
}

static void cuts_are_read_as_they_are_written(void **state)
{
    static const char *const good[] = {"elbow", "top:1", "top:250", "score:0.4", "score:-1"};
    static const char *const bad[] = {"",          "elbows",    "top",       "top:",     "top:0",
                                      "top:-1",    "top: 3",    "top:3x",    "score:",   "score:x",
                                      "score:0x1", "score:nan", "score:inf", "score:1 ", "gap"};
    struct cut cut = {0};
    struct status status = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct buf name = {0};

        assert_true(cut_parse(&cut, good[i], &status));
        cut_name(&cut, &name);
        assert_string_equal(name.data, good[i]);
        buf_release(&name);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (cut_parse(&cut, bad[i], &status))
            fail_msg("'%s' is taken", bad[i]);
    assert_int_equal(status.code, STATUS_USAGE);
}

static void a_cut_keeps_what_its_rule_says(void **state)
{
    const double scores[] = {0.9, 0.5, 0.5, 0.1};
    const struct cut top = {.rule = CUT_TOP, .count = 3};
    const struct cut more = {.rule = CUT_TOP, .count = 9};
    const struct cut reached = {.rule = CUT_THRESHOLD, .threshold = 0.5};
    const struct cut beyond = {.rule = CUT_THRESHOLD, .threshold = 0.91};

    (void)state;
    assert_int_equal(cut_apply(&top, scores, 4), 3);
    assert_int_equal(cut_apply(&more, scores, 4), 4);
    assert_int_equal(cut_apply(&reached, scores, 4), 3);
    assert_int_equal(cut_apply(&beyond, scores, 4), 0);
    assert_int_equal(cut_apply(&top, scores, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_reference_on_4000_cases),
        cmocka_unit_test(takes_all_of_two_or_fewer),
        cmocka_unit_test(cuts_behind_the_first_step_that_stands_out),
        cmocka_unit_test(of_three_the_first_is_kept_whatever_the_steps),
        cmocka_unit_test(flat_scores_keep_one),
        cmocka_unit_test(without_a_steep_step_the_fallback_keeps_one_less_than_the_cliff),
        cmocka_unit_test(cuts_are_read_as_they_are_written),
        cmocka_unit_test(a_cut_keeps_what_its_rule_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
