/* One result: a row's bits do not depend on the rows beside it, on how a prompt was cut, on where
 * its sequence lies, or on the number of threads. Compared as bytes, on every kernel set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "compute/kv_cache.h"
#include "tests/op/op_device.h"
#include "tests/op/op_weights.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

enum { MAX_THREADS = 3 };

/* --- linear: row i of any number of rows is row i alone --- */

/* 193 rows are three blocks of floats, 520 are two of words; 53 outputs are four panels, the last
 * with 5. */
enum { LINEAR_MOST = 70, LINEAR_MANY = 520, LINEAR_OUTPUTS = 53 };

static void multiply(const struct op_device *d, const struct matrix *m, const struct tensor_view *w,
                     const float *x, int n, float *got)
{
    const size_t n_x = (size_t)n * w->cols, n_y = (size_t)n * w->rows;
    float *on_x = op_upload(d, x, n_x), *y = op_guarded(d, NULL, n_y);

    d->op->linear(d->device, y, on_x, m, NULL, n);
    assert_true(op_take(d, got, y, n_y));
    d->op->free(d->device, on_x);
}

/* Row counts up to 70, all or every 7th, and more than a block. */
static int next_count(int n, int step)
{
    if (n < LINEAR_MOST)
        return n + step;
    return n < 193 ? 193 : LINEAR_MANY;
}

static void linear_is_the_same(const char *set, const struct tensor_view *w)
{
    float *x = op_random(5, LINEAR_MANY * w->cols, 1);
    float *alone = memory_zeroed(LINEAR_MANY * w->rows, sizeof(float));
    float *got = memory_zeroed(LINEAR_MANY * w->rows, sizeof(float));

    for (int threads = 1; threads <= MAX_THREADS; threads++) {
        struct op_device d = op_device_open(set, threads);
        struct status status = {0};
        struct matrix *m = d.op->upload(d.device, w, NULL, &status);
        int n = 0;

        op_need(m != NULL, "matrix", &status);
        for (size_t r = 0; threads == 1 && r < LINEAR_MANY; r++)
            multiply(&d, m, w, x + r * w->cols, 1, alone + r * w->rows);
        while (n < LINEAR_MANY) {
            n = next_count(n, threads == 1 ? 1 : 7);
            multiply(&d, m, w, x, n, got);
            assert_memory_equal(got, alone, (size_t)n * w->rows * sizeof(float));
        }
        d.op->free_matrix(d.device, m);
        op_device_close(&d);
    }
    free(x);
    free(alone);
    free(got);
}

static void linear_gives_a_row_the_same_bits_beside_any_rows(const char *set)
{
    static const size_t cols[] = {33, 416, 768}; /* the last two take several chunks */

    for (int dtype = DTYPE_F32; dtype < DTYPE_COUNT; dtype++) {
        for (size_t i = 0; i < LENGTH(cols); i++) {
            struct tensor_view w;

            if (cols[i] % dtype_block_elements((enum dtype)dtype) != 0)
                continue;
            w = op_weights((enum dtype)dtype, LINEAR_OUTPUTS, cols[i], 3);
            linear_is_the_same(set, &w);
            free((void *)(uintptr_t)w.data);
        }
    }
}

/* Products of a few rows and of many by sets of either width. */
static void products_are_the_same_bits(const char *const sets[2], const struct tensor_view *w)
{
    enum { N_COUNTS = 4, MOST = 29 };
    static const int counts[N_COUNTS] = {1, 3, 13, MOST};
    float *x = op_random(5, MOST * w->cols, 1);
    const size_t size = MOST * w->rows;
    float *got = memory_zeroed(2 * N_COUNTS * size, sizeof(*got));

    for (size_t i = 0; i < 2; i++) {
        struct op_device d = op_device_open(sets[i], 2);
        struct status status = {0};
        struct matrix *m = d.op->upload(d.device, w, NULL, &status);

        op_need(m != NULL, "matrix", &status);
        for (size_t j = 0; j < N_COUNTS; j++)
            multiply(&d, m, w, x, counts[j], got + (i * N_COUNTS + j) * size);
        d.op->free_matrix(d.device, m);
        op_device_close(&d);
    }
    assert_memory_equal(got, got + N_COUNTS * size, N_COUNTS * size * sizeof(*got));
    free(x);
    free(got);
}

