/* The training pass on every kernel set that this CPU has: against the scalar set, and against
 * itself with other threads, other rows beside a row, and layers recomputed. That the scalar set is
 * right, tests/double says. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/op/op_device.h"
#include "tests/op/op_weights.h"
#include "tests/op/train_model.h"

enum { MAX_TOKENS = 400, N_ROWS = 4 };
static const int lengths[N_ROWS] = {37, 1, 150, 70};
static const float weight = 0.21f;

/* One way of running the rows. */
struct way {
    const char *set;
    int n_threads;
    bool recompute, apart; /* apart: each row in a call of its own */
    float dropout;
};

struct result {
    double nll[N_ROWS];
    float *gradients; /* ours */
    size_t n;
    struct lora_module *modules; /* ours */
    int n_modules;
};

static void release(struct result *r)
{
    free(r->gradients);
    free(r->modules);
}

static void run_rows(struct train_pass *pass, const struct train_rows *rows, bool apart,
                     double *nll)
{
    struct status status = {0};

    for (int i = 0; i < rows->n; i += apart ? 1 : rows->n)
        train_need(train_pass_gradients(pass, rows->rows + i, apart ? 1 : rows->n, weight, nll + i,
                                        &status),
                   "pass", &status);
}

static struct result run(const struct train_shape *shape, const struct way *way)
{
    const struct lora_options options = {
        .rank = 17, .alpha = 20, .dropout = way->dropout, .targets = TRAIN_ALL};
    const struct train_pass_options sizes = {MAX_TOKENS, way->recompute};
    struct op_device d = op_device_open(way->set, way->n_threads);
    struct lora *lora = train_lora(&shape->config, &options);
    struct result result = {.n = lora->n_values, .n_modules = lora->n_modules};
    struct status status = {0};
    struct train_rows rows;
    struct train_pass *pass;
    struct model model;

    train_model_make(&model, shape, d.op, d.device);
    train_rows_make(&rows, shape->config.vocab_size, lengths, N_ROWS);
    pass = train_pass_open(&model, lora, &sizes, &status);
    train_need(pass != NULL, "pass", &status);
    run_rows(pass, &rows, way->apart, result.nll);
    result.gradients = lora->gradients;
    result.modules = lora->modules;
    lora->gradients = NULL;
    lora->modules = NULL;
    lora_close(lora);
    train_pass_close(pass);
    train_model_free(&model);
    op_device_close(&d);
    return result;
}

/* The largest difference of a tensor's gradients, as a part of the largest of them. */
static double worst_of(const float *got, const float *want, size_t n)
{
    double error = 0, largest = 0;

    for (size_t i = 0; i < n; i++) {
        error = fmax(error, fabs((double)got[i] - (double)want[i]));
        largest = fmax(largest, fabs((double)want[i]));
        if (isnan((double)got[i]))
            return HUGE_VAL;
    }
    return error / largest;
}

static void compare(const char *what, const struct result *got, const struct result *want,
                    double tolerance)
{
    for (int i = 0; i < N_ROWS; i++)
        assert_true(fabs(got->nll[i] - want->nll[i]) <= tolerance * (1 + want->nll[i]));
    for (int i = 0; i < got->n_modules; i++) {
        const struct lora_module *m = &got->modules[i];
        const size_t n_a = m->b - m->a;
        const size_t n_b = (i + 1 < got->n_modules ? m[1].a : got->n) - m->b;
        const double a = worst_of(got->gradients + m->a, want->gradients + m->a, n_a);
        const double b = worst_of(got->gradients + m->b, want->gradients + m->b, n_b);

        if (!(a <= tolerance && b <= tolerance))
            fail_msg("%s, layer %d, %s: A off by %g, B by %g", what, m->layer,
                     lora_target_name(m->target), a, b);
    }
}

static void same_bits(const char *what, const struct result *got, const struct result *want)
{
    for (size_t i = 0; i < got->n; i++) {
        if (memcmp(&got->gradients[i], &want->gradients[i], sizeof(float)) != 0)
            fail_msg("%s: gradient %zu is %.9g, was %.9g", what, i, (double)got->gradients[i],
                     (double)want->gradients[i]);
    }
    assert_memory_equal(got->nll, want->nll, sizeof(got->nll));
}

/* A set that rounds to 16 bits computes another function, of near values. */
static double tolerance_of(const char *set)
{
    return op_rounds(set) ? 2e-2 : 1e-4;
}

static void test_sets(void **state)
{
    const char *sets[OP_MAX_SETS];
    const int n_sets = op_sets(sets);
    char what[128];

    (void)state;
    for (int s = 0; s < TRAIN_N_SHAPES; s++) {
        const struct way oracle = {"scalar", 2, false, false, 0.1f};
        struct result want = run(&train_shapes[s], &oracle);

        for (int i = 0; i < n_sets; i++) {
            const struct way way = {sets[i], 2, false, false, 0.1f};
            struct result got = run(&train_shapes[s], &way);

            snprintf(what, sizeof(what), "%s, %s", sets[i], train_shapes[s].name);
            compare(what, &got, &want, tolerance_of(sets[i]));
            release(&got);
        }
        release(&want);
    }
}

