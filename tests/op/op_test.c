/* Every operation on every kernel set that this CPU has, against loops in double, and the sets
 * against each other; guards behind and before every output. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "compute/kv_cache.h"
#include "tests/op/op_cases.h"
#include "tests/op/op_device.h"
#include "tests/op/op_weights.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static bool same_name(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

enum { MAX_TESTS = 16 };

/* The scalar set's results of the cases in order: what the others are compared with as well. */
static struct {
    float *values;
    size_t n, cap;
    size_t at;               /* the next case's */
    size_t start[MAX_TESTS]; /* where a test's begin */
} oracle;

static double nmse(const float *got, const double *want, const float *others, size_t n)
{
    double error = 0, size = 0;

    for (size_t i = 0; i < n; i++) {
        const double w = others ? (double)others[i] : want[i];

        error += ((double)got[i] - w) * ((double)got[i] - w);
        size += w * w;
    }
    return size > 0 ? error / size : error;
}

/* The set's results against the reference, and against the scalar set's of the same case. */
static void compare(const struct op_device *d, const char *what, const float *got,
                    const double *want, size_t n, double allowed)
{
    const bool scalar = same_name(d->set, "scalar");
    const double error = nmse(got, want, NULL, n);
    const double limit = scalar && allowed < attention_nmse ? scalar_nmse : allowed;

    if (!(error <= limit))
        fail_msg("%s: error %.3g, allowed %.3g", what, error, limit);
    if (scalar) {
        if (oracle.n + n > oracle.cap) {
            oracle.cap = 2 * (oracle.n + n);
            oracle.values = memory_resize(oracle.values, oracle.cap, sizeof(float));
        }
        memcpy(oracle.values + oracle.n, got, n * sizeof(float));
        oracle.n += n;
        return;
    }
    assert_true(oracle.at + n <= oracle.n);
    assert_true(nmse(got, NULL, oracle.values + oracle.at, n) <= 2 * allowed);
    oracle.at += n;
}

static struct matrix *upload(const struct op_device *d, const struct tensor_view *view,
                             const int32_t *row_order)
{
    struct status status = {0};
    struct matrix *m = d->op->upload(d->device, view, row_order, &status);

    op_need(m != NULL, "matrix", &status);
    return m;
}

static struct matrix *upload_linear(const struct op_device *d, const struct tensor_view *view)
{
    struct status status = {0};
    struct matrix *m = d->op->upload_linear(d->device, view, NULL, &status);

    op_need(m != NULL, "matrix", &status);
    return m;
}

/* Layers of one x at once: each result is that of the layer alone, bit for bit. */
static void several_give_the_same(const struct op_device *d, const float *alone, const float *x,
                                  const struct matrix *m, const float *bias, int n, size_t rows)
{
    const size_t count = (size_t)n * rows;
    float *y[3], *want = memory_zeroed(count, sizeof(*want)), *got;
    struct linear_call calls[3];

    for (int i = 0; i < 3; i++) {
        y[i] = op_guarded(d, NULL, count);
        calls[i] = (struct linear_call){.y = y[i], .matrix = m, .bias = bias};
    }
    d->op->linears(d->device, calls, 3, x, n);
    d->op->to_host(d->device, want, alone, count);
    got = memory_zeroed(count, sizeof(*got));
    for (int i = 0; i < 3; i++) {
        assert_true(op_take(d, got, y[i], count));
        assert_memory_equal(got, want, count * sizeof(*got));
    }
    free(got);
    free(want);
}

