/* Products of 16-bit numbers at the edges: sums that nearly overflow, sizes at either end of what a
 * float holds, and what is not finite. On every set that rounds. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/op/op_device.h"
#include "tests/op/op_weights.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

enum { COLS = 416, MOST_COLS = 512, ROWS = 33, N = 13 };

static const char *set;

/* y [N][ROWS] = x [N][cols of W] W^T */
static void multiply(float *got, const float *x, const struct tensor_view *w)
{
    struct op_device d = op_device_open(set, 2);
    struct status status = {0};
    struct matrix *m = d.op->upload(d.device, w, NULL, &status);
    float *on_x = op_upload(&d, x, N * w->cols), *y = op_guarded(&d, NULL, (size_t)N * ROWS);

    op_need(m != NULL, "matrix", &status);
    d.op->linear(d.device, y, on_x, m, NULL, N);
    assert_true(op_take(&d, got, y, (size_t)N * ROWS));
    d.op->free(d.device, on_x);
    d.op->free_matrix(d.device, m);
    op_device_close(&d);
}

static struct tensor_view floats(const float *w)
{
    return (struct tensor_view){
        DTYPE_F32, ROWS, COLS, (const uint8_t *)w, (size_t)ROWS * COLS * sizeof(*w), NULL};
}

/* Of both signs in blocks, or one: the sum of a group is as large as its norms allow. */
static float signed_one(size_t k, int pattern)
{
    return pattern == 0 ? 1.0f : pattern == 1 ? -1.0f : (k / 32) % 2 ? 1.0f : -1.0f;
}

static void sums_of_equal_numbers_do_not_overflow(void **state)
{
    static const float sizes[] = {1, 3e-5f, 7e4f, 1e-17f, 1e17f, 1e-12f, 3e18f};
    static float x[N * COLS], w[ROWS * COLS], got[N * ROWS];

    (void)state;
    for (size_t i = 0; i < LENGTH(sizes); i++) {
        for (int pattern = 0; pattern < 9; pattern++) {
            for (size_t k = 0; k < LENGTH(x); k++)
                x[k] = sizes[i] * signed_one(k % COLS, pattern / 3);
            for (size_t k = 0; k < LENGTH(w); k++)
                w[k] = signed_one(k % COLS, pattern % 3);
            const struct tensor_view view = floats(w);
            double want = 0;

            for (size_t k = 0; k < COLS; k++)
                want += (double)x[k] * (double)w[k];
            multiply(got, x, &view);
            for (size_t k = 0; k < LENGTH(got); k++)
                assert_true(fabs((double)got[k] - want) <=
                            3e-4 * fmax(fabs(want), (double)sizes[i] * COLS / 8));
        }
    }
}

/* All bytes alike but those of the factors, so that every q is at one end of its range. */
static struct tensor_view weights_of_equal_bytes(enum dtype dtype, uint8_t byte)
{
    const size_t cols = dtype_block_elements(dtype) > 32 ? MOST_COLS : COLS;
    const struct tensor_view w = op_weights(dtype, ROWS, cols, 1);
    const struct op_factors at = op_factors_at(dtype);
    const size_t size = dtype_block_bytes(dtype);

    for (uint8_t *b = (uint8_t *)(uintptr_t)w.data; b < w.data + w.size; b += size) {
        for (int i = 0; i < (int)size; i++) {
            if ((i != at.d && i != at.d + 1) && (at.m < 0 || (i != at.m && i != at.m + 1)))
                b[i] = byte;
        }
    }
    return w;
}

static void blocks_at_the_ends_of_their_range_do_not_overflow(void **state)
{
    static const uint8_t bytes[] = {0x00, 0xFF, 0x80, 0x7F, 0x0F, 0xF0, 0x11};
    static float x[N * MOST_COLS], got[N * ROWS];

    (void)state;
    for (size_t i = 0; i < (DTYPE_Q6_K - DTYPE_Q8_0 + 1) * LENGTH(bytes); i++) {
        const enum dtype dtype = DTYPE_Q8_0 + (enum dtype)(i / LENGTH(bytes));
        struct tensor_view w;

        if (dtype == DTYPE_NF4)
            continue;
        w = weights_of_equal_bytes(dtype, bytes[i % LENGTH(bytes)]);
        for (size_t k = 0; k < N * w.cols; k++)
            x[k] = op_weight(&w, 0, k % w.cols); /* like a weight row: the largest sum */
        multiply(got, x, &w);
        for (size_t r = 0; r < ROWS; r++) {
            double want = 0, size = 0;

            for (size_t k = 0; k < w.cols; k++) {
                const double product = (double)x[k] * (double)op_weight(&w, r, k);

                want += product;
                size += fabs(product);
            }
            /* a block whose numbers are small beside its factor is rounded in its units */
            assert_true(fabs((double)got[r] - want) <= 4e-3 * size + 1e-6);
        }
        free((void *)(uintptr_t)w.data);
    }
}