static void test_same_bits(void **state)
{
    const char *sets[OP_MAX_SETS];
    const int n_sets = op_sets(sets);
    char what[128];

    (void)state;
    for (int i = 0; i < n_sets; i++) {
        const struct way first = {sets[i], 1, false, false, 0.1f};
        const struct way others[] = {
            {sets[i], 2, false, false, 0.1f},
            {sets[i], 3, true, false, 0.1f},
            {sets[i], 2, false, true, 0.1f},
        };

        for (int s = 0; s < TRAIN_N_SHAPES; s++) {
            struct result want = run(&train_shapes[s], &first);

            for (size_t w = 0; w < sizeof(others) / sizeof(others[0]); w++) {
                struct result got = run(&train_shapes[s], &others[w]);

                snprintf(what, sizeof(what), "%s, %s, %d threads%s%s", sets[i],
                         train_shapes[s].name, others[w].n_threads,
                         others[w].recompute ? ", recomputed" : "",
                         others[w].apart ? ", rows apart" : "");
                same_bits(what, &got, &want);
                release(&got);
            }
            release(&want);
        }
    }
}

/* The way back through weights of every type, as another reader has them; on sets that round, as
 * these multiply them. */
static void back_case(const struct op_device *d, enum dtype dtype, size_t rows, size_t cols,
                      bool linear)
{
    enum { N = 7 };
    const struct tensor_view w = op_weights(dtype, rows, cols, 5);
    struct status status = {0};
    struct matrix *m =
        (linear ? d->op->upload_linear : d->op->upload)(d->device, &w, NULL, &status);
    float *dy = op_random(6, N * rows, 1), *on = op_guarded(d, NULL, N * cols);
    float *dx = memory_zeroed(N * cols, sizeof(*dx));
    double error = 0, size = 0;

    train_need(m && d->op->gradients->reserve(d->device, N, 1024, 1, &status), "matrix", &status);
    d->op->gradients->linear(d->device, on, dy, m, N, false);
    assert_true(op_take(d, dx, on, N * cols));
    for (size_t c = 0; c < cols; c++) {
        double want[N] = {0};

        for (size_t k = 0; k < rows; k++) {
            const double value = (double)op_weight(&w, k, c);

            for (size_t r = 0; r < N; r++)
                want[r] += (double)dy[r * rows + k] * value;
        }
        for (size_t r = 0; r < N; r++) {
            error += pow((double)dx[r * cols + c] - want[r], 2);
            size += want[r] * want[r];
        }
    }
    if (!(error <= (op_rounds(d->set) ? 1e-7 : 1e-12) * size))
        fail_msg("%s, %s, %zu x %zu: error %g", d->set, dtype_name(dtype), rows, cols,
                 error / size);
    d->op->free_matrix(d->device, m);
    free((void *)(uintptr_t)w.data);
    free(dy);
    free(dx);
}

static void test_types(void **state)
{
    const char *sets[OP_MAX_SETS];
    const int n_sets = op_sets(sets);

    (void)state;
    for (int i = 0; i < n_sets; i++) {
        struct op_device d = op_device_open(sets[i], 2);

        for (enum dtype dtype = DTYPE_F32; dtype < DTYPE_COUNT; dtype++) {
            const size_t block = dtype_block_elements(dtype);

            back_case(&d, dtype, 300, block == 1 ? 133 : block == 32 ? 160 : 512, true);
            back_case(&d, dtype, 33, block == 1 ? 64 : block == 32 ? 96 : 256, false);
        }
        op_device_close(&d);
    }
}

/* A base of 4 bits trains as its values do. */
static void test_nf4(void **state)
{
    struct train_shape nf4 = train_shapes[3], values;
    const char *sets[OP_MAX_SETS];
    const int n_sets = op_sets(sets);

    (void)state;
    nf4.dtype = DTYPE_NF4;
    values = nf4;
    values.expanded = true;
    for (int i = 0; i < n_sets; i++) {
        const struct way way = {sets[i], 2, false, false, 0};
        struct result got = run(&nf4, &way), want = run(&values, &way);

        if (op_rounds(sets[i]))
            compare(sets[i], &got, &want, tolerance_of(sets[i]));
        else
            same_bits(sets[i], &got, &want);
        release(&got);
        release(&want);
    }
}

/* drop(x) of ones as a set has it: what an adapter with an identity for A makes of them. */
enum { DROP_ROWS = 64, DROP_COLS = 300 };

