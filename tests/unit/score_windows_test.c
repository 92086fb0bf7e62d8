/* Windows of long texts: every target once, with the context that the formula promises. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

#include "run/score_windows.h"

enum { MAX_IDS = 40 };

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The loop of transformers' documentation, for the body of a text behind its special tokens: which
 * window (by its first id) scores token `at`, and with how much of the body before it. */
static void by_the_book(size_t n, size_t width, size_t stride, size_t at, size_t *begin)
{
    size_t previous_end = 0;

    for (*begin = 0; *begin < n; *begin += stride) {
        const size_t end = smaller(*begin + width, n);

        if (at >= previous_end && at < end)
            return;
        previous_end = end;
    }
    fail_msg("the book scores every token");
}

static void check(size_t n, size_t n_front, size_t first_target, size_t max_length, size_t stride)
{
    struct score_windows windows;
    struct score_window window;
    size_t scored = first_target, n_windows = 0;

    score_windows_init(&windows, n, n_front, first_target, max_length, stride);
    while (score_windows_next(&windows, &window)) {
        const size_t front = n > max_length ? n_front : 0;

        n_windows++;
        assert_int_equal(window.first, scored); /* none twice, none left out */
        assert_true(window.first < window.end && window.end <= n);
        assert_true(front + window.end - window.begin <= max_length);
        assert_true(window.first >= 1 && (front > 0 || window.first > window.begin));
        for (size_t at = window.first; n > max_length && at < window.end; at++) {
            size_t begin;

            if (at < n_front) {
                assert_int_equal(window.begin, n_front);
                continue;
            }
            by_the_book(n - n_front, max_length - n_front, stride, at - n_front, &begin);
            assert_int_equal(window.begin, n_front + begin);
        }
        scored = window.end;
    }
    assert_int_equal(scored, n > first_target ? n : first_target);
    if (n <= max_length)
        assert_int_equal(n_windows, n > first_target);
    assert_false(score_windows_next(&windows, &window));
}

static void every_target_is_scored_once_as_transformers_documents_it(void **state)
{
    (void)state;
    for (size_t n = 1; n <= MAX_IDS; n++) {
        for (size_t n_front = 0; n_front <= 2 && n_front <= n; n_front++) {
            for (size_t max_length = n_front + 2; max_length <= MAX_IDS + 1; max_length++) {
                const size_t most = score_windows_max_stride(max_length, n_front);

                for (size_t stride = 1; stride <= most; stride++) {
                    for (size_t first = 1; first <= n; first += 1 + n / 4)
                        check(n, n_front, first, max_length, stride);
                }
            }
        }
    }
}

static void an_example(void **state)
{
    /* 10 ids, windows of 4, 3 apart, ids 2 and on are targets: [0,4) [3,7) [6,10) */
    static const struct score_window want[] = {{0, 4, 2}, {3, 7, 4}, {6, 10, 7}};
    struct score_windows windows;
    struct score_window window;

    (void)state;
    assert_int_equal(score_windows_max_stride(4, 0), 3);
    assert_int_equal(score_windows_max_stride(4, 1), 3);
    assert_int_equal(score_windows_max_stride(4, 2), 2);
    score_windows_init(&windows, 10, 0, 2, 4, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_true(score_windows_next(&windows, &window));
        assert_memory_equal(&window, &want[i], sizeof(window));
    }
    assert_false(score_windows_next(&windows, &window));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_target_is_scored_once_as_transformers_documents_it),
        cmocka_unit_test(an_example),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