static void linear_case(const struct op_device *d, const struct linear_shape *s, enum dtype dtype,
                        bool bias, uint64_t key)
{
    const size_t n = (size_t)s->n, rows = (size_t)s->rows, cols = (size_t)s->cols;
    const struct tensor_view w = op_weights(dtype, rows, cols, key);
    struct matrix *m = upload(d, &w, NULL), *kept = upload_linear(d, &w);
    float *x = op_random(key + 1, n * cols, 1), *b = op_random(key + 2, rows, 1);
    float *on_x = op_guarded(d, x, n * cols), *on_b = op_guarded(d, b, rows);
    float *y = op_guarded(d, NULL, n * rows), *got = memory_zeroed(n * rows, sizeof(*got));
    double *want = memory_zeroed(n * rows, sizeof(*want));
    char what[96];

    for (size_t c = 0; c < rows; c++) {
        for (size_t k = 0; k < cols; k++) {
            const double weight = (double)op_weight(&w, c, k);

            for (size_t r = 0; r < n; r++)
                want[r * rows + c] += (double)x[r * cols + k] * weight;
        }
        for (size_t r = 0; bias && r < n; r++)
            want[r * rows + c] += (double)b[c];
    }
    d->op->linear(d->device, y, on_x, m, bias ? on_b : NULL, s->n);
    several_give_the_same(d, y, on_x, m, bias ? on_b : NULL, s->n, rows);
    several_give_the_same(d, y, on_x, kept, bias ? on_b : NULL, s->n, rows);
    assert_true(op_take(d, got, y, n * rows));
    snprintf(what, sizeof(what), "linear %s, %d rows, %d x %d", dtype_name(dtype), s->n, s->rows,
             s->cols);
    compare(d, what, got, want, n * rows,
            !op_rounds(d->set)   ? linear_nmse * (double)(cols + 100)
            : op_is_codes(dtype) ? codes_nmse
                                 : words_nmse);
    assert_true(op_take(d, x, on_x, n * cols));
    assert_true(op_take(d, b, on_b, rows));
    d->op->free_matrix(d->device, kept);
    d->op->free_matrix(d->device, m);
    free((void *)(uintptr_t)w.data);
    free(x);
    free(b);
    free(got);
    free(want);
}

static void linear_agrees_with_a_double_loop(const struct op_device *d)
{
    for (int dtype = DTYPE_F32; dtype < DTYPE_COUNT; dtype++) {
        for (size_t i = 0; i < LENGTH(linear_shapes); i++) {
            const size_t block = dtype_block_elements((enum dtype)dtype);

            if ((size_t)linear_shapes[i].cols % block == 0)
                linear_case(d, &linear_shapes[i], (enum dtype)dtype, i % 2, 100 * (uint64_t)dtype);
        }
    }
}

/* How far word sets may be off, of the largest number: where the offset of a block of 256 dwarfs
 * its codes, the codes' scale is rounded to a unit of 2^-14 of that number, and they multiply it.
 */
static double most_off(enum dtype dtype)
{
    return dtype == DTYPE_Q5_K   ? 31 * 0x1p-15 + 3e-5
           : dtype == DTYPE_Q4_K ? 15 * 0x1p-15 + 3e-5
                                 : 3e-4;
}

/* Weights that went through a product with 1. */
static void check_weights(const struct op_device *d, const struct tensor_view *w, size_t row,
                          const float *got, size_t stride)
{
    double most = 0;

    for (size_t k = 0; k < w->cols; k++)
        most = fmax(most, fabs((double)op_weight(w, row, k)));
    for (size_t k = 0; k < w->cols; k++) {
        const double off = fabs((double)got[k * stride] - (double)op_weight(w, row, k));

        assert_true(off <= (op_rounds(d->set) ? most_off(w->dtype) * most : 0));
    }
}

