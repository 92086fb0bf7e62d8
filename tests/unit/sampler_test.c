/* Tokens are drawn as a plain reference, which sorts the whole row, draws them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "run/candidates.h"
#include "run/sampler.h"

enum { VOCAB = 3000 };

static float logits[VOCAB];

/* About uniform in [-width / 2, width / 2), in steps of `grain` so that there are ties. */
static void fill_logits(uint64_t key, double width, double grain)
{
    for (int i = 0; i < VOCAB; i++)
        logits[i] =
            (float)(floor((rng_uniform(key, (uint64_t)i, 0) - 0.5) * width / grain) * grain);
}

static int by_logit_then_id(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

    if (logits[x] != logits[y])
        return logits[x] > logits[y] ? -1 : 1;
    return x < y ? -1 : 1;
}

static void sort_all(int32_t *order)
{
    for (int32_t i = 0; i < VOCAB; i++)
        order[i] = i;
    qsort(order, VOCAB, sizeof(*order), by_logit_then_id);
}

static int32_t reference(const struct sampling *s, uint64_t position)
{
    static int32_t order[VOCAB];
    static double p[VOCAB];
    double total = 0, before = 0, kept_mass = 0;
    int n = s->top_k > 0 && s->top_k < VOCAB ? s->top_k : VOCAB, kept = 0;

    sort_all(order);
    for (int i = 0; i < n; i++) {
        p[i] = exp(((double)logits[order[i]] - (double)logits[order[0]]) / s->temperature);
        total += p[i];
    }
    while (kept < n && (kept == 0 || s->top_p >= 1 || before < s->top_p * total))
        before += p[kept++];
    while (kept > 1 && p[kept - 1] < s->min_p)
        kept--;
    for (int i = 0; i < kept; i++)
        kept_mass += p[i];
    const double point = rng_uniform(s->key, position, s->stream) * kept_mass;

    before = 0;
    for (int i = 0; i < kept; i++) {
        before += p[i];
        if (point < before)
            return order[i];
    }
    return order[kept - 1];
}

static void the_best_come_in_order_with_the_lower_id_first_among_equals(void **state)
{
    static const int counts[] = {0, 1, 2, 3, 7, 50, 1000, VOCAB, VOCAB + 5};
    static struct candidate best[VOCAB];
    static int32_t order[VOCAB];

    (void)state;
    for (uint64_t key = 0; key < 3; key++) {
        fill_logits(key, 10, 0.25);
        sort_all(order);
        assert_int_equal(candidates_first(logits, VOCAB), order[0]);
        for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
            const int n = candidates_best(logits, VOCAB, counts[c], best);

            assert_int_equal(n, counts[c] < VOCAB ? counts[c] : VOCAB);
            for (int i = 0; i < n; i++)
                assert_int_equal(best[i].id, order[i]);
        }
        for (int i = 0; i < VOCAB; i += i < 40 ? 1 : 97)
            assert_int_equal(candidates_rank(logits, VOCAB, order[i]), i + 1);
    }
}

static void greedy_takes_the_lowest_id_of_the_highest_logits(void **state)
{
    struct sampler *sampler = sampler_open(VOCAB);
    const struct sampling greedy = {.greedy = true};
    const struct sampling cold = {.temperature = 0, .top_p = 1};

    (void)state;
    fill_logits(1, 10, 0.5);
    logits[1234] = logits[77] = logits[2999] = 9;
    assert_int_equal(sampler_next(sampler, logits, &greedy, 0), 77);
    assert_int_equal(sampler_next(sampler, logits, &cold, 0), 77);
    sampler_close(sampler);
}

static void filters_and_draws_agree_with_sorting_everything(void **state)
{
    static const struct sampling cases[] = {
        {.temperature = 0.7, .top_p = 1, .top_k = 50},
        {.temperature = 0.7, .top_p = 0.9, .top_k = 50},
        {.temperature = 1, .top_p = 1},
        {.temperature = 30, .top_p = 1}, /* nearly flat: far more than 256 candidates */
        {.temperature = 30, .top_p = 0.9},
        {.temperature = 30, .top_p = 0.95, .min_p = 0.8},
        {.temperature = 2, .top_p = 1, .min_p = 0.05},
        {.temperature = 1.3, .top_p = 0.5},
        {.temperature = 1, .top_p = 1e-9},
        {.temperature = 1, .top_p = 1, .min_p = 1},
        {.temperature = 1, .top_p = 1, .top_k = 1},
        {.temperature = 5, .top_p = 0.8, .top_k = VOCAB + 1, .min_p = 0.01},
    };
    struct sampler *sampler = sampler_open(VOCAB);

    (void)state;
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        for (uint64_t i = 0; i < 60; i++) {
            struct sampling s = cases[c];

            fill_logits(i, 20, i % 2 ? 0.125 : 1e-6);
            s.key = sampler_key(i, 5);
            s.stream = (uint32_t)(i % 3);
            assert_int_equal(sampler_next(sampler, logits, &s, i), reference(&s, i));
        }
    }
    sampler_close(sampler);
}

static void tokens_come_as_often_as_their_probability_says(void **state)
{
    enum { DRAWS = 20000, TOKENS = 5 };
    static const double probabilities[TOKENS] = {0.4, 0.3, 0.15, 0.1, 0.05};
    struct sampler *sampler = sampler_open(TOKENS);
    const struct sampling s = {.temperature = 2, .top_p = 1, .key = sampler_key(3, 4)};
    float row[TOKENS];
    int counts[TOKENS] = {0};

    (void)state;
    for (int i = 0; i < TOKENS; i++)
        row[i] = (float)(2 * log(probabilities[i])); /* what the temperature takes back */
    for (uint64_t i = 0; i < DRAWS; i++)
        counts[sampler_next(sampler, row, &s, i)]++;
    for (int i = 0; i < TOKENS; i++) {
        const double p = probabilities[i], sigma = sqrt(DRAWS * p * (1 - p));

        assert_true(fabs(counts[i] - DRAWS * p) < 4 * sigma);
    }
    sampler_close(sampler);
}

static void a_draw_depends_on_seed_record_position_and_sample(void **state)
{
    struct sampler *sampler = sampler_open(VOCAB);
    struct sampling s[4] = {
        {.key = sampler_key(0, 1)},
        {.key = sampler_key(1, 1)},
        {.key = sampler_key(0, 2)},
        {.key = sampler_key(0, 1), .stream = 1},
    };

    (void)state;
    fill_logits(9, 5, 1e-6);
    for (int i = 0; i < 4; i++) {
        int n_same = 0, n_moved = 0;

        s[i].temperature = s[i].top_p = 1;
        for (uint64_t position = 0; position < 100; position++) {
            const int32_t id = sampler_next(sampler, logits, &s[i], position);

            assert_int_equal(sampler_next(sampler, logits, &s[i], position), id);
            n_same += id == sampler_next(sampler, logits, &s[0], position);
            n_moved += id != sampler_next(sampler, logits, &s[i], position + 1);
        }
        assert_true(i == 0 ? n_same == 100 : n_same < 10);
        assert_true(n_moved > 90);
    }
    sampler_close(sampler);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_come_in_order_with_the_lower_id_first_among_equals),
        cmocka_unit_test(greedy_takes_the_lowest_id_of_the_highest_logits),
        cmocka_unit_test(filters_and_draws_agree_with_sorting_everything),
        cmocka_unit_test(tokens_come_as_often_as_their_probability_says),
        cmocka_unit_test(a_draw_depends_on_seed_record_position_and_sample),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
