/* What adapters add to linear layers, on every kernel set: against a loop in double, and as bytes:
 * a row has those of its own adapter alone, whatever the rows beside it have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"
#include "tests/op/op_cases.h"
#include "tests/op/op_device.h"
#include "tests/op/op_weights.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* LAYERS layers of one x, ADAPTERS adapters; each adapter leaves one layer alone. */
enum { LAYERS = 3, ADAPTERS = 3, MAX_RUNS = 64, MAX_RANK = 400 };

static const struct addition_shape {
    int n, cols, rows[LAYERS], ranks[ADAPTERS];
    enum dtype base, a, b;
} shapes[] = {
    {1, 1, {1, 1, 1}, {1, 1, 1}, DTYPE_F32, DTYPE_F32, DTYPE_F32},
    {2, 17, {16, 5, 33}, {1, 33, 2}, DTYPE_F16, DTYPE_F32, DTYPE_F32},
    {7, 64, {48, 16, 17}, {16, 8, 1}, DTYPE_BF16, DTYPE_BF16, DTYPE_BF16},
    {13, 96, {53, 64, 31}, {33, 4, 16}, DTYPE_Q4_0, DTYPE_F16, DTYPE_F16},
    {40, 416, {100, 40, 7}, {15, 64, 17}, DTYPE_Q8_0, DTYPE_F32, DTYPE_BF16},
    {33, 800, {32, 160, 90}, {16, 16, 16}, DTYPE_Q4_1, DTYPE_F32, DTYPE_F32},
    /* B in several chunks */
    {11, 64, {40, 33, 16}, {400, 257, 385}, DTYPE_F32, DTYPE_F16, DTYPE_F16},
    /* rows in several blocks */
    {520, 96, {33, 16, 48}, {16, 3, 40}, DTYPE_BF16, DTYPE_F32, DTYPE_F32},
};

static const float scales[ADAPTERS] = {2.0f, 0.37f, -1.25f};

static const char *set;

/* Of the results of each set, to compare those that give the same bits. */
static uint64_t hashes[OP_MAX_SETS][LENGTH(shapes)];

static size_t number_of(const char *name)
{
    size_t i = 0;

    while (strcmp(cpu_kernel_sets[i].kernels->name, name) != 0)
        i++;
    return i;
}

/* Everything of a shape, on a device. */
struct fixture {
    struct op_device d;
    const struct addition_shape *s;
    struct tensor_view w[LAYERS], a[ADAPTERS][LAYERS], b[ADAPTERS][LAYERS];
    struct matrix *on_w[LAYERS], *on_a[ADAPTERS][LAYERS], *on_b[ADAPTERS][LAYERS];
    float *x, *bias[LAYERS], *on_x, *on_bias[LAYERS];
};

static struct matrix *upload(const struct fixture *f, const struct tensor_view *view, bool linear)
{
    const struct backend *op = f->d.op;
    struct status status = {0};
    struct matrix *m = (linear ? op->upload_linear : op->upload)(f->d.device, view, NULL, &status);

    op_need(m != NULL, "matrix", &status);
    return m;
}

static void open_fixture(struct fixture *f, const struct addition_shape *s, int threads)
{
    f->d = op_device_open(set, threads);
    f->s = s;
    f->x = op_random(1, (size_t)s->n * (size_t)s->cols, 1);
    f->on_x = op_guarded(&f->d, f->x, (size_t)s->n * (size_t)s->cols);
    for (int i = 0; i < LAYERS; i++) {
        const size_t rows = (size_t)s->rows[i], cols = (size_t)s->cols;

        f->w[i] = op_weights(s->base, rows, cols, 10 + (uint64_t)i);
        f->on_w[i] = upload(f, &f->w[i], true);
        f->bias[i] = op_random(20 + (uint64_t)i, rows, 1);
        f->on_bias[i] = op_upload(&f->d, f->bias[i], rows);
        for (int k = 0; k < ADAPTERS; k++) {
            const size_t rank = (size_t)s->ranks[k];
            const uint64_t key = 30 + (uint64_t)(k * LAYERS + i);

            f->a[k][i] = op_weights(s->a, rank, cols, key);
            f->b[k][i] = op_weights(s->b, rows, rank, key + 100);
            f->on_a[k][i] = upload(f, &f->a[k][i], true);
            f->on_b[k][i] = upload(f, &f->b[k][i], false);
        }
    }
}

static void drop(struct fixture *f, struct matrix *m, const struct tensor_view *view)
{
    f->d.op->free_matrix(f->d.device, m);
    free((void *)(uintptr_t)view->data);
}

static void close_fixture(struct fixture *f)
{
    assert_true(op_take(&f->d, f->x, f->on_x, (size_t)f->s->n * (size_t)f->s->cols));
    for (int i = 0; i < LAYERS; i++) {
        drop(f, f->on_w[i], &f->w[i]);
        f->d.op->free(f->d.device, f->on_bias[i]);
        free(f->bias[i]);
        for (int k = 0; k < ADAPTERS; k++) {
            drop(f, f->on_a[k][i], &f->a[k][i]);
            drop(f, f->on_b[k][i], &f->b[k][i]);
        }
    }
    free(f->x);
    op_device_close(&f->d);
}