/* x = unit vectors: y is the matrix itself, each weight through expansion and tile. */
static void weights_come_out_bit_for_bit(const struct op_device *d)
{
    enum { ROWS = 37, MOST_COLS = 512 };
    static float x[MOST_COLS * MOST_COLS], got[MOST_COLS * ROWS];
    int32_t ids[ROWS], order[ROWS];

    for (int32_t i = 0; i < ROWS; i++) {
        ids[i] = ROWS - 1 - i;
        order[i] = (i * 7 + 3) % ROWS;
    }
    for (int dtype = DTYPE_F32; dtype < DTYPE_COUNT; dtype++) {
        const size_t cols = dtype_block_elements((enum dtype)dtype) > 32 ? MOST_COLS : 416;
        const struct tensor_view w = op_weights((enum dtype)dtype, ROWS, cols, 7);
        struct matrix *m = upload(d, &w, order);
        float *on_x, *y = op_guarded(d, NULL, cols * ROWS);

        memset(x, 0, sizeof(x));
        for (size_t k = 0; k < cols; k++)
            x[k * cols + k] = 1;
        on_x = op_upload(d, x, cols * cols);
        d->op->linear(d->device, y, on_x, m, NULL, (int)cols);
        assert_true(op_take(d, got, y, cols * ROWS));
        for (size_t r = 0; r < ROWS; r++)
            check_weights(d, &w, (size_t)order[r], got + r, ROWS);
        y = op_guarded(d, NULL, cols * ROWS);
        d->op->embed(d->device, y, m, ids, ROWS);
        assert_true(op_take(d, got, y, cols * ROWS));
        for (size_t r = 0; r < ROWS; r++) {
            for (size_t k = 0; k < cols; k++)
                assert_true(got[r * cols + k] == op_weight(&w, (size_t)order[ids[r]], k));
        }
        d->op->free(d->device, on_x);
        d->op->free_matrix(d->device, m);
        free((void *)(uintptr_t)w.data);
    }
}

static void want_norm(double *want, const float *x, const float *weight, const float *bias,
                      size_t dim, double eps)
{
    double mean = 0, variance = 0;

    for (size_t i = 0; bias && i < dim; i++)
        mean += (double)x[i] / (double)dim;
    for (size_t i = 0; i < dim; i++)
        variance += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)dim;
    for (size_t i = 0; i < dim; i++)
        want[i] = ((double)x[i] - mean) / sqrt(variance + eps) * (double)weight[i] +
                  (bias ? (double)bias[i] : 0);
}

static void norm_case(const struct op_device *d, const struct row_shape *s, bool layernorm)
{
    const size_t n = (size_t)s->n, dim = (size_t)s->dim;
    float *x = op_random(31, n * dim, 4), *weight = op_random(32, dim, 2);
    float *bias = op_random(33, dim, 1), *got = memory_zeroed(n * dim, sizeof(*got));
    float *on_weight = op_guarded(d, weight, dim), *on_bias = op_guarded(d, bias, dim);
    float *y = op_guarded(d, x, n * dim); /* in place */
    double *want = memory_zeroed(n * dim, sizeof(*want));

    for (size_t r = 0; r < n; r++)
        want_norm(want + r * dim, x + r * dim, weight, layernorm ? bias : NULL, dim, (double)1e-5f);
    if (layernorm)
        d->op->layernorm(d->device, y, y, on_weight, on_bias, s->n, s->dim, 1e-5f);
    else
        d->op->rmsnorm(d->device, y, y, on_weight, s->n, s->dim, 1e-5f);
    assert_true(op_take(d, got, y, n * dim));
    compare(d, layernorm ? "layernorm" : "rmsnorm", got, want, n * dim, norm_nmse);
    assert_true(op_take(d, weight, on_weight, dim));
    assert_true(op_take(d, bias, on_bias, dim));
    free(x);
    free(weight);
    free(bias);
    free(got);
    free(want);
}

static void norms_agree_with_double_loops(const struct op_device *d)
{
    for (size_t i = 0; i < LENGTH(row_shapes); i++) {
        norm_case(d, &row_shapes[i], false);
        norm_case(d, &row_shapes[i], true);
    }
}

enum elementwise { ADD, SILU_MUL, GELU, GELU_TANH, RELU, TANH };

static double want_element(enum elementwise op, double x, double y)
{
    switch (op) {
    case ADD:
        return x + y;
    case SILU_MUL:
        return x / (1 + exp(-x)) * y;
    case GELU:
        return x / 2 * (1 + erf(x / sqrt(2.0)));
    case GELU_TANH:
        return x / (1 + exp(-2 * sqrt(2 / acos(-1.0)) * (x + 0.044715 * x * x * x)));
    case RELU:
        return fmax(x, 0);
    default:
        return tanh(x);
    }
}