static void both_widths_give_the_same_bits(const char *const sets[2])
{
    static const size_t rows[] = {37, 7, 80}, cols[] = {416, 33, 1000, 64, 96, 256, 768};

    for (int dtype = DTYPE_F32; dtype < DTYPE_COUNT; dtype++) {
        for (size_t i = 0; i < LENGTH(rows) * LENGTH(cols); i++) {
            const size_t n = cols[i / LENGTH(rows)];
            struct tensor_view w;

            if (n % dtype_block_elements((enum dtype)dtype) != 0)
                continue;
            w = op_weights((enum dtype)dtype, rows[i % LENGTH(rows)], n, 3);
            products_are_the_same_bits(sets, &w);
            free((void *)(uintptr_t)w.data);
        }
    }
}

/* Both take one fused multiply-add a column, in order. */
static void the_float_sets_products_are_the_same_bits(const char *set)
{
    static const char *const sets[] = {"avx2", "avx512"};

    (void)set;
    both_widths_give_the_same_bits(sets);
}

/* Both round to the same numbers; group sums are integers. */
static void the_word_sets_products_are_the_same_bits(const char *set)
{
    static const char *const sets[] = {"avx2-madd", "avx512-vnni"};

    (void)set;
    both_widths_give_the_same_bits(sets);
}

/* --- elementwise: an element in a tail is an element in the middle --- */

static void elementwise_operations_give_tails_the_same_bits(const char *set)
{
    enum { MOST = 67 };
    float *x = op_random(8, MOST, 6), *z = op_random(9, MOST, 3);
    float whole[3][MOST], got[MOST];
    struct op_device d = op_device_open(set, 1);
    float *on_z = op_upload(&d, z, MOST);

    for (size_t n = MOST; n > 0; n--) {
        float *y = op_guarded(&d, x, n);

        d.op->silu_mul(d.device, y, y, on_z, n);
        assert_true(op_take(&d, n == MOST ? whole[0] : got, y, n));
        if (n < MOST)
            assert_memory_equal(got, whole[0], n * sizeof(float));
        y = op_guarded(&d, x, n);
        d.op->gelu(d.device, y, n);
        assert_true(op_take(&d, n == MOST ? whole[1] : got, y, n));
        if (n < MOST)
            assert_memory_equal(got, whole[1], n * sizeof(float));
        y = op_guarded(&d, x, n);
        d.op->gelu_tanh(d.device, y, n);
        assert_true(op_take(&d, n == MOST ? whole[2] : got, y, n));
        if (n < MOST)
            assert_memory_equal(got, whole[2], n * sizeof(float));
    }
    d.op->free(d.device, on_z);
    op_device_close(&d);
    free(x);
    free(z);
}

/* --- attention: whole, token by token, in chunks, with others in the batch and in the cache --- */

enum { N_TEXTS = 3, N_LAYERS = 2, N_SLOTS = 7 };

static const int lengths[N_TEXTS] = {150, 65, 1};

struct text_run {
    const struct op_device *d;
    struct kv_cache *kv;
    int n_heads, n_kv_heads, head_dim, window;
    bool causal;
    const float *q[N_TEXTS], *k[N_TEXTS], *v[N_TEXTS]; /* [length][heads * head_dim] */
    float *out[N_TEXTS];
    int slot[N_TEXTS], done[N_TEXTS];
};

static float *pick(float *to, const float *from, int first, int n, size_t dim)
{
    memcpy(to, from + (size_t)first * dim, (size_t)n * dim * sizeof(float));
    return to + (size_t)n * dim;
}

