/* Reservations bound the cache, blocks are taken late and given back, keys and values land where
 * the layout says. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "compute/kv_cache.h"

/* The sanitizers end a program that asks for too much, unless told not to. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static struct device *device; /* keeps floats as they come */

static struct kv_cache *open_cache(int n_slots, int max_blocks)
{
    struct status status = {0};
    struct kv_cache *kv =
        kv_cache_open(&backend_cpu, device, 2, 3, 20, n_slots, max_blocks, &status);

    assert_non_null(kv);
    return kv;
}

static void grow(struct kv_cache *kv, int slot, int n_tokens)
{
    struct status status = {0};

    assert_true(kv_cache_grow(kv, slot, n_tokens, &status));
}

static void counts_blocks_of_64_tokens(void **state)
{
    (void)state;
    assert_int_equal(kv_cache_blocks(0), 0);
    assert_int_equal(kv_cache_blocks(1), 1);
    assert_int_equal(kv_cache_blocks(64), 1);
    assert_int_equal(kv_cache_blocks(65), 2);
    assert_int_equal(kv_cache_blocks(INT_MAX), INT_MAX / 64 + 1);
}

static size_t block_size(int n_layers, int n_kv_heads, int head_dim)
{
    return kv_cache_block_size(&backend_cpu, device, n_layers, n_kv_heads, head_dim);
}

static void a_block_holds_what_the_device_needs_for_each_head(void **state)
{
    (void)state;
    /* 2 layers, 3 heads of 20 padded to 32, keys and values of 64 tokens */
    assert_int_equal(block_size(2, 3, 20), 2 * 3 * 32 * 2 * 64 * sizeof(float));
    assert_int_equal(block_size(INT_MAX, INT_MAX, 512), 0);
    assert_int_equal(block_size(0, 1, 64), 0);
}

static void admits_no_more_than_its_blocks(void **state)
{
    struct kv_cache *kv = open_cache(3, 5);

    (void)state;
    assert_true(kv_cache_reserve(kv, 0, 128));
    assert_false(kv_cache_reserve(kv, 1, 193));
    assert_true(kv_cache_reserve(kv, 1, 192));
    assert_false(kv_cache_reserve(kv, 2, 1));
    kv_cache_free_slot(kv, 0);
    assert_false(kv_cache_reserve(kv, 2, 129));
    assert_true(kv_cache_reserve(kv, 2, 65));
    assert_true(kv_cache_reserve(kv, 0, 0));
    kv_cache_close(kv);
}

static void takes_blocks_when_tokens_come_and_reuses_them(void **state)
{
    struct kv_cache *kv = open_cache(2, 100);
    const float *first;

    (void)state;
    assert_true(kv_cache_reserve(kv, 0, 64 * 50));
    assert_int_equal(kv->n_allocated, 0);
    grow(kv, 0, 1);
    grow(kv, 0, 64);
    assert_int_equal(kv->n_allocated, 1);
    first = kv_cache_block(kv, 0, 0);
    grow(kv, 0, 129);
    assert_int_equal(kv->n_allocated, 3);
    assert_ptr_equal(kv_cache_block(kv, 0, 0), first);
    kv_cache_free_slot(kv, 0);
    assert_int_equal(kv->n_spare, 3);
    assert_true(kv_cache_reserve(kv, 1, 64 * 4));
    grow(kv, 1, 64 * 4);
    assert_int_equal(kv->n_allocated, 4);
    assert_int_equal(kv->n_spare, 0);
    kv_cache_close(kv);
}

static void a_window_bounds_what_a_slot_holds(void **state)
{
    enum { WINDOW = 100, STEP = 64, HEAD = 150, TOKENS = 5000 };
    static int32_t head[HEAD];
    struct kv_cache *kv = open_cache(3, 2 * (1 + 2 + 1 + 1)); /* of a slot: head, window, step, 1 */

    (void)state;
    kv_cache_set_window(kv, WINDOW, STEP);
    for (int round = 0; round < 2; round++) {
        assert_true(kv_cache_reserve_head(kv, 0, TOKENS, head, HEAD, -1));
        assert_true(kv_cache_reserve(kv, 1, TOKENS));
        assert_true(kv_cache_reserve(kv, 2, 64)); /* the second has no head */
        assert_int_equal(kv->n_reserved, kv->max_blocks);
        grow(kv, 2, 64);
        assert_int_equal(kv_cache_catch_up(kv, 0), round == 0 ? 0 : 64);
        for (int n = STEP; n <= TOKENS; n += n % 3 == 1 ? STEP : 1) {
            const int first = n - 1 + 1 - WINDOW; /* of what the last row sees */

            grow(kv, 0, n);
            grow(kv, 1, n);
            assert_non_null(kv_cache_block(kv, 0, 0)); /* others may share it */
            for (int b = first > 0 ? first / 64 : 0; b <= (n - 1) / 64; b++)
                assert_ptr_not_equal(kv_cache_block(kv, 0, b), kv_cache_block(kv, 1, b));
        }
        assert_true(kv->n_allocated <= kv->max_blocks);
        for (int slot = 0; slot < 3; slot++)
            kv_cache_free_slot(kv, slot);
        assert_int_equal(kv->n_reserved, 0);
    }
    assert_true(kv_cache_reserve(kv, 0, 100)); /* shorter than its bound */
    assert_int_equal(kv->n_reserved, 2);
    kv_cache_close(kv);
}

