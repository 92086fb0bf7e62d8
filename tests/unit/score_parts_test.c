/* The parts of a run's totals: histogram, sample of keys, bootstrap weights, worst records. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "draw.h"
#include "run/bootstrap.h"
#include "run/loss_histogram.h"
#include "run/record_keys.h"
#include "run/worst_records.h"

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void percentiles_are_half_a_bin_off_at_most(void **state)
{
    struct loss_histogram *h = calloc(1, sizeof(*h));
    enum { N = 777 };
    double losses[N];
    struct draw draw = {1};

    (void)state;
    assert_non_null(h);
    for (int i = 0; i < N; i++) {
        losses[i] = (double)draw_below(&draw, 1000000) / 250000;
        loss_histogram_add(h, losses[i]);
    }
    qsort(losses, N, sizeof(*losses), by_value);
    for (int percent = 1; percent <= 100; percent++) {
        const int rank = (N * percent + 99) / 100; /* from 1 */

        assert_true(fabs(loss_histogram_percentile(h, N, percent) - losses[rank - 1]) <= 0x1p-11);
    }
    free(h);
}

static void losses_beyond_the_bins_stay_in_them(void **state)
{
    struct loss_histogram *h = calloc(1, sizeof(*h));

    (void)state;
    assert_non_null(h);
    loss_histogram_add(h, -1e-9);
    assert_true(loss_histogram_percentile(h, 1, 100) == 0x1p-11);
    loss_histogram_add(h, 31.9999999);
    loss_histogram_add(h, 32);
    loss_histogram_add(h, 1e90);
    assert_int_equal(h->bins[0], 1);
    assert_int_equal(h->bins[LOSS_HISTOGRAM_BINS - 2], 1);
    assert_int_equal(h->bins[LOSS_HISTOGRAM_BINS - 1], 2);
    assert_true(loss_histogram_percentile(h, 4, 99) == LOSS_HISTOGRAM_MAX);
    free(h);
}

static void poisson_weights_have_mean_and_variance_1(void **state)
{
    double sum = 0, squares = 0;
    unsigned most = 0;
    enum { KEYS = 300 };
    const double n = (double)KEYS * BOOTSTRAP_REPLICATES;

    (void)state;
    for (uint64_t key = 0; key < KEYS; key++) {
        for (unsigned i = 0; i < BOOTSTRAP_REPLICATES; i++) {
            const unsigned weight = bootstrap_weight(hash64(&key, sizeof(key)), i);

            sum += weight;
            squares += (double)weight * weight;
            most = weight > most ? weight : most;
        }
    }
    assert_true(fabs(sum / n - 1) < 5 / sqrt(n)); /* five deviations */
    assert_true(fabs(squares / n - 2) < 5 * sqrt(11 / n));
    assert_in_range(most, 6, 12);
}

/* ---- keys ---- */

static void draw_keys(struct record_keys *keys, uint64_t first, uint64_t n)
{
    for (uint64_t i = first; i < first + n; i++)
        record_keys_add(keys, hash64(&i, sizeof(i)));
}

static void keeps_the_smallest_keys_of_any_number(void **state)
{
    struct record_keys few = {.max = 100}, all = {.max = 100000};

    (void)state;
    draw_keys(&few, 0, 20000);
    draw_keys(&few, 500, 300);
    draw_keys(&all, 0, 20000);
    draw_keys(&all, 500, 300);
    record_keys_settle(&few);
    record_keys_settle(&all);
    assert_int_equal(few.n, 100);
    assert_int_equal(all.n, 20000);
    assert_true(few.cap <= 200);
    for (size_t i = 0; i < few.n; i++) {
        assert_true(few.keys[i].key == all.keys[i].key);
        assert_int_equal(few.keys[i].repeated, all.keys[i].repeated);
        assert_true(i == 0 || few.keys[i - 1].key < few.keys[i].key);
    }
    assert_int_equal(record_keys_repeated(&all), 300);
    record_keys_release(&few);
    record_keys_release(&all);
}

static void sees_what_two_samples_share(void **state)
{
    struct record_keys a = {.max = 100}, b = {.max = 100}, none = {.max = 100};
    uint32_t shard = 7;

    (void)state;
    draw_keys(&a, 0, 5000);
    draw_keys(&b, 5000, 5000);
    record_keys_settle(&a);
    record_keys_settle(&b);
    assert_int_equal(record_keys_common(&a, &b, &shard), 0);
    assert_int_equal(record_keys_common(&a, &none, &shard), 0);
    assert_int_equal(shard, 7);
    assert_int_equal(record_keys_common(&a, &a, &shard), 100);
    assert_int_equal(shard, 0);
    record_keys_merge(&a, &b, 3);
    assert_int_equal(a.n, 100);
    assert_in_range(record_keys_common(&a, &b, &shard), 20, 80); /* about half are b's */
    assert_int_equal(shard, 3);
    record_keys_release(&a);
    record_keys_release(&b);
}

/* ---- worst ---- */

static void the_worst_come_first_and_ties_go_by_key(void **state)
{
    struct worst_records worst = {0}, other = {0};
    char long_id[WORST_RECORDS_MAX_ID + 1];

    (void)state;
    memset(long_id, '1', sizeof(long_id));
    for (uint64_t i = 0; i < 100; i++)
        worst_records_add(i % 3 ? &worst : &other, 1000 - i, text_of("\"x\""), 1,
                          1 + (double)(i / 2));
    worst_records_add(&worst, 1, (struct text){long_id, sizeof(long_id)}, 1, 1000);
    worst_records_merge(&worst, &other);
    assert_int_equal(worst.n, WORST_RECORDS);
    assert_int_equal(worst.list[0].key, 1);
    assert_int_equal(worst.list[0].id_len, 0); /* too long to keep */
    assert_int_equal(worst.list[1].key, 1000 - 99);
    assert_int_equal(worst.list[2].key, 1000 - 98);
    assert_int_equal(worst.list[2].id_len, 3);
    for (size_t i = 1; i < worst.n; i++)
        assert_true(worst.list[i].adapted <= worst.list[i - 1].adapted);
}

static void who_did_not_get_worse_is_not_kept(void **state)
{
    struct worst_records worst = {0};

    (void)state;
    worst_records_add(&worst, 1, text_of("1"), 2, 2);
    worst_records_add(&worst, 2, text_of("2"), 2, 1);
    worst_records_add(&worst, 3, text_of("3"), (double)NAN, 1);
    assert_int_equal(worst.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles_are_half_a_bin_off_at_most),
        cmocka_unit_test(losses_beyond_the_bins_stay_in_them),
        cmocka_unit_test(poisson_weights_have_mean_and_variance_1),
        cmocka_unit_test(keeps_the_smallest_keys_of_any_number),
        cmocka_unit_test(sees_what_two_samples_share),
        cmocka_unit_test(the_worst_come_first_and_ties_go_by_key),
        cmocka_unit_test(who_did_not_get_worse_is_not_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