/* Is the layer left alone by the adapter? */
static bool alone(int adapter, int layer)
{
    return adapter < 0 || layer == adapter;
}

/* Rows [first, first + n) of all layers; adapters[n], -1: none. y[i]: [n][rows of layer i] */
static void multiply(const struct fixture *f, int first, int n, const int *adapters,
                     float *y[LAYERS])
{
    static struct linear_addition additions[LAYERS][MAX_RUNS];
    struct linear_call calls[LAYERS];
    float *on_y[LAYERS];

    for (int i = 0; i < LAYERS; i++) {
        int n_runs = 0;

        for (int row = 0, end; row < n; row = end) {
            const int k = adapters[row];

            for (end = row; end < n && adapters[end] == k; end++)
                ;
            if (alone(k, i))
                continue;
            assert_true(n_runs < MAX_RUNS);
            additions[i][n_runs++] =
                (struct linear_addition){f->on_a[k][i], f->on_b[k][i], scales[k], row, end - row};
        }
        on_y[i] = op_guarded(&f->d, NULL, (size_t)n * (size_t)f->s->rows[i]);
        calls[i] = (struct linear_call){on_y[i], f->on_w[i], f->on_bias[i], additions[i], n_runs};
    }
    f->d.op->linears(f->d.device, calls, LAYERS, f->on_x + first * f->s->cols, n);
    for (int i = 0; i < LAYERS; i++)
        assert_true(op_take(&f->d, y[i], on_y[i], (size_t)n * (size_t)f->s->rows[i]));
}

static void alloc_results(const struct addition_shape *s, float *y[LAYERS])
{
    for (int i = 0; i < LAYERS; i++)
        y[i] = memory_zeroed((size_t)s->n * (size_t)s->rows[i], sizeof(*y[i]));
}

static void free_results(float *y[LAYERS])
{
    for (int i = 0; i < LAYERS; i++)
        free(y[i]);
}

/* Runs of several lengths of all adapters and none. */
static void mix(int *adapters, int n)
{
    static const int lengths[] = {1, 3, 2, 1, 5, 13, 1, 30, 100};
    int row = 0;

    for (int run = 0; row < n; run++) {
        for (int i = 0; i < lengths[run % (int)LENGTH(lengths)] && row < n; i++)
            adapters[row++] = (run + 1) % (ADAPTERS + 1) - 1;
    }
}

/* ---- against double ----------------------------------------------------------------------- */

/* t[rank] = A x of a row, for all outputs of it. */
static void down(const struct fixture *f, int layer, int adapter, int row, double *t)
{
    const size_t cols = (size_t)f->s->cols;
    const float *x = f->x + (size_t)row * cols;

    for (size_t r = 0; !alone(adapter, layer) && r < (size_t)f->s->ranks[adapter]; r++) {
        t[r] = 0;
        for (size_t k = 0; k < cols; k++)
            t[r] += (double)x[k] * (double)op_weight(&f->a[adapter][layer], r, k);
    }
}

static double reference(const struct fixture *f, int layer, int adapter, int row, int column,
                        const double *t)
{
    const size_t cols = (size_t)f->s->cols, c = (size_t)column;
    const float *x = f->x + (size_t)row * cols;
    double y = (double)f->bias[layer][column], added = 0;

    for (size_t k = 0; k < cols; k++)
        y += (double)x[k] * (double)op_weight(&f->w[layer], c, k);
    if (alone(adapter, layer))
        return y;
    for (size_t r = 0; r < (size_t)f->s->ranks[adapter]; r++)
        added += t[r] * (double)op_weight(&f->b[adapter][layer], c, r);
    return y + (double)scales[adapter] * added;
}

static void compare_layer(const struct fixture *f, int layer, const int *adapters, const float *y)
{
    const double floats = linear_nmse * (double)(f->s->cols + 400 + 100);
    const double allowed = op_rounds(set) ? words_nmse : floats;
    const int rows = f->s->rows[layer];
    /* of many rows, some */
    const int step = f->s->n > 100 ? 37 : 1;
    double error = 0, size = 0;

    for (int r = 0; r < f->s->n; r += step) {
        double t[MAX_RANK];

        down(f, layer, adapters[r], r, t);
        for (int c = 0; c < rows; c++) {
            const double want = reference(f, layer, adapters[r], r, c, t);
            const double off = (double)y[r * rows + c] - want;

            error += off * off;
            size += want * want;
        }
    }
    if (!(error <= 2 * allowed * size))
        fail_msg("%d rows, %d x %d: error %.3g, allowed %.3g", f->s->n, rows, f->s->cols,
                 error / size, 2 * allowed);
}

