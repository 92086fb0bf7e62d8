/* Attention at the edges, on every kernel set: weights and values whose sums are as large as can
 * be, keys and values that are not finite, and blocks that others have left theirs in. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "compute/kv_cache.h"
#include "tests/op/op_device.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

enum {
    TOKENS = 150,
    HEADS = 4,
    KV_HEADS = 2,
    DIM = 48,
    Q_DIM = HEADS * DIM,
    KV_DIM = KV_HEADS * DIM
};

static const char *sets[OP_MAX_SETS];
static int n_sets;

/* One text of TOKENS tokens. */
struct text {
    float q[TOKENS * Q_DIM], k[TOKENS * KV_DIM], v[TOKENS * KV_DIM], out[TOKENS * Q_DIM];
};
static struct text given, clean;

static void fill(float *x, size_t n, uint64_t key)
{
    for (size_t i = 0; i < n; i++)
        x[i] = op_draw(key, i, 1);
}

static void fill_text(struct text *t)
{
    fill(t->q, LENGTH(t->q), 1);
    fill(t->k, LENGTH(t->k), 2);
    fill(t->v, LENGTH(t->v), 3);
}

static void attend(const struct op_device *d, struct kv_cache *kv, struct text *t, int window)
{
    const struct segment segment = {0, 0, TOKENS, 0, -1};
    const struct batch batch = {.n_rows = TOKENS, .n_segments = 1, .segments = &segment};
    float *q = op_upload(d, t->q, LENGTH(t->q)), *k = op_upload(d, t->k, LENGTH(t->k));
    float *v = op_upload(d, t->v, LENGTH(t->v)), *out = op_guarded(d, NULL, LENGTH(t->out));
    struct status status = {0};

    op_need(kv_cache_reserve(kv, 0, TOKENS) && kv_cache_grow(kv, 0, TOKENS, &status), "kv",
            &status);
    d->op->kv_append(d->device, kv, 0, k, v, &batch);
    d->op->attention(d->device, out, q, kv, 0, &batch, HEADS, true, window);
    assert_true(op_take(d, t->out, out, LENGTH(t->out)));
    kv_cache_free_slot(kv, 0);
    d->op->free(d->device, q);
    d->op->free(d->device, k);
    d->op->free(d->device, v);
}

static struct kv_cache *open_cache(const struct op_device *d)
{
    struct status status = {0};
    struct kv_cache *kv = kv_cache_open(d->op, d->device, 1, KV_HEADS, DIM, 1, 3, &status);

    op_need(kv != NULL, "kv", &status);
    return kv;
}

/* Values that are all alike come out as they are, whatever the weights: flat (the largest sum of
 * squares), all on one token, on every second one, or drawn. */
static void sums_of_equal_values_do_not_overflow(void **state)
{
    static const float sizes[] = {1, -1, 3e-5f, -7e4f, 1e-17f, 1e17f, 1e30f};

    (void)state;
    for (size_t i = 0; i < (size_t)n_sets * LENGTH(sizes) * 4; i++) {
        struct op_device d = op_device_open(sets[i % (size_t)n_sets], 2);
        const float size = sizes[i / (size_t)n_sets % LENGTH(sizes)];
        const size_t pattern = i / (size_t)n_sets / LENGTH(sizes);
        struct kv_cache *kv = open_cache(&d);

        fill_text(&given);
        for (size_t j = 0; j < LENGTH(given.q) && pattern < 3; j++)
            given.q[j] = 1;
        for (size_t j = 0; j < LENGTH(given.k) && pattern < 3; j++)
            given.k[j] = pattern == 0 ? 1 : j / KV_DIM % (pattern == 1 ? 37 : 2) == 0 ? 9 : -9;
        for (size_t j = 0; j < LENGTH(given.v); j++)
            given.v[j] = size;
        attend(&d, kv, &given, 0);
        for (size_t j = 0; j < LENGTH(given.out); j++)
            if (!(fabsf(given.out[j] - size) <= 2e-4f * fabsf(size)))
                fail_msg("%s %g %zu at %zu: %g", d.set, (double)size, pattern, j,
                         (double)given.out[j]);
        kv_cache_close(kv);
        op_device_close(&d);
    }
}

enum { STRANGE_TOKEN = 70, STRANGE_HEAD = 1 };

/* Rows that see the token have no number in some element of their head; the others are as ever. */
static void check_rows(const float *got, const float *want, int window, const char *set)
{
    for (int t = 0; t < TOKENS; t++) {
        for (int h = 0; h < HEADS; h++) {
            const float *row = got + t * Q_DIM + h * DIM;
            const bool sees = h / (HEADS / KV_HEADS) == STRANGE_HEAD && t >= STRANGE_TOKEN &&
                              (window == 0 || t < STRANGE_TOKEN + window);
            bool finite = true;

            for (int i = 0; i < DIM; i++)
                finite = finite && isfinite(row[i]);
            if (sees && finite)
                fail_msg("%s: token %d has numbers", set, t);
            if (!sees)
                assert_memory_equal(row, want + t * Q_DIM + h * DIM, DIM * sizeof(*row));
        }
    }
}

