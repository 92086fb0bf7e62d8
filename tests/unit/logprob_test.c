/* The normalizer of a row of logits against a sum in long double. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "run/logprob.h"

enum { MAX_N = 49152 };

static float logits[MAX_N];

static void fill(uint64_t key, int n, double width, double offset)
{
    for (int i = 0; i < n; i++)
        logits[i] = (float)((rng_uniform(key, (uint64_t)i, 0) - 0.5) * width + offset);
}

static double reference(int n)
{
    long double max = (long double)logits[0], sum = 0;

    for (int i = 1; i < n; i++)
        max = fmaxl(max, (long double)logits[i]);
    for (int i = 0; i < n; i++)
        sum += expl((long double)logits[i] - max);
    return (double)(max + logl(sum));
}

static void the_normalizer_is_the_log_of_the_sum_of_exponentials(void **state)
{
    static const int sizes[] = {1, 2, 7, 8, 9, 1000, MAX_N};

    (void)state;
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        for (uint64_t key = 0; key < 5; key++) {
            fill(key, sizes[s], key < 3 ? 30 : 0.01, key % 2 ? 1000 : -20);
            assert_true(fabs(logprob_normalizer(logits, sizes[s]) - reference(sizes[s])) < 2e-7);
        }
    }
}

static void probabilities_of_a_row_sum_to_one(void **state)
{
    double sum = 0, normalizer;

    (void)state;
    fill(7, 1000, 12, 3);
    normalizer = logprob_normalizer(logits, 1000);
    for (int i = 0; i < 1000; i++)
        sum += exp((double)logits[i] - normalizer);
    assert_true(fabs(sum - 1) < 1e-7);
}

static void a_token_ruled_out_leaves_the_others(void **state)
{
    (void)state;
    logits[0] = -INFINITY;
    logits[1] = 2.5f;
    assert_true(logprob_normalizer(logits, 2) == 2.5);
}

static void what_is_not_finite_gives_nan(void **state)
{
    (void)state;
    fill(1, 100, 4, 0);
    logits[50] = NAN;
    assert_true(isnan(logprob_normalizer(logits, 100)));
    logits[50] = INFINITY;
    assert_true(isnan(logprob_normalizer(logits, 100)));
    for (int i = 0; i < 100; i++)
        logits[i] = -INFINITY;
    assert_true(isnan(logprob_normalizer(logits, 100)));
    for (int i = 0; i < 100; i++)
        logits[i] = NAN;
    assert_true(isnan(logprob_normalizer(logits, 100)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_normalizer_is_the_log_of_the_sum_of_exponentials),
        cmocka_unit_test(probabilities_of_a_row_sum_to_one),
        cmocka_unit_test(a_token_ruled_out_leaves_the_others),
        cmocka_unit_test(what_is_not_finite_gives_nan),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
