/* Each operation of the way back against central differences of its way forward, the scalar set
 * computing in double: off by at most a millionth of the tensor's largest gradient, in every
 * element. The loss is a sum of the results with random weights. */
#include "tests/op/train_model.h"

#include "tests/double/double.h"

static const double step = 1e-5, tolerance = 1e-6;
static struct device *device;
static const struct backend *op;

/* An operation, with what it reads and where its results go. */
struct run {
    void (*forward)(const struct run *run, double *y);
    const double *weights; /* of the n results */
    size_t n;
    double *x[4]; /* what it has gradients of */
    const struct matrix *matrix;
    const double *vector;
    struct lora_linear lora;
    struct train_attention shape;
    struct train_batch batch;
    int rows, cols;
};

static double *draw(uint64_t key, size_t n, double width)
{
    double *x = memory_zeroed(n, sizeof(*x));

    for (size_t i = 0; i < n; i++)
        x[i] = train_draw(key, i, width);
    return x;
}

/* What operations make is there when the device has finished. */
static void finish(void)
{
    struct status status = {0};

    assert_true(op->finish(device, &status));
}

static double loss_of(const struct run *run, double *y)
{
    double loss = 0;

    run->forward(run, y);
    finish();
    for (size_t i = 0; i < run->n; i++)
        loss += run->weights[i] * y[i];
    return loss;
}

/* All n elements of one input. */
static void check(const char *what, const struct run *run, double *x, const double *gradient,
                  size_t n)
{
    double *y = memory_zeroed(run->n, sizeof(*y)), largest = 0;

    finish();
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(gradient[i]));
    assert_true(largest > 1e-3);
    for (size_t i = 0; i < n; i++) {
        const double value = x[i];
        double above, below, off;

        x[i] = value + step;
        above = loss_of(run, y);
        x[i] = value - step;
        below = loss_of(run, y);
        x[i] = value;
        off = fabs((above - below) / (2 * step) - gradient[i]) / largest;
        if (!(off <= tolerance))
            fail_msg("%s: element %zu is %g, off by %g of the largest", what, i, gradient[i], off);
    }
    free(y);
}

/* Two sequences, so that the one behind begins within a block. */
static int32_t positions[200];
static struct train_sequence sequences[2];

static struct train_batch batch_of(int first, int second)
{
    for (int i = 0; i < first + second; i++)
        positions[i] = i < first ? i : i - first;
    sequences[0] = (struct train_sequence){0, first, 5};
    sequences[1] = (struct train_sequence){first, second, 6};
    return (struct train_batch){first + second, sequences, 2, positions};
}

static void forward_linear(const struct run *run, double *y)
{
    op->linear(device, y, run->x[0], run->matrix, NULL, run->rows);
}

static void test_linear(void **state)
{
    static const struct {
        enum dtype dtype;
        int out, in;
    } cases[] = {{DTYPE_F16, 37, 45}, {DTYPE_F16, 300, 16}, {DTYPE_Q8_0, 50, 96}};
    const struct model on = {.backend = op, .device = device};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct train_shape shape = {.dtype = cases[i].dtype};
        const size_t n_in = 7 * (size_t)cases[i].in, n_out = 7 * (size_t)cases[i].out;
        struct matrix *m = train_matrix(&on, &shape, cases[i].out, cases[i].in, i, 1, true);
        double *x = draw(11, n_in, 1), *w = draw(12, n_out, 1), *dx = draw(13, n_in, 1);
        struct run run = {forward_linear, w, n_out, {x}, .matrix = m, .rows = 7};
        double *twice = memory_zeroed(n_in, sizeof(*twice));

        op->gradients->linear(device, dx, w, m, 7, false);
        check("linear", &run, x, dx, n_in);
        memcpy(twice, dx, n_in * sizeof(*dx));
        op->gradients->linear(device, twice, w, m, 7, true);
        for (size_t k = 0; k < n_in; k++)
            assert_true(fabs(twice[k] - 2 * dx[k]) <= 1e-12);
        op->free_matrix(device, m);
        free(x);
        free(w);
        free(dx);
        free(twice);
    }
}