/* The next text in the same blocks sees nothing of it. */
static void what_is_not_finite_stays_with_those_who_see_it(void **state)
{
    static const float values[] = {NAN, INFINITY, -INFINITY};

    (void)state;
    for (int i = 0; i < n_sets * 3 * 2 * 2; i++) {
        struct op_device d = op_device_open(sets[i % n_sets], 2);
        const float value = values[i / n_sets % 3];
        const bool in_keys = i / n_sets / 3 % 2 == 0;
        const int window = i / n_sets / 6 ? 40 : 0;
        struct kv_cache *kv = open_cache(&d);
        float *at;

        fill_text(&clean);
        attend(&d, kv, &clean, window);
        fill_text(&given);
        at = in_keys ? given.k : given.v;
        at[STRANGE_TOKEN * KV_DIM + STRANGE_HEAD * DIM + 7] = value;
        attend(&d, kv, &given, window);
        /* a key of infinity may be one that floats do not look at: its score is -infinity */
        if (!in_keys || isnan(value) || op_rounds(sets[i % n_sets]))
            check_rows(given.out, clean.out, window, sets[i % n_sets]);
        for (size_t j = 0; j < LENGTH(given.k); j++)
            given.k[j] = given.v[j] = NAN;
        attend(&d, kv, &given, window);
        fill_text(&given);
        attend(&d, kv, &given, window);
        assert_memory_equal(given.out, clean.out, sizeof(clean.out));
        kv_cache_close(kv);
        op_device_close(&d);
    }
}

/* Keys and values of zeros and next to nothing weigh all alike. */
static void zeros_give_zeros(void **state)
{
    static const float sizes[] = {0, -0.0f, 1e-45f, 1e-38f};

    (void)state;
    for (size_t i = 0; i < (size_t)n_sets * LENGTH(sizes); i++) {
        struct op_device d = op_device_open(sets[i % (size_t)n_sets], 1);
        const float size = sizes[i / (size_t)n_sets];
        struct kv_cache *kv = open_cache(&d);

        fill_text(&given);
        for (size_t j = 0; j < LENGTH(given.k); j++)
            given.k[j] = given.v[j] = size;
        attend(&d, kv, &given, 0);
        for (size_t j = 0; j < LENGTH(given.out); j++)
            assert_true(fabsf(given.out[j]) <= 2 * fabsf(size));
        kv_cache_close(kv);
        op_device_close(&d);
    }
}

/* Words: numbers times their scales are what was given, in about half the room. */
static void check_words(const struct op_device *d)
{
    enum { N = 70, WIDE = 80, PAIRS = WIDE / 2, GROUPS = 2 };
    static float k[N * WIDE], v[N * WIDE];
    const struct segment segment = {0, 0, N, 0, -1};
    const struct batch batch = {.n_rows = N, .n_segments = 1, .segments = &segment};
    struct status status = {0};
    struct kv_cache *kv = kv_cache_open(d->op, d->device, 1, 1, WIDE, 1, 2, &status);

    op_need(kv && kv_cache_reserve(kv, 0, N) && kv_cache_grow(kv, 0, N, &status), "kv", &status);
    assert_int_equal(kv->head_floats, 64 * (2 * PAIRS + GROUPS + 1));
    for (int i = 0; i < N * WIDE; i++) {
        k[i] = (float)(i % 37 - 18) * (float)(1 + i / WIDE);
        v[i] = (float)(i % 41 - 20) / (float)(1 + i / WIDE);
    }
    d->op->kv_append(d->device, kv, 0, k, v, &batch);
    for (int i = 0; i < N * WIDE; i++) {
        const int t = i / WIDE % 64, c = i % WIDE;
        const float *key_scales = kv_cache_head(kv, 0, i / WIDE / 64, 0, 0) + 64 * PAIRS;
        const float *value_scales = key_scales + 64 * (GROUPS + PAIRS);
        const int16_t *keys = (const int16_t *)(const void *)(key_scales - 64 * PAIRS);
        const int16_t *values = (const int16_t *)(const void *)(key_scales + 64 * GROUPS);
        const float s = key_scales[(t / 16 * GROUPS + c / 64) * 16 + t % 16];
        const int key = keys[((t / 16 * PAIRS + c / 2) * 16 + t % 16) * 2 + c % 2];
        const int value = values[((c / 16 * 32 + t / 2) * 16 + c % 16) * 2 + t % 2];

        assert_true(fabsf((float)key * s - k[i]) <= 0.501f * s);
        assert_true(fabsf((float)value * value_scales[t] - v[i]) <= 0.501f * value_scales[t]);
        assert_true(abs(value) <= VALUE_MOST);
    }
    kv_cache_close(kv);
}

static void words_take_half_the_room_and_lie_where_the_layout_says(void **state)
{
    (void)state;
    for (int i = 0; i < n_sets; i++) {
        struct op_device d = op_device_open(sets[i], 1);

        if (op_rounds(sets[i]))
            check_words(&d);
        op_device_close(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_of_equal_values_do_not_overflow),
        cmocka_unit_test(what_is_not_finite_stays_with_those_who_see_it),
        cmocka_unit_test(zeros_give_zeros),
        cmocka_unit_test(words_take_half_the_room_and_lie_where_the_layout_says),
    };

    n_sets = op_sets(sets);
    return cmocka_run_group_tests_name("attention", tests, NULL, NULL);
}
