/* The gradients of the whole pass against central differences, the scalar set computing in double:
 * off by at most a millionth of the tensor's largest gradient. Every architecture variant, every
 * target, dropout on, layers kept and recomputed. */
#include "tests/op/train_model.h"

#include "tests/double/double.h"

enum { PROBES = 3, MAX_TOKENS = 96 };
static const double step = 1e-5, tolerance = 1e-6;

static double loss_of(struct train_pass *pass, const struct train_rows *rows, double weight)
{
    double nll[TRAIN_MAX_ROWS], sum = 0;
    struct status status = {0};

    train_need(train_pass_gradients(pass, rows->rows, rows->n, weight, nll, &status), "pass",
               &status);
    for (int i = 0; i < rows->n; i++)
        sum += nll[i];
    return sum * weight;
}

/* Of one tensor of n parameters: some gradients, the largest among them. */
static double check_tensor(struct train_pass *pass, const struct train_rows *rows,
                           struct lora *lora, const double *gradients, size_t at, size_t n,
                           double weight)
{
    size_t largest = at;
    double worst = 0;

    for (size_t i = at; i < at + n; i++)
        largest = fabs(gradients[i]) > fabs(gradients[largest]) ? i : largest;
    assert_true(fabs(gradients[largest]) > 1e-4);
    for (int p = 0; p < PROBES; p++) {
        const size_t i = p ? at + (size_t)(rng_uniform(at, (uint64_t)p, 3) * (double)n) : largest;
        const double value = lora->values[i];
        double above, below, error;

        lora->values[i] = value + step;
        above = loss_of(pass, rows, weight);
        lora->values[i] = value - step;
        below = loss_of(pass, rows, weight);
        lora->values[i] = value;
        error = fabs((above - below) / (2 * step) - gradients[i]) / fabs(gradients[largest]);
        worst = error > worst ? error : worst;
    }
    return worst;
}

static void check_shape(const struct train_shape *shape, unsigned targets, bool recompute)
{
    static const int lengths[] = {13, 2, 70};
    const struct lora_options options = {
        .rank = 3, .alpha = 5, .dropout = 0.2, .rslora = recompute, .targets = targets};
    const struct train_pass_options sizes = {MAX_TOKENS, recompute};
    const struct device_options threads = {2};
    const double weight = 0.37;
    struct status status = {0};
    struct device *device = backend_cpu.open(&threads, &status);
    struct train_rows rows;
    struct train_pass *pass;
    struct lora *lora;
    struct model model;
    double *gradients;

    train_need(device != NULL, "device", &status);
    train_model_make(&model, shape, &backend_cpu, device);
    train_rows_make(&rows, shape->config.vocab_size, lengths, 3);
    lora = train_lora(&shape->config, &options);
    pass = train_pass_open(&model, lora, &sizes, &status);
    train_need(pass != NULL, "pass", &status);
    loss_of(pass, &rows, weight);
    gradients = memory_zeroed(lora->n_values, sizeof(*gradients));
    memcpy(gradients, lora->gradients, lora->n_values * sizeof(*gradients));
    for (int i = 0; i < lora->n_modules; i++) {
        const struct lora_module *m = &lora->modules[i];
        const size_t n_a = (size_t)options.rank * (size_t)m->in;
        const size_t n_b = (size_t)options.rank * (size_t)m->out;
        const double a = check_tensor(pass, &rows, lora, gradients, m->a, n_a, weight);
        const double b = check_tensor(pass, &rows, lora, gradients, m->b, n_b, weight);

        if (!(a <= tolerance && b <= tolerance))
            fail_msg("%s, targets %x, layer %d, %s: A off by %g, B by %g of the largest",
                     shape->name, targets, m->layer, lora_target_name(m->target), a, b);
    }
    free(gradients);
    train_pass_close(pass);
    lora_close(lora);
    train_model_free(&model);
    backend_cpu.close(device);
}

static void test_all_targets(void **state)
{
    (void)state;
    for (int i = 0; i < TRAIN_N_SHAPES; i++) {
        check_shape(&train_shapes[i], TRAIN_ALL, false);
        check_shape(&train_shapes[i], TRAIN_ALL, true);
    }
}

/* What no gradient needs is left out: for each target alone something else. */
static void test_each_target(void **state)
{
    (void)state;
    for (unsigned t = 0; t < LORA_TARGETS; t++)
        check_shape(&train_shapes[t % TRAIN_N_SHAPES], 1u << t, t % 2);
    check_shape(&train_shapes[0], TRAIN_QKVO, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_targets),
        cmocka_unit_test(test_each_target),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