static void keeps_keys_and_values_where_the_layout_says(void **state)
{
    enum { TOKENS = 70, DIM = 20, HEADS = 3, PADDED = 32, LAYER = 1 };
    static float k[TOKENS * HEADS * DIM], v[TOKENS * HEADS * DIM];
    const struct segment segment = {1, 0, TOKENS, 0, -1};
    const struct batch batch = {.n_rows = TOKENS, .n_segments = 1, .segments = &segment};
    struct kv_cache *kv = open_cache(2, 2);

    (void)state;
    for (int i = 0; i < TOKENS * HEADS * DIM; i++) {
        k[i] = (float)i;
        v[i] = -(float)i;
    }
    assert_true(kv_cache_reserve(kv, 1, TOKENS));
    grow(kv, 1, TOKENS);
    backend_cpu.kv_append(device, kv, LAYER, k, v, &batch);
    for (int t = 0; t < TOKENS; t++) {
        for (int h = 0; h < HEADS; h++) {
            const float *keys = kv_cache_head(kv, 1, t / 64, LAYER, h);
            const float *values = keys + 64 * PADDED;

            for (int i = 0; i < DIM; i++) {
                const int at = (t * HEADS + h) * DIM + i, lane = t % 64;

                assert_true(keys[(lane / 16 * PADDED + i) * 16 + lane % 16] == k[at]);
                assert_true(values[(i / 16 * 64 + lane) * 16 + i % 16] == v[at]);
            }
        }
    }
    /* what pads the heads is zero, and the other layer is untouched */
    for (int i = 0; i < 64 * PADDED * 2; i++)
        assert_true(kv_cache_head(kv, 1, 0, 0, 0)[i] == 0);
    for (int t = 0; t < 64; t++)
        assert_true(kv_cache_head(kv, 1, 0, LAYER, 0)[64 * PADDED + (1 * 64 + t) * 16 + 15] == 0);
    kv_cache_close(kv);
}

static void refuses_heads_too_large_and_caches_too_large(void **state)
{
    struct status status = {0};
    struct kv_cache *kv;

    (void)state;
    assert_null(kv_cache_open(&backend_cpu, device, 1, 1, KV_MAX_HEAD_DIM + 1, 1, 1, &status));
    assert_int_equal(status.code, STATUS_CONFIG);
    assert_null(kv_cache_open(&backend_cpu, device, INT_MAX, INT_MAX, 512, 1, 1, &status));
    assert_int_equal(status.code, STATUS_MEMORY);
    /* A block of 2^45 bytes can be named, and not had. */
    kv = kv_cache_open(&backend_cpu, device, 1 << 13, 1 << 14, 512, 1, 1, &status);
    assert_non_null(kv);
    assert_true(kv_cache_reserve(kv, 0, 1));
    assert_false(kv_cache_grow(kv, 0, 1, &status));
    assert_int_equal(status.code, STATUS_MEMORY);
    kv_cache_close(kv);
}

static int open_device(void **state)
{
    const struct device_options options = {1};
    struct status status = {0};

    (void)state;
    setenv("MEDRAT_KERNELS", "scalar", 1);
    device = backend_cpu.open(&options, &status);
    return device ? 0 : -1;
}

static int close_device(void **state)
{
    (void)state;
    backend_cpu.close(device);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_blocks_of_64_tokens),
        cmocka_unit_test(a_block_holds_what_the_device_needs_for_each_head),
        cmocka_unit_test(admits_no_more_than_its_blocks),
        cmocka_unit_test(takes_blocks_when_tokens_come_and_reuses_them),
        cmocka_unit_test(a_window_bounds_what_a_slot_holds),
        cmocka_unit_test(keeps_keys_and_values_where_the_layout_says),
        cmocka_unit_test(refuses_heads_too_large_and_caches_too_large),
    };

    return cmocka_run_group_tests(tests, open_device, close_device);
}