static void run_element(const struct op_device *d, enum elementwise op, float *y, float *z,
                        size_t n)
{
    switch (op) {
    case ADD:
        d->op->add(d->device, y, z, n);
        break;
    case SILU_MUL:
        d->op->silu_mul(d->device, y, y, z, n);
        break;
    case GELU:
        d->op->gelu(d->device, y, n);
        break;
    case GELU_TANH:
        d->op->gelu_tanh(d->device, y, n);
        break;
    case RELU:
        d->op->relu(d->device, y, n);
        break;
    case TANH:
        d->op->tanh(d->device, y, n);
        break;
    }
}

static void elementwise_case(const struct op_device *d, enum elementwise op, size_t n, double width)
{
    static const char *const names[] = {"add", "silu_mul", "gelu", "gelu_tanh", "relu", "tanh"};
    const bool gelu = op == GELU || op == GELU_TANH;
    float *x = op_random(41, n, width), *z = op_random(42, n, 3);
    float *got = memory_zeroed(n, sizeof(*got)), *on_z = op_guarded(d, z, n);
    float *y = op_guarded(d, x, n);
    double *want = memory_zeroed(n, sizeof(*want));

    for (size_t i = 0; i < n; i++)
        want[i] = want_element(op, (double)x[i], (double)z[i]);
    run_element(d, op, y, on_z, n);
    assert_true(op_take(d, got, y, n));
    if (!gelu || n >= 64) /* a few results may all be next to nothing */
        compare(d, names[op], got, want, n, elementwise_nmse);
    /* Each element as well, not only the large ones. A result that cancels (1 + erf) or is below
     * e^-87 may be off by as much of x. */
    for (size_t i = 0; i < n; i++) {
        const double slack =
            (1e-7 + (fabs((double)x[i]) > 80 ? 1e-30 : 0)) * (gelu ? fabs((double)x[i]) : 1e-30);

        assert_true(fabs((double)got[i] - want[i]) <= 5e-7 * fabs(want[i]) + slack);
    }
    assert_true(op_take(d, z, on_z, n));
    free(x);
    free(z);
    free(got);
    free(want);
}

static void elementwise_operations_agree_with_double_loops(const struct op_device *d)
{
    for (size_t i = 0; i < LENGTH(counts); i++) {
        elementwise_case(d, ADD, counts[i], 3);
        elementwise_case(d, SILU_MUL, counts[i], 8);
        elementwise_case(d, SILU_MUL, counts[i], 60);
        elementwise_case(d, GELU, counts[i], 1.5);
        elementwise_case(d, GELU, counts[i], 8);
        elementwise_case(d, GELU_TANH, counts[i], 1.5);
        elementwise_case(d, GELU_TANH, counts[i], 8);
        elementwise_case(d, RELU, counts[i], 3);
        elementwise_case(d, TANH, counts[i], 3);
    }
}

static void rope_case(const struct op_device *d, const struct rope_shape *s)
{
    const size_t half = (size_t)s->head_dim / 2, n_heads = (size_t)s->n_heads;
    const size_t n = (size_t)s->n * n_heads * 2 * half;
    float *x = op_random(51, n, 2), *y = op_guarded(d, x, n), *got = memory_zeroed(n, sizeof(*got));
    double *want = memory_zeroed(n, sizeof(*want));
    int32_t *positions = memory_zeroed((size_t)s->n, sizeof(*positions));
    float *inv_freq = memory_zeroed(half, sizeof(*inv_freq));

    for (size_t i = 0; i < half; i++)
        inv_freq[i] = (float)pow(s->theta, -2.0 * (double)i / (double)s->head_dim);
    for (size_t r = 0; r < (size_t)s->n; r++) {
        positions[r] = s->first + (int32_t)r;
        for (size_t i = 0; i < half; i++) {
            /* transformers computes the angle in float */
            const float angle = (float)positions[r] * inv_freq[i];
            const double c = cos((double)angle), sn = sin((double)angle);

            for (size_t h = 0; h < n_heads; h++) {
                const size_t at = (r * n_heads + h) * 2 * half + i;
                const double a = (double)x[at], b = (double)x[at + half];

                want[at] = a * c - b * sn;
                want[at + half] = b * c + a * sn;
            }
        }
    }
    d->op->rope(d->device, y, positions, s->n, s->n_heads, s->head_dim, inv_freq);
    assert_true(op_take(d, got, y, n));
    compare(d, "rope", got, want, n, elementwise_nmse);
    free(inv_freq);
    free(x);
    free(got);
    free(want);
    free(positions);
}