static void sums_are_those_of_double(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(shapes); i++) {
        struct fixture f;
        int *adapters = memory_zeroed((size_t)shapes[i].n, sizeof(*adapters));
        float *y[LAYERS];

        open_fixture(&f, &shapes[i], 2);
        alloc_results(f.s, y);
        mix(adapters, f.s->n);
        multiply(&f, 0, f.s->n, adapters, y);
        for (int layer = 0; layer < LAYERS; layer++) {
            const size_t size = (size_t)(f.s->n * f.s->rows[layer]) * sizeof(float);
            uint64_t *hash = &hashes[number_of(set)][i];

            compare_layer(&f, layer, adapters, y[layer]);
            *hash = hash_more(layer > 0 ? *hash : HASH_START, y[layer], size);
        }
        free_results(y);
        free(adapters);
        close_fixture(&f);
    }
}

/* ---- as bytes ----------------------------------------------------------------------------- */

/* Each row of a mixed batch is what it is alone. */
static void rows_are_those_alone(const struct fixture *f, const int *adapters, float *y[LAYERS])
{
    for (int r = 0; r<f->s->n; r += f->s->n> 100 ? 37 : 1) {
        float *one[LAYERS];

        alloc_results(f->s, one);
        multiply(f, r, 1, adapters + r, one);
        for (int i = 0; i < LAYERS; i++) {
            const size_t rows = (size_t)f->s->rows[i];

            assert_memory_equal(one[i], y[i] + (size_t)r * rows, rows * sizeof(float));
        }
        free_results(one);
    }
}

/* Rows of no adapter, and layers that theirs leaves alone, are those of plain layers. */
static void others_are_plain(const struct fixture *f, const int *adapters, float *y[LAYERS])
{
    for (int i = 0; i < LAYERS; i++) {
        const size_t rows = (size_t)f->s->rows[i], n = (size_t)f->s->n;
        float *on_y = op_guarded(&f->d, NULL, n * rows), *plain = memory_zeroed(n * rows, 4);

        f->d.op->linear(f->d.device, on_y, f->on_x, f->on_w[i], f->on_bias[i], f->s->n);
        assert_true(op_take(&f->d, plain, on_y, n * rows));
        for (size_t r = 0; r < n; r++) {
            const int same = memcmp(y[i] + r * rows, plain + r * rows, rows * sizeof(float)) == 0;

            assert_int_equal(same, alone(adapters[r], i));
        }
        free(plain);
    }
}

static void a_row_has_the_bytes_that_it_has_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(shapes); i++) {
        for (int threads = 1; threads <= 3; threads++) {
            struct fixture f;
            int *adapters = memory_zeroed((size_t)shapes[i].n, sizeof(*adapters));
            float *y[LAYERS];

            open_fixture(&f, &shapes[i], threads);
            alloc_results(f.s, y);
            mix(adapters, f.s->n);
            multiply(&f, 0, f.s->n, adapters, y);
            rows_are_those_alone(&f, adapters, y);
            others_are_plain(&f, adapters, y);
            free_results(y);
            free(adapters);
            close_fixture(&f);
        }
    }
}

/* Behind the others: where this CPU has both sets. */
static void sets_of_either_width_give_the_same_bits(void **state)
{
    static const char *const pairs[][2] = {{"avx2", "avx512"}, {"avx2-madd", "avx512-vnni"}};

    (void)state;
    for (size_t p = 0; p < LENGTH(pairs); p++) {
        const uint64_t *a = hashes[number_of(pairs[p][0])], *b = hashes[number_of(pairs[p][1])];

        for (size_t i = 0; i < LENGTH(shapes) && a[0] && b[0]; i++)
            assert_true(a[i] == b[i]);
    }
}

/* ------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    CMUnitTestFunction run;
} tests[] = {
    {"sums_are_those_of_double", sums_are_those_of_double},
    {"a_row_has_the_bytes_that_it_has_alone", a_row_has_the_bytes_that_it_has_alone},
};

struct planned {
    char name[96];
    const char *set;
    CMUnitTestFunction run;
};

static void run_planned(void **state)
{
    const struct planned *p = *state;

    set = p->set;
    p->run(NULL);
}

int main(void)
{
    const char *sets[OP_MAX_SETS];
    const int n_sets = op_sets(sets);
    static struct planned plan[OP_MAX_SETS * LENGTH(tests)];
    static struct CMUnitTest table[LENGTH(plan) + 1];
    size_t n = 0;

    for (int i = 0; i < n_sets; i++) {
        for (size_t t = 0; t < LENGTH(tests); t++, n++) {
            plan[n].set = sets[i];
            plan[n].run = tests[t].run;
            snprintf(plan[n].name, sizeof(plan[n].name), "%s_on_%s", tests[t].name, sets[i]);
            table[n] = (struct CMUnitTest){plan[n].name, run_planned, NULL, NULL, &plan[n]};
        }
    }
    table[n++] = (struct CMUnitTest)cmocka_unit_test(sets_of_either_width_give_the_same_bits);
    return _cmocka_run_group_tests("additions", table, n, NULL, NULL);
}
