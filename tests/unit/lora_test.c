/* An adapter's parameters as they begin: how many, where, and how A is drawn. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "train/lora.h"

static const struct model_config mistral_7b = {
    .dim = 4096, .n_layers = 32, .n_heads = 32, .n_kv_heads = 8, .head_dim = 128, .ffn_dim = 14336};
static const struct model_config small = {
    .dim = 64, .n_layers = 3, .n_heads = 4, .n_kv_heads = 2, .head_dim = 20, .ffn_dim = 100};

/* The card's adapter: formats.md counts its parameters. */
static void test_the_cards_size(void **state)
{
    const struct lora_options card = {.rank = 16, .alpha = 32, .targets = 15};

    (void)state;
    assert_int_equal(lora_count(&mistral_7b, &card), 13631488);
}

static void test_modules(void **state)
{
    const struct lora_options options = {
        .rank = 5, .alpha = 10, .targets = 1u << LORA_K_PROJ | 1u << LORA_DOWN_PROJ};
    struct status status;
    struct lora *lora = lora_open(&small, &options, 1, &status);
    size_t at = 0;

    (void)state;
    assert_non_null(lora);
    assert_int_equal(lora->n_modules, 6);
    assert_true(lora->scale == 2.0f);
    for (int i = 0; i < 6; i++) {
        const struct lora_module *m = &lora->modules[i];

        assert_int_equal(m->layer, i / 2);
        assert_int_equal(m->target, i % 2 ? LORA_DOWN_PROJ : LORA_K_PROJ);
        assert_int_equal(m->in, i % 2 ? 100 : 64);
        assert_int_equal(m->out, i % 2 ? 64 : 40);
        assert_int_equal(m->a, at);
        assert_int_equal(m->b, at + 5 * (size_t)m->in);
        at = m->b + 5 * (size_t)m->out;
    }
    assert_int_equal(lora->n_values, at);
    assert_string_equal(lora_target_name(LORA_DOWN_PROJ), "down_proj");
    assert_string_equal(lora_target_path(LORA_K_PROJ), "self_attn.k_proj");
    lora_close(lora);
}

/* A is uniform in +-1 / sqrt(in), another one for each module and seed; B is zero. */
static void test_start(void **state)
{
    const struct lora_options options = {.rank = 16, .alpha = 32, .targets = 127, .rslora = true};
    struct status status;
    struct lora *lora = lora_open(&small, &options, 1, &status);
    struct lora *again = lora_open(&small, &options, 1, &status);
    struct lora *other = lora_open(&small, &options, 2, &status);

    (void)state;
    assert_true(lora && again && other);
    assert_true(lora->scale == 8.0f);
    assert_memory_equal(lora->values, again->values, lora->n_values * sizeof(float));
    for (int i = 0; i < lora->n_modules; i++) {
        const struct lora_module *m = &lora->modules[i];
        const float *a = lora->values + m->a, *b = lora->values + m->b;
        const size_t n = 16 * (size_t)m->in;
        const double width = 1 / sqrt((double)m->in);
        double sum = 0, squares = 0;

        for (size_t k = 0; k < n; k++) {
            sum += (double)a[k];
            squares += (double)a[k] * (double)a[k];
            assert_true(fabs((double)a[k]) <= width);
        }
        assert_true(fabs(sum / (double)n) < 5 * width / sqrt(3.0 * (double)n));
        assert_true(fabs(squares / (double)n / (width * width) - 1 / 3.0) < 0.05);
        for (size_t k = 0; k < 16 * (size_t)m->out; k++)
            assert_true(b[k] == 0.0f);
        assert_memory_not_equal(a, other->values + m->a, n * sizeof(*a));
        assert_memory_not_equal(a, lora->values + lora->modules[(i + 1) % lora->n_modules].a,
                                64 * sizeof(*a));
    }
    lora_close(lora);
    lora_close(again);
    lora_close(other);
}

static void test_bad_options(void **state)
{
    static const struct {
        struct lora_options options;
        const char *message;
    } cases[] = {
        {{.rank = 0, .alpha = 1, .targets = 1}, "rank 0 is not in [1, 1024]"},
        {{.rank = 1025, .alpha = 1, .targets = 1}, "rank 1025 is not in [1, 1024]"},
        {{.rank = 1, .alpha = 0, .targets = 1}, "alpha 0 is not a number above 0"},
        {{.rank = 1, .alpha = NAN, .targets = 1}, "alpha nan is not a number above 0"},
        {{.rank = 1, .alpha = 1, .dropout = 1, .targets = 1}, "dropout 1 is not in [0, 1)"},
        {{.rank = 1, .alpha = 1, .targets = 0}, "no module to train"},
        {{.rank = 1, .alpha = 1, .targets = 128}, "no module to train"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct status status = {0};

        assert_null(lora_open(&small, &cases[i].options, 0, &status));
        assert_int_equal(status.code, STATUS_CONFIG);
        assert_string_equal(status.message, cases[i].message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_cards_size),
        cmocka_unit_test(test_modules),
        cmocka_unit_test(test_start),
        cmocka_unit_test(test_bad_options),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
