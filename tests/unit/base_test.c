/* The base layer: what every other layer takes for granted. */
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/checked.h"
#include "base/dtype.h"
#include "base/float16.h"
#include "base/hash.h"
#include "base/rng.h"
#include "base/status.h"
#include "base/thread_pool.h"

static bool fail_deep_down(struct status *status)
{
    return status_fail(status, STATUS_CONFIG, "tensor '%s': no dtype", "q_proj");
}

static void a_message_collects_its_place_on_the_way_up(void **state)
{
    struct status status = {0};

    (void)state;
    assert_false(fail_deep_down(&status));
    status_prefix(&status, "m/adapter.safetensors");
    assert_string_equal(status.message, "m/adapter.safetensors: tensor 'q_proj': no dtype");
    assert_int_equal(status_exit_code(status.code), 78);
}

static void a_message_too_long_is_cut_and_stays_a_string(void **state)
{
    char long_name[2000];
    struct status status = {0};

    (void)state;
    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    status_set(&status, STATUS_IO, "%s", long_name);
    assert_int_equal(strlen(status.message), sizeof(status.message) - 1);
    status_prefix(&status, "place");
    assert_int_equal(strlen(status.message), sizeof(status.message) - 1);
    assert_memory_equal(status.message, "place: xxx", 10);
    status_prefix(&status, "%s", long_name);
    assert_memory_equal(status.message, "place: xxx", 10);
}

static void a_buf_grows_and_is_always_a_string(void **state)
{
    struct buf buf = {0};

    (void)state;
    for (int i = 0; i < 1000; i++)
        buf_printf(&buf, "%d,", i);
    assert_int_equal(buf.len, strlen(buf.data));
    assert_memory_equal(buf.data, "0,1,2,", 6);
    buf_reset(&buf);
    assert_int_equal(buf_text(&buf).len, 0);
    buf_append(&buf, "a\0b", 3);
    assert_int_equal(buf.len, 3);
    buf_release(&buf);
    assert_string_equal(buf_text(&buf).ptr, "");
}

static void products_that_overflow_are_refused(void **state)
{
    size_t result = 7;

    (void)state;
    assert_true(checked_mul(1u << 16, 1u << 16, &result));
    assert_int_equal(result, UINT64_C(1) << 32);
    assert_false(checked_mul(SIZE_MAX, 2, &result));
    assert_false(checked_add(SIZE_MAX, 1, &result));
}

/* Known answers of the Random123 distribution (kat_vectors, philox4x32 10). */
static void philox_gives_the_published_words(void **state)
{
    const struct {
        uint32_t counter[4];
        uint64_t key;
        uint32_t want[4];
    } cases[] = {
        {{0, 0, 0, 0}, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         UINT64_MAX,
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         UINT64_C(0x299f31d0a4093822),
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct rng_block block = rng_philox(cases[i].key, cases[i].counter);

        assert_memory_equal(block.word, cases[i].want, sizeof(block.word));
    }
}

static void uniform_numbers_lie_in_range_and_average_to_a_half(void **state)
{
    double sum = 0;

    (void)state;
    for (uint64_t i = 0; i < 100000; i++) {
        const double u = rng_uniform(42, i, 0);

        assert_true(u >= 0 && u < 1);
        sum += u;
    }
    assert_true(fabs(sum / 100000 - 0.5) < 0.005); /* five standard errors */
    assert_true(rng_uniform(42, 0, 0) != rng_uniform(42, 0, 1));
    assert_true(rng_uniform(42, 0, 0) != rng_uniform(43, 0, 0));
}

static void the_hash_is_the_one_golden_files_use(void **state)
{
    (void)state;
    /* FNV-1a's own published value for "a", before the mix */
    assert_true(hash_more(HASH_START, "a", 1) == UINT64_C(0xaf63dc4c8601ec8c));
    assert_true(hash_mix(0) == 0);
    assert_true(hash64("", 0) == hash_mix(HASH_START));
    assert_true(hash64("ab", 2) == hash_mix(hash_more(hash_more(HASH_START, "a", 1), "b", 1)));
}

static void sixteen_bit_floats_convert_exactly(void **state)
{
    (void)state;
    assert_true(f16_to_float(0x3C00) == 1.0F);
    assert_true(f16_to_float(0xC000) == -2.0F);
    assert_true(f16_to_float(0x7BFF) == 65504.0F);
    assert_true(f16_to_float(0x0001) == 0x1p-24F);
    assert_true(f16_to_float(0x8001) == -0x1p-24F);
    assert_true(isinf(f16_to_float(0x7C00)));
    assert_true(isnan(f16_to_float(0x7C01)));
    assert_true(bf16_to_float(0x3F80) == 1.0F);
}

static void blocks_have_the_sizes_of_ggml(void **state)
{
    (void)state;
    assert_int_equal(dtype_block_bytes(DTYPE_Q4_0), 18);
    assert_int_equal(dtype_block_bytes(DTYPE_Q4_1), 20);
    assert_int_equal(dtype_block_bytes(DTYPE_Q8_0), 34);
    assert_int_equal(dtype_block_elements(DTYPE_BF16), 1);
    assert_string_equal(dtype_name(DTYPE_Q4_1), "Q4_1");
}

static void count_item(void *context, size_t item, int thread)
{
    int *counts = context;

    (void)thread;
    counts[item]++;
}

static void every_item_of_a_loop_runs_once(void **state)
{
    enum { ITEMS = 257 };
    int counts[ITEMS] = {0};

    (void)state;
    for (int n_threads = 1; n_threads <= 4; n_threads++) {
        struct status status;
        struct thread_pool *pool = thread_pool_open(n_threads, &status);

        assert_non_null(pool);
        assert_int_equal(thread_pool_size(pool), n_threads);
        for (int loop = 0; loop < 200; loop++)
            thread_pool_for(pool, (size_t)(loop % ITEMS) + 1, count_item, counts);
        thread_pool_close(pool);
    }
    for (int i = 0; i < ITEMS; i++)
        assert_int_equal(counts[i], i < 200 ? 4 * (200 - i) : 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_collects_its_place_on_the_way_up),
        cmocka_unit_test(a_message_too_long_is_cut_and_stays_a_string),
        cmocka_unit_test(a_buf_grows_and_is_always_a_string),
        cmocka_unit_test(products_that_overflow_are_refused),
        cmocka_unit_test(philox_gives_the_published_words),
        cmocka_unit_test(uniform_numbers_lie_in_range_and_average_to_a_half),
        cmocka_unit_test(the_hash_is_the_one_golden_files_use),
        cmocka_unit_test(sixteen_bit_floats_convert_exactly),
        cmocka_unit_test(blocks_have_the_sizes_of_ggml),
        cmocka_unit_test(every_item_of_a_loop_runs_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
