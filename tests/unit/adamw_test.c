/* AdamW with decay and clipping, against their formulas in double; what torch makes of them is held
 * by golden_train_test.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "train/adamw.h"

enum { N = 5, STEPS = 30 };

static void test_steps(void **state)
{
    const double lr = 0.01, decay = 0.1;
    float values[N] = {1, -2, 0.5f, 0, 3};
    double want[N] = {1, -2, 0.5, 0, 3}, m[N] = {0}, v[N] = {0};
    struct adamw adamw;
    struct status status;

    (void)state;
    assert_true(adamw_open(&adamw, N, &status));
    adamw.weight_decay = decay;
    for (int t = 1; t <= STEPS; t++) {
        float gradients[N];

        for (int i = 0; i < N; i++) {
            const double g = sin(t * (i + 1)) * pow(10, -i);
            const double rate = lr / (1 - pow(0.9, t)), root = sqrt(1 - pow(0.999, t));

            gradients[i] = (float)g;
            want[i] -= lr * decay * want[i];
            m[i] = 0.9 * m[i] + 0.1 * g;
            v[i] = 0.999 * v[i] + 0.001 * g * g;
            want[i] -= rate * m[i] / (sqrt(v[i]) / root + 1e-8);
        }
        adamw_step(&adamw, values, gradients, lr);
    }
    assert_int_equal(adamw.step, STEPS);
    for (int i = 0; i < N; i++)
        assert_true(fabs((double)values[i] - want[i]) < 1e-5);
    adamw_close(&adamw);
}

static void test_no_gradient_no_step(void **state)
{
    float value = 1, gradient = 0;
    struct adamw adamw;
    struct status status;

    (void)state;
    assert_true(adamw_open(&adamw, 1, &status));
    adamw_step(&adamw, &value, &gradient, 0.1);
    assert_true(value == 1.0f);
    adamw_close(&adamw);
}

static void test_clip(void **state)
{
    float gradients[] = {3, 0, -4}, strange[] = {1, NAN};

    (void)state;
    assert_true(fabs(gradients_clip(gradients, 3, 10) - 5) < 1e-12);
    assert_true(gradients[0] == 3.0f);
    assert_true(fabs(gradients_clip(gradients, 3, 0) - 5) < 1e-12);
    assert_true(gradients[0] == 3.0f); /* 0: no clipping */
    assert_true(fabs(gradients_clip(gradients, 3, 1) - 5) < 1e-12);
    assert_true(fabs((double)gradients[0] - 0.6) < 1e-6 && fabs((double)gradients[2] + 0.8) < 1e-6);
    assert_true(isnan(gradients_clip(strange, 2, 1)));
    assert_true(strange[0] == 1.0f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_no_gradient_no_step),
        cmocka_unit_test(test_clip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