static float *dropped(const char *set, uint64_t key, uint32_t module, uint32_t drop_below)
{
    struct op_device d = op_device_open(set, 2);
    const size_t n = (size_t)DROP_ROWS * DROP_COLS;
    float *identity = memory_zeroed((size_t)DROP_COLS * DROP_COLS, sizeof(*identity));
    float *x = memory_zeroed(n, sizeof(*x)), *u = memory_zeroed(n, sizeof(*u));
    int32_t positions[DROP_ROWS];
    const struct train_sequence sequence = {0, DROP_ROWS, key};
    const struct train_batch batch = {DROP_ROWS, &sequence, 1, positions};
    const struct lora_linear lora = {.rank = DROP_COLS,
                                     .in = DROP_COLS,
                                     .out = 1,
                                     .scale = 1,
                                     .a = identity,
                                     .drop_below = drop_below,
                                     .module = module};
    struct status status = {0};

    for (size_t i = 0; i < n; i++)
        x[i] = 1;
    for (size_t i = 0; i < DROP_COLS; i++)
        identity[i * DROP_COLS + i] = 1;
    for (int i = 0; i < DROP_ROWS; i++)
        positions[i] = i;
    train_need(d.op->gradients->reserve(d.device, DROP_ROWS, DROP_COLS, DROP_COLS, &status),
               "reserve", &status);
    d.op->gradients->lora(d.device, NULL, u, x, &lora, &batch);
    train_need(d.op->finish(d.device, &status), "lora", &status);
    free(identity);
    free(x);
    op_device_close(&d);
    return u;
}

static void assert_about(size_t count, double share)
{
    const double n = (double)DROP_ROWS * DROP_COLS, spread = sqrt(n * share * (1 - share));

    assert_true(fabs((double)count - n * share) < 5 * spread);
}

/* An element is dropped with the probability, whatever became of its neighbours, of the same place
 * in another module and under another key; what is kept makes up for it; all sets drop the same. */
static void test_dropout(void **state)
{
    const double share = 0.1, kept = 1 / (1 - 6554 / 65536.0);
    const size_t n = (size_t)DROP_ROWS * DROP_COLS;
    float *mask = dropped("scalar", 7, 3, 6554), *module = dropped("scalar", 7, 4, 6554);
    float *key = dropped("scalar", 8, 3, 6554);
    const char *sets[OP_MAX_SETS];
    const int n_sets = op_sets(sets);
    size_t count = 0, side = 0, below = 0, modules = 0, keys = 0;

    (void)state;
    for (size_t i = 0; i < n; i++) {
        const bool gone = mask[i] == 0.0f;

        assert_true(gone || fabs((double)mask[i] - kept) < 1e-6);
        count += gone;
        side += gone && mask[(i + 1) % n] == 0.0f;
        below += gone && mask[(i + DROP_COLS) % n] == 0.0f;
        modules += gone && module[i] == 0.0f;
        keys += gone && key[i] == 0.0f;
    }
    assert_about(count, share);
    assert_about(side, share * share);
    assert_about(below, share * share);
    assert_about(modules, share * share);
    assert_about(keys, share * share);
    for (int i = 0; i < n_sets; i++) {
        float *same = dropped(sets[i], 7, 3, 6554);

        assert_memory_equal(same, mask, n * sizeof(*mask));
        free(same);
    }
    free(mask);
    free(module);
    free(key);
}

/* What a caller gets wrong; and rows without targets, which cost nothing and change nothing. */
static void test_rows(void **state)
{
    static const uint8_t none[3] = {0};
    static const int32_t good[3] = {1, 2, 3}, low[3] = {1, -1, 2}, high[3] = {1, 61, 2};
    const struct lora_options options = {.rank = 2, .alpha = 2, .targets = TRAIN_ALL};
    const struct train_pass_options sizes = {3, false};
    const struct train_row rows[] = {{good, 3, none, 0}, {low, 3, none, 0}, {high, 3, none, 0}};
    struct op_device d = op_device_open("scalar", 1);
    struct lora *lora = train_lora(&train_shapes[0].config, &options);
    struct status status = {0};
    struct train_pass *pass;
    struct model model;
    double nll[2] = {1, 1};

    (void)state;
    train_model_make(&model, &train_shapes[0], d.op, d.device);
    pass = train_pass_open(&model, lora, &sizes, &status);
    train_need(pass != NULL, "pass", &status);
    assert_true(train_pass_gradients(pass, rows, 1, 1, nll, &status));
    assert_true(nll[0] == 0.0);
    for (size_t i = 0; i < lora->n_values; i++)
        assert_true(lora->gradients[i] == 0.0f);
    assert_false(train_pass_loss(pass, rows + 1, 1, nll, &status));
    assert_string_equal(status.message, "token 1 of row 0: id -1 is not in [0, 61)");
    assert_false(train_pass_loss(pass, rows + 2, 1, nll, &status));
    assert_string_equal(status.message, "token 1 of row 0: id 61 is not in [0, 61)");
    assert_false(train_pass_loss(pass, (struct train_row[]){rows[0], rows[0]}, 2, nll, &status));
    assert_string_equal(status.message, "6 tokens in 2 rows, at most 3 at a time");
    assert_int_equal(status.code, STATUS_CONFIG);
    train_pass_close(pass);
    lora_close(lora);
    train_model_free(&model);
    op_device_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sets), cmocka_unit_test(test_same_bits), cmocka_unit_test(test_types),
        cmocka_unit_test(test_nf4),  cmocka_unit_test(test_dropout),   cmocka_unit_test(test_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