static void rope_agrees_with_a_double_loop(const struct op_device *d)
{
    for (size_t i = 0; i < LENGTH(rope_shapes); i++)
        rope_case(d, &rope_shapes[i]);
}

/* One row's attention: q [head_dim], keys and values [seen][stride]. */
static void want_attention(double *want, const float *q, const float *k, const float *v,
                           size_t stride, size_t dim, int seen)
{
    double *scores = memory_zeroed((size_t)seen, sizeof(*scores)), max = -HUGE_VAL, sum = 0;

    for (int t = 0; t < seen; t++) {
        for (size_t i = 0; i < dim; i++)
            scores[t] += (double)q[i] * (double)k[(size_t)t * stride + i] / sqrt((double)dim);
        max = fmax(max, scores[t]);
    }
    for (int t = 0; t < seen; t++)
        sum += scores[t] = exp(scores[t] - max);
    for (size_t i = 0; i < dim; i++) {
        want[i] = 0;
        for (int t = 0; t < seen; t++)
            want[i] += scores[t] / sum * (double)v[(size_t)t * stride + i];
    }
    free(scores);
}

static void attention_case(const struct op_device *d, const struct attention_shape *s, bool causal,
                           int window)
{
    const size_t dim = (size_t)s->head_dim, kv_dim = (size_t)s->n_kv_heads * dim;
    const size_t q_dim = (size_t)s->n_heads * dim, n = (size_t)s->n;
    const int tokens = s->n + s->cached;
    float *q = op_random(61, n * q_dim, 2), *k = op_random(62, (size_t)tokens * kv_dim, 2);
    float *v = op_random(63, (size_t)tokens * kv_dim, 1);
    float *on_q = op_guarded(d, q, n * q_dim), *out = op_guarded(d, NULL, n * q_dim);
    float *on_k = op_upload(d, k, (size_t)tokens * kv_dim);
    float *on_v = op_upload(d, v, (size_t)tokens * kv_dim);
    float *got = memory_zeroed(n * q_dim, sizeof(*got));
    double *want = memory_zeroed(n * q_dim, sizeof(*want));
    const struct segment before = {1, 0, s->cached, 0, -1}, now = {1, 0, s->n, s->cached, -1};
    const struct batch first = {.n_rows = s->cached, .n_segments = 1, .segments = &before};
    const struct batch second = {.n_rows = s->n, .n_segments = 1, .segments = &now};
    struct status status = {0};
    struct kv_cache *kv = kv_cache_open(d->op, d->device, 2, s->n_kv_heads, s->head_dim, 2,
                                        kv_cache_blocks(tokens), &status);

    op_need(kv && kv_cache_reserve(kv, 1, tokens) && kv_cache_grow(kv, 1, tokens, &status), "kv",
            &status);
    if (s->cached > 0)
        d->op->kv_append(d->device, kv, 1, on_k, on_v, &first);
    d->op->kv_append(d->device, kv, 1, on_k + (size_t)s->cached * kv_dim,
                     on_v + (size_t)s->cached * kv_dim, &second);
    d->op->attention(d->device, out, on_q, kv, 1, &second, s->n_heads, causal, window);
    assert_true(op_take(d, got, out, n * q_dim));
    for (size_t r = 0; r < n; r++) {
        for (size_t h = 0; h < (size_t)s->n_heads; h++) {
            const size_t at = r * q_dim + h * dim;
            const int end = causal ? s->cached + (int)r + 1 : tokens;
            const int begin = window > 0 && end > window ? end - window : 0;
            const size_t kv_at =
                (size_t)begin * kv_dim + h / (size_t)(s->n_heads / s->n_kv_heads) * dim;

            want_attention(want + at, q + at, k + kv_at, v + kv_at, kv_dim, dim, end - begin);
        }
    }
    compare(d, causal ? "causal attention" : "attention", got, want, n * q_dim,
            op_rounds(d->set) ? words_nmse : attention_nmse);
    assert_true(op_take(d, q, on_q, n * q_dim));
    kv_cache_close(kv);
    d->op->free(d->device, on_k);
    d->op->free(d->device, on_v);
    free(q);
    free(k);
    free(v);
    free(got);
    free(want);
}

