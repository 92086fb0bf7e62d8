/* The normalizer of a row of logits on every kernel set, against a sum in long double. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/op/op_device.h"

enum { MAX_N = 49152 };

/* The terms are floats of relative error 6e-8 (avx2, avx512), so is their sum; and so, absolutely,
 * its logarithm. What it is added to rounds in double. */
static const double allowed = 1e-7;

static const char *sets[OP_MAX_SETS];
static int n_sets;
static float logits[MAX_N];

static void fill(uint64_t key, int n, double width, double offset)
{
    for (int i = 0; i < n; i++)
        logits[i] = (float)(offset + (double)op_draw(key, (size_t)i, width));
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

static double normalizer(const struct op_device *d, int n)
{
    float *x = op_upload(d, logits, (size_t)n);
    struct status status = {0};
    double result = 0;

    d->op->log_sum_exp(d->device, &result, x, 1, n);
    op_need(d->op->finish(d->device, &status), "finish", &status);
    d->op->free(d->device, x);
    return result;
}

static void it_is_the_log_of_the_sum_of_exponentials(void **state)
{
    static const int sizes[] = {1, 2, 7, 8, 9, 15, 16, 17, 33, 1000, MAX_N};

    (void)state;
    for (int set = 0; set < n_sets; set++) {
        struct op_device d = op_device_open(sets[set], 2);

        for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
            for (uint64_t key = 0; key < 5; key++) {
                fill(key, sizes[s], key < 3 ? 30 : 0.01, key % 2 ? 1000 : -20);
                assert_true(fabs(normalizer(&d, sizes[s]) - reference(sizes[s])) < allowed);
            }
        }
        op_device_close(&d);
    }
}

static void a_row_gives_the_same_bits_wherever_it_lies(void **state)
{
    enum { ROWS = 7, DIM = 1003 };

    (void)state;
    for (int set = 0; set < n_sets; set++) {
        struct op_device d = op_device_open(sets[set], 3);
        double all[ROWS], one;
        struct status status = {0};
        float *x;

        fill(9, ROWS * DIM, 12, 0);
        x = op_upload(&d, logits, ROWS * DIM);
        d.op->log_sum_exp(d.device, all, x, ROWS, DIM);
        op_need(d.op->finish(d.device, &status), "finish", &status);
        for (int r = 0; r < ROWS; r++) {
            d.op->log_sum_exp(d.device, &one, x + r * DIM, 1, DIM);
            op_need(d.op->finish(d.device, &status), "finish", &status);
            assert_memory_equal(&one, &all[r], sizeof(one));
            assert_true(r == 0 || all[r] != all[r - 1]);
        }
        d.op->free(d.device, x);
        op_device_close(&d);
    }
}

static void what_is_not_finite_gives_nan(void **state)
{
    (void)state;
    for (int set = 0; set < n_sets; set++) {
        struct op_device d = op_device_open(sets[set], 1);

        for (int n = 95; n < 100; n++) {
            for (int at = 0; at < n; at++) {
                fill(1, n, 4, 0);
                logits[at] = NAN;
                assert_true(isnan(normalizer(&d, n)));
                logits[at] = INFINITY;
                assert_true(isnan(normalizer(&d, n)));
                logits[at] = -INFINITY; /* a token that is ruled out leaves the others */
                assert_true(fabs(normalizer(&d, n) - reference(n)) < allowed);
            }
            for (int i = 0; i < n; i++)
                logits[i] = -INFINITY;
            assert_true(isnan(normalizer(&d, n)));
            logits[n - 1] = 2.5f;
            assert_true(normalizer(&d, n) == 2.5);
            for (int i = 0; i < n; i++)
                logits[i] = NAN;
            assert_true(isnan(normalizer(&d, n)));
        }
        op_device_close(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_the_log_of_the_sum_of_exponentials),
        cmocka_unit_test(a_row_gives_the_same_bits_wherever_it_lies),
        cmocka_unit_test(what_is_not_finite_gives_nan),
    };

    n_sets = op_sets(sets);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