static void forward_lora(const struct run *run, double *y)
{
    double *u = memory_zeroed((size_t)run->batch.n_rows * (size_t)run->lora.rank, sizeof(*u));

    memset(y, 0, run->n * sizeof(*y));
    op->gradients->lora(device, y, u, run->x[0], &run->lora, &run->batch);
    free(u);
}

static void check_lora(int rank, int in, int out, uint32_t drop_below)
{
    const struct train_batch batch = batch_of(9, 6);
    const size_t n = 15, r = (size_t)rank, n_a = r * (size_t)in, n_b = r * (size_t)out;
    double *a = draw(21, n_a, 1), *b = draw(22, n_b, 1), *x = draw(23, n * (size_t)in, 1);
    double *w = draw(24, n * (size_t)out, 1), *u = memory_zeroed(n * r, sizeof(*u));
    double *da = memory_zeroed(n_a, sizeof(*da)), *db = memory_zeroed(n_b, sizeof(*db));
    double *dx = memory_zeroed(n * (size_t)in, sizeof(*dx)), *y = draw(25, n * (size_t)out, 1);
    struct run run = {forward_lora, w, n * (size_t)out, {x}, .batch = batch};

    run.lora = (struct lora_linear){rank, in, out, 1.7, a, b, da, db, drop_below, 3};
    op->gradients->lora(device, y, u, x, &run.lora, &batch);
    op->gradients->lora_backward(device, dx, w, u, x, &run.lora, &batch);
    check("lora, x", &run, x, dx, n * (size_t)in);
    check("lora, A", &run, a, da, n_a);
    check("lora, B", &run, b, db, n_b);
    free(a);
    free(b);
    free(x);
    free(w);
    free(u);
    free(da);
    free(db);
    free(dx);
    free(y);
}

static void test_lora(void **state)
{
    (void)state;
    check_lora(3, 21, 18, 0);
    check_lora(16, 32, 32, 20000);
    check_lora(19, 150, 70, 6554);
}

static void forward_rmsnorm(const struct run *run, double *y)
{
    op->rmsnorm(device, y, run->x[0], run->vector, run->rows, run->cols, 1e-3);
}

static void test_rmsnorm(void **state)
{
    double *x = draw(31, 4 * 21, 1), *w = draw(32, 4 * 21, 1), *g = draw(33, 21, 2);
    double *dx = memory_zeroed(4 * 21, sizeof(*dx));
    struct run run = {forward_rmsnorm, w, 4 * 21, {x}, .vector = g, .rows = 4, .cols = 21};

    (void)state;
    op->gradients->rmsnorm(device, dx, w, x, g, 4, 21, 1e-3);
    check("rmsnorm", &run, x, dx, 4 * 21);
    free(x);
    free(w);
    free(g);
    free(dx);
}

static void forward_silu_mul(const struct run *run, double *y)
{
    op->silu_mul(device, y, run->x[0], run->x[1], run->n);
}

static void test_silu_mul(void **state)
{
    double *gate = draw(41, 50, 4), *up = draw(42, 50, 2), *w = draw(43, 50, 1);
    double *dgate = draw(41, 50, 4), *dup = draw(42, 50, 2);
    struct run run = {forward_silu_mul, w, 50, {gate, up}};

    (void)state;
    op->gradients->silu_mul(device, dgate, dup, w, 50);
    check("silu_mul, gate", &run, gate, dgate, 50);
    check("silu_mul, up", &run, up, dup, 50);
    free(gate);
    free(up);
    free(w);
    free(dgate);
    free(dup);
}

static const double inv_freq[] = {1, 0.3, 0.01};

static void forward_rope(const struct run *run, double *y)
{
    memcpy(y, run->x[0], run->n * sizeof(*y));
    op->rope(device, y, run->batch.positions, run->batch.n_rows, 2, 6, inv_freq);
}