static void attention_agrees_with_a_double_loop(const struct op_device *d)
{
    for (size_t i = 0; i < LENGTH(attention_shapes); i++) {
        attention_case(d, &attention_shapes[i], true, attention_shapes[i].window);
        if (attention_shapes[i].window == 0)
            attention_case(d, &attention_shapes[i], false, 0);
    }
}

static void gathers_the_rows_named(const struct op_device *d)
{
    static const int32_t rows[] = {4, 0, 4, 2};
    float *x = op_random(71, 5 * 9, 1), got[4 * 9];
    float *on_x = op_upload(d, x, 5 * 9), *y = op_guarded(d, NULL, 4 * 9);

    d->op->gather_rows(d->device, y, on_x, rows, 4, 9);
    assert_true(op_take(d, got, y, 4 * 9));
    for (size_t i = 0; i < 4; i++)
        assert_memory_equal(got + 9 * i, x + 9 * rows[i], 9 * sizeof(float));
    d->op->free(d->device, on_x);
    free(x);
}

static void reports_an_id_outside_the_embedding_once(const struct op_device *d)
{
    const struct tensor_view w = op_weights(DTYPE_F32, 3, 4, 1);
    const int32_t ids[] = {2, 3};
    struct matrix *m = upload(d, &w, NULL);
    float *y = op_guarded(d, NULL, 8);
    struct status status = {0};

    d->op->embed(d->device, y, m, ids, 2);
    assert_false(d->op->finish(d->device, &status));
    assert_int_equal(status.code, STATUS_INTERNAL);
    assert_true(d->op->finish(d->device, &status));
    d->op->free(d->device, y - OP_GUARD);
    d->op->free_matrix(d->device, m);
    free((void *)(uintptr_t)w.data);
}

/* Where it was rounded, not even approximate rows come out. */
static void reports_an_embedding_that_is_a_linear_layer(const struct op_device *d)
{
    const struct tensor_view w = op_weights(DTYPE_F32, 3, 4, 1);
    const int32_t id = 2;
    struct matrix *m = upload_linear(d, &w);
    float *y = op_guarded(d, NULL, 4), got[4];
    struct status status = {0};

    d->op->embed(d->device, y, m, &id, 1);
    if (d->op->finish(d->device, &status))
        assert_true(op_take(d, got, y, 4) && got[3] == op_weight(&w, 2, 3));
    else
        assert_int_equal(status.code, STATUS_INTERNAL);
    assert_true(op_rounds(d->set) == (status.code == STATUS_INTERNAL));
    if (op_rounds(d->set))
        d->op->free(d->device, y - OP_GUARD);
    d->op->free_matrix(d->device, m);
    free((void *)(uintptr_t)w.data);
}