/* One step: the next n[i] tokens of each text. */
static void step(struct text_run *run, const int n[N_TEXTS])
{
    const struct op_device *d = run->d;
    const size_t q_dim = (size_t)run->n_heads * (size_t)run->head_dim;
    const size_t kv_dim = (size_t)run->n_kv_heads * (size_t)run->head_dim;
    const size_t n_rows = (size_t)(n[0] + n[1] + n[2]);
    struct segment segments[N_TEXTS];
    struct batch batch = {.segments = segments};
    float *q = memory_zeroed(n_rows * q_dim, sizeof(float)), *q_end = q;
    float *k = memory_zeroed(n_rows * kv_dim, sizeof(float)), *k_end = k;
    float *v = memory_zeroed(n_rows * kv_dim, sizeof(float)), *v_end = v;
    float *on_q, *on_k, *on_v, *out;
    struct status status = {0};

    for (int i = 0; i < N_TEXTS; i++) {
        if (n[i] == 0)
            continue;
        segments[batch.n_segments++] =
            (struct segment){run->slot[i], batch.n_rows, n[i], run->done[i], -1};
        batch.n_rows += n[i];
        q_end = pick(q_end, run->q[i], run->done[i], n[i], q_dim);
        k_end = pick(k_end, run->k[i], run->done[i], n[i], kv_dim);
        v_end = pick(v_end, run->v[i], run->done[i], n[i], kv_dim);
        op_need(kv_cache_grow(run->kv, run->slot[i], run->done[i] + n[i], &status), "grow",
                &status);
    }
    on_q = op_upload(d, q, n_rows * q_dim);
    on_k = op_upload(d, k, n_rows * kv_dim);
    on_v = op_upload(d, v, n_rows * kv_dim);
    out = op_guarded(d, NULL, n_rows * q_dim);
    d->op->kv_append(d->device, run->kv, 1, on_k, on_v, &batch);
    d->op->attention(d->device, out, on_q, run->kv, 1, &batch, run->n_heads, run->causal,
                     run->window);
    assert_true(op_take(d, q, out, n_rows * q_dim));
    q_end = q;
    for (int i = 0; i < N_TEXTS; i++) {
        memcpy(run->out[i] + (size_t)run->done[i] * q_dim, q_end,
               (size_t)n[i] * q_dim * sizeof(*q));
        q_end += (size_t)n[i] * q_dim;
        run->done[i] += n[i];
    }
    d->op->free(d->device, on_q);
    d->op->free(d->device, on_k);
    d->op->free(d->device, on_v);
    free(q);
    free(k);
    free(v);
}

/* How many tokens text i takes next. */
typedef int schedule(int i, int done, int steps);

static int whole(int i, int done, int steps)
{
    (void)steps;
    return lengths[i] - done;
}

static int one_text_after_the_other(int i, int done, int steps)
{
    return steps == i ? lengths[i] - done : 0;
}

static int token_by_token(int i, int done, int steps)
{
    (void)steps;
    return done < lengths[i] ? 1 : 0;
}

static int in_chunks(int i, int done, int steps)
{
    const int n = (int)(rng_uniform(77, (uint64_t)(steps * N_TEXTS + i), 0) * 40);

    return n < lengths[i] - done ? n : lengths[i] - done;
}

static bool finished(const struct text_run *run)
{
    for (int i = 0; i < N_TEXTS; i++) {
        if (run->done[i] < lengths[i])
            return false;
    }
    return true;
}

static void run_texts(struct text_run *run, schedule *next)
{
    for (int i = 0; i < N_TEXTS; i++)
        run->done[i] = 0;
    for (int steps = 0; !finished(run); steps++) {
        int n[N_TEXTS], total = 0;

        for (int i = 0; i < N_TEXTS; i++)
            total += n[i] = next(i, run->done[i], steps);
        if (total > 0)
            step(run, n);
    }
}