static void test_rope(void **state)
{
    const struct train_batch batch = batch_of(5, 3);
    double *x = draw(51, 8 * 12, 1), *w = draw(52, 8 * 12, 1), *dx = draw(52, 8 * 12, 1);
    struct run run = {forward_rope, w, 8 * 12, {x}, .batch = batch};

    (void)state;
    op->gradients->rope(device, dx, positions, 8, 2, 6, inv_freq);
    check("rope", &run, x, dx, 8 * 12);
    free(x);
    free(w);
    free(dx);
}

static void forward_attention(const struct run *run, double *y)
{
    const size_t n = (size_t)run->batch.n_rows * (size_t)run->shape.n_heads;
    double *lse = memory_zeroed(n, sizeof(*lse));

    op->gradients->attention(device, y, lse, run->x[0], run->x[1], run->x[2], &run->shape,
                             &run->batch);
    free(lse);
}

static void check_attention(const struct train_attention *shape, int first, int second)
{
    const struct train_batch batch = batch_of(first, second);
    const size_t n = (size_t)batch.n_rows, dim = (size_t)shape->head_dim;
    const size_t n_q = n * (size_t)shape->n_heads * dim, n_kv = n * (size_t)shape->n_kv_heads * dim;
    double *q = draw(61, n_q, 2), *k = draw(62, n_kv, 2), *v = draw(63, n_kv, 1);
    double *w = draw(64, n_q, 1), *out = memory_zeroed(n_q, sizeof(*out));
    double *lse = memory_zeroed(n * (size_t)shape->n_heads, sizeof(*lse));
    double *dq = draw(65, n_q, 1), *dk = draw(66, n_kv, 1), *dv = draw(67, n_kv, 1);
    struct run run = {forward_attention, w, n_q, {q, k, v}, .shape = *shape, .batch = batch};

    op->gradients->attention(device, out, lse, q, k, v, shape, &batch);
    op->gradients->attention_backward(device, dq, dk, dv, w, out, lse, q, k, v, shape, &batch);
    check("attention, q", &run, q, dq, n_q);
    check("attention, k", &run, k, dk, n_kv);
    check("attention, v", &run, v, dv, n_kv);
    free(q);
    free(k);
    free(v);
    free(w);
    free(out);
    free(lse);
    free(dq);
    free(dk);
    free(dv);
}

static void test_attention(void **state)
{
    (void)state;
    check_attention(&(struct train_attention){2, 2, 6, 0}, 19, 3);
    check_attention(&(struct train_attention){4, 2, 18, 0}, 5, 34);
    check_attention(&(struct train_attention){3, 1, 4, 7}, 40, 2);
    check_attention(&(struct train_attention){2, 1, 4, 20}, 100, 1);
}

static const int32_t targets[] = {4, 0, 22, 7};

/* One number: the sum of all losses. */
static void forward_cross_entropy(const struct run *run, double *y)
{
    double nll[4];

    op->gradients->cross_entropy(device, nll, run->x[0], targets, 4, 23, 0);
    *y = nll[0] + nll[1] + nll[2] + nll[3];
}

static void test_cross_entropy(void **state)
{
    const double weight = 0.3;
    double *logits = draw(71, 4 * 23, 3), *gradient = draw(71, 4 * 23, 3), nll[4];
    struct run run = {forward_cross_entropy, &weight, 1, {logits}};

    (void)state;
    op->gradients->cross_entropy(device, nll, gradient, targets, 4, 23, weight);
    check("cross_entropy", &run, logits, gradient, 4 * 23);
    free(logits);
    free(gradient);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear),        cmocka_unit_test(test_lora),
        cmocka_unit_test(test_rmsnorm),       cmocka_unit_test(test_silu_mul),
        cmocka_unit_test(test_rope),          cmocka_unit_test(test_attention),
        cmocka_unit_test(test_cross_entropy),
    };
    const struct device_options threads = {2};
    struct status status = {0};
    int failed;

    op = &backend_cpu;
    device = op->open(&threads, &status);
    train_need(device && op->gradients->reserve(device, 200, 300, 19, &status), "device", &status);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    op->close(device);
    return failed;
}