static void refuses_weights_whose_bytes_do_not_fit(const struct op_device *d)
{
    static const uint8_t data[4096];
    static const struct tensor_view views[] = {
        {DTYPE_F32, 4, 8, data, 127, NULL},       {DTYPE_F32, 4, 8, data, 129, NULL},
        {DTYPE_Q4_1, 4, 31, data, 80, NULL},      {DTYPE_Q8_0, 0, 32, data, 0, NULL},
        {DTYPE_Q4_K, 2, 128, data, 144, NULL},    {DTYPE_Q4_K, 2, 384, data, 432, NULL},
        {DTYPE_Q6_K, 4, 256, data, 839, NULL},    {DTYPE_F16, 4, 0, data, 0, NULL},
        {DTYPE_NF4, 1, 32, data, 16, NULL},       {DTYPE_NONE, 4, 8, data, 0, NULL},
        {DTYPE_F32, SIZE_MAX, 4, data, 16, NULL}, {DTYPE_F32, SIZE_MAX / 2, 8, data, 4096, NULL},
    };
    static const struct tensor_view fine = {DTYPE_F32, 3, 8, data, 96, NULL};
    static const int32_t orders[][3] = {{0, 1, 3}, {0, -1, 2}};

    for (size_t i = 0; i < LENGTH(views); i++) {
        struct status status = {0};

        assert_null(d->op->upload(d->device, &views[i], NULL, &status));
        assert_int_equal(status.code, STATUS_CONFIG);
        assert_null(d->op->upload_linear(d->device, &views[i], NULL, &status));
        assert_null(d->op->upload_vector(d->device, &views[i], NULL, &status));
    }
    for (size_t i = 0; i < LENGTH(orders); i++) {
        struct status status = {0};

        assert_null(d->op->upload(d->device, &fine, orders[i], &status));
        assert_int_equal(status.code, STATUS_CONFIG);
    }
}

/* Every test once a set, named after it; scalar first, the others are compared with it. */
static const struct {
    const char *name;
    void (*run)(const struct op_device *d);
} tests[] = {
    {"linear_agrees_with_a_double_loop", linear_agrees_with_a_double_loop},
    {"weights_come_out_bit_for_bit", weights_come_out_bit_for_bit},
    {"norms_agree_with_double_loops", norms_agree_with_double_loops},
    {"elementwise_operations_agree_with_double_loops",
     elementwise_operations_agree_with_double_loops},
    {"rope_agrees_with_a_double_loop", rope_agrees_with_a_double_loop},
    {"attention_agrees_with_a_double_loop", attention_agrees_with_a_double_loop},
    {"gathers_the_rows_named", gathers_the_rows_named},
    {"reports_an_id_outside_the_embedding_once", reports_an_id_outside_the_embedding_once},
    {"reports_an_embedding_that_is_a_linear_layer", reports_an_embedding_that_is_a_linear_layer},
    {"refuses_weights_whose_bytes_do_not_fit", refuses_weights_whose_bytes_do_not_fit},
};

struct planned {
    char name[96];
    const char *set;
    size_t test;
};

static void run_planned(void **state)
{
    const struct planned *p = *state;
    struct op_device d = op_device_open(p->set, 2);

    if (same_name(p->set, "scalar"))
        oracle.start[p->test] = oracle.n;
    oracle.at = oracle.start[p->test];
    tests[p->test].run(&d);
    op_device_close(&d);
}

int main(void)
{
    const char *sets[OP_MAX_SETS];
    const int n_sets = op_sets(sets);
    _Static_assert(LENGTH(tests) <= MAX_TESTS, "room for where each begins");
    static struct planned plan[OP_MAX_SETS * LENGTH(tests)];
    static struct CMUnitTest table[LENGTH(plan)];
    size_t n = 0;
    int failed;

    for (int i = n_sets - 1; i >= 0; i--) {
        for (size_t t = 0; t < LENGTH(tests); t++, n++) {
            plan[n].set = sets[i];
            plan[n].test = t;
            snprintf(plan[n].name, sizeof(plan[n].name), "%s_on_%s", tests[t].name, sets[i]);
            table[n] = (struct CMUnitTest){plan[n].name, run_planned, NULL, NULL, &plan[n]};
        }
    }
    failed = _cmocka_run_group_tests("ops", table, n, NULL, NULL);
    free(oracle.values);
    return failed;
}