static void zeros_and_what_is_next_to_them_give_next_to_nothing(void **state)
{
    static const float sizes[] = {0, 1e-45f, 1e-40f, -1e-38f, 1e-37f, -0.0f};
    static float x[N * COLS], w[ROWS * COLS], got[N * ROWS];
    const struct tensor_view view = floats(w);

    (void)state;
    for (size_t i = 0; i < LENGTH(sizes); i++) {
        for (int side = 0; side < 2; side++) {
            for (size_t k = 0; k < LENGTH(x); k++)
                x[k] = side ? 1 : sizes[i];
            for (size_t k = 0; k < LENGTH(w); k++)
                w[k] = side ? sizes[i] : 1;
            multiply(got, x, &view);
            for (size_t k = 0; k < LENGTH(got); k++)
                assert_true(fabs((double)got[k]) <= 500 * fabs((double)sizes[i]));
        }
    }
}

/* In x one row's results are not finite, in W one column's; the others are as ever. */
static void what_is_not_finite_stays_where_it_was(void **state)
{
    static const float values[] = {NAN, INFINITY, -INFINITY};
    float *x = op_random(1, (size_t)N * COLS, 1), *w = op_random(2, (size_t)ROWS * COLS, 1);
    static float good[N * ROWS], got[N * ROWS];
    const struct tensor_view view = floats(w);

    (void)state;
    multiply(good, x, &view);
    for (size_t i = 0; i < LENGTH(values); i++) {
        for (int side = 0; side < 2; side++) {
            float *at = side ? &w[5 * COLS + 77] : &x[5 * COLS + 77];
            const float before = *at;

            *at = values[i];
            multiply(got, x, &view);
            *at = before;
            for (size_t r = 0; r < N; r++) {
                for (size_t c = 0; c < ROWS; c++) {
                    if ((side ? c : r) == 5)
                        assert_false(isfinite(got[r * ROWS + c]) != 0);
                    else
                        assert_true(got[r * ROWS + c] == good[r * ROWS + c]);
                }
            }
        }
    }
    free(x);
    free(w);
}

/* The factors of a type's first block in row 5, as 16 bits each. */
static void set_factors(const struct tensor_view *w, uint32_t d, uint32_t m)
{
    const struct op_factors at = op_factors_at(w->dtype);
    uint8_t *block = (uint8_t *)(uintptr_t)w->data + w->size / w->rows * 5;

    op_put16(block + at.d, d);
    if (at.m >= 0)
        op_put16(block + at.m, m);
}

/* Of types whose blocks count their scales in one d: it is 0, the least there is, below 0, or not
 * finite, beside offsets of any size. */
static void factors_of_any_size_are_minded(void **state)
{
    static const enum dtype dtypes[] = {DTYPE_Q2_K, DTYPE_Q3_K, DTYPE_Q4_K, DTYPE_Q5_K, DTYPE_Q6_K};
    static const uint32_t factors[] = {0, 1, 0x8001, 0x2000, 0xA800, 0x7BFF, 0x7C00, 0x7E00};
    enum { F = LENGTH(factors) };
    static float got[N * ROWS];
    float *x = op_random(1, (size_t)N * MOST_COLS, 1);

    (void)state;
    for (size_t i = 0; i < LENGTH(dtypes) * F * F; i++) {
        const struct tensor_view w = op_weights(dtypes[i / (F * F)], ROWS, MOST_COLS, 1);

        set_factors(&w, factors[i / F % F], factors[i % F]);
        multiply(got, x, &w);
        for (size_t r = 0; r < ROWS; r++) {
            double want = 0, size = 0;

            for (size_t k = 0; k < MOST_COLS; k++) {
                want += (double)x[k] * (double)op_weight(&w, r, k);
                size += fabs((double)op_weight(&w, r, k));
            }
            if (isfinite(want))
                assert_true(fabs((double)got[r] - want) <= 1e-3 * size);
            else
                assert_false(isfinite(got[r]) != 0);
        }
        free((void *)(uintptr_t)w.data);
    }
    free(x);
}

static const struct {
    const char *name;
    CMUnitTestFunction run;
} tests[] = {
    {"sums_of_equal_numbers_do_not_overflow", sums_of_equal_numbers_do_not_overflow},
    {"blocks_at_the_ends_of_their_range_do_not_overflow",
     blocks_at_the_ends_of_their_range_do_not_overflow},
    {"zeros_and_what_is_next_to_them_give_next_to_nothing",
     zeros_and_what_is_next_to_them_give_next_to_nothing},
    {"what_is_not_finite_stays_where_it_was", what_is_not_finite_stays_where_it_was},
    {"factors_of_any_size_are_minded", factors_of_any_size_are_minded},
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
    static struct CMUnitTest table[LENGTH(plan)];
    size_t n = 0;

    for (int i = 0; i < n_sets; i++) {
        for (size_t t = 0; t < LENGTH(tests) && op_rounds(sets[i]); t++, n++) {
            plan[n].set = sets[i];
            plan[n].run = tests[t].run;
            snprintf(plan[n].name, sizeof(plan[n].name), "%s_on_%s", tests[t].name, sets[i]);
            table[n] = (struct CMUnitTest){plan[n].name, run_planned, NULL, NULL, &plan[n]};
        }
    }
    if (n == 0) {
        printf("1..0 # SKIP no set of this CPU multiplies 16-bit numbers\n");
        return 0;
    }
    return _cmocka_run_group_tests("words", table, n, NULL, NULL);
}