static void attention_is_the_same(const char *set, int n_heads, int n_kv_heads, int head_dim,
                                  bool causal, int window)
{
    static schedule *const schedules[] = {whole, one_text_after_the_other, token_by_token,
                                          in_chunks};
    /* a text that is not causal comes whole */
    const size_t n_schedules = causal ? LENGTH(schedules) : 2;
    const size_t q_dim = (size_t)(n_heads * head_dim), kv_dim = (size_t)(n_kv_heads * head_dim);
    float *first[N_TEXTS], *again[N_TEXTS], *inputs[3][N_TEXTS];
    struct text_run run = {.n_heads = n_heads,
                           .n_kv_heads = n_kv_heads,
                           .head_dim = head_dim,
                           .window = window,
                           .causal = causal};

    for (int i = 0; i < N_TEXTS; i++) {
        const size_t n = (size_t)lengths[i];

        run.q[i] = inputs[0][i] = op_random(10 + (uint64_t)i, n * q_dim, 2);
        run.k[i] = inputs[1][i] = op_random(20 + (uint64_t)i, n * kv_dim, 2);
        run.v[i] = inputs[2][i] = op_random(30 + (uint64_t)i, n * kv_dim, 1);
        first[i] = memory_zeroed(n * q_dim, sizeof(float));
        again[i] = memory_zeroed(n * q_dim, sizeof(float));
    }
    for (size_t s = 0; s < n_schedules * MAX_THREADS; s++) {
        struct op_device d = op_device_open(set, (int)(s % MAX_THREADS) + 1);
        struct status status = {0};

        run.d = &d;
        run.kv =
            kv_cache_open(d.op, d.device, N_LAYERS, n_kv_heads, head_dim, N_SLOTS, 40, &status);
        op_need(run.kv != NULL, "kv", &status);
        /* Another place each time, and blocks that others have used (with values they left). */
        for (int round = 0; round < 2; round++) {
            for (int i = 0; i < N_TEXTS; i++) {
                run.slot[i] = (int)(s + (size_t)i + (size_t)round) % N_SLOTS;
                run.out[i] = s == 0 && round == 0 ? first[i] : again[i];
                assert_true(kv_cache_reserve(run.kv, run.slot[i], lengths[i]));
            }
            run_texts(&run, schedules[s / MAX_THREADS]);
            for (int i = 0; i < N_TEXTS; i++) {
                assert_memory_equal(run.out[i], first[i],
                                    (size_t)lengths[i] * q_dim * sizeof(float));
                kv_cache_free_slot(run.kv, run.slot[i]);
            }
        }
        kv_cache_close(run.kv);
        op_device_close(&d);
    }
    for (int i = 0; i < N_TEXTS; i++) {
        free(first[i]);
        free(again[i]);
        for (int j = 0; j < 3; j++)
            free(inputs[j][i]);
    }
}

static void attention_gives_a_token_the_same_bits_however_it_came(const char *set)
{
    attention_is_the_same(set, 9, 3, 64, true, 0);
    attention_is_the_same(set, 2, 2, 20, true, 0);
    attention_is_the_same(set, 4, 2, 80, true, 0);
    attention_is_the_same(set, 2, 1, 128, true, 0);
    attention_is_the_same(set, 9, 3, 64, true, 70);
    attention_is_the_same(set, 4, 1, 20, true, 3);
    attention_is_the_same(set, 12, 12, 32, false, 0);
}

static const struct {
    const char *name;
    void (*run)(const char *set);
} tests[] = {
    {"linear_gives_a_row_the_same_bits_beside_any_rows",
     linear_gives_a_row_the_same_bits_beside_any_rows},
    {"elementwise_operations_give_tails_the_same_bits",
     elementwise_operations_give_tails_the_same_bits},
    {"attention_gives_a_token_the_same_bits_however_it_came",
     attention_gives_a_token_the_same_bits_however_it_came},
};

struct planned {
    char name[96];
    const char *set;
    void (*run)(const char *set);
};

static void run_planned(void **state)
{
    const struct planned *p = *state;

    p->run(p->set);
}

static bool has(const char *const *sets, int n_sets, const char *set)
{
    for (int i = 0; i < n_sets; i++) {
        if (strcmp(sets[i], set) == 0)
            return true;
    }
    return false;
}

int main(void)
{
    const char *sets[OP_MAX_SETS];
    const int n_sets = op_sets(sets);
    static struct planned plan[OP_MAX_SETS * LENGTH(tests) + 2];
    static struct CMUnitTest table[LENGTH(plan)];
    size_t n = 0;

    for (int i = 0; i < n_sets; i++) {
        for (size_t t = 0; t < LENGTH(tests); t++, n++) {
            plan[n].set = sets[i];
            plan[n].run = tests[t].run;
            snprintf(plan[n].name, sizeof(plan[n].name), "%s_on_%s", tests[t].name, sets[i]);
        }
    }
    if (has(sets, n_sets, "avx512"))
        plan[n++] = (struct planned){"the_float_sets_products_are_the_same_bits", "",
                                     the_float_sets_products_are_the_same_bits};
    if (has(sets, n_sets, "avx512-vnni"))
        plan[n++] = (struct planned){"the_word_sets_products_are_the_same_bits", "",
                                     the_word_sets_products_are_the_same_bits};
    for (size_t i = 0; i < n; i++)
        table[i] = (struct CMUnitTest){plan[i].name, run_planned, NULL, NULL, &plan[i]};
    return _cmocka_run_group_tests("bits", table, n, NULL, NULL);
}
