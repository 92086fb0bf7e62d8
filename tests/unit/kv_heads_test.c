/* Blocks of a common head are held by all who begin with it, computed once, kept for a while, and
 * given up before anything runs out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/rng.h"
#include "compute/kv_cache.h"

enum { MAX_TOKENS = 64 * 12 };

static struct device *device;

static struct kv_cache *open_cache(const struct backend *backend, int n_slots, int max_blocks)
{
    struct status status = {0};
    struct kv_cache *kv = kv_cache_open(backend, device, 1, 1, 4, n_slots, max_blocks, &status);

    assert_non_null(kv);
    return kv;
}

/* n tokens that begin as those of the same `kind` do, up to token `same`. */
static void fill_tokens(int32_t *tokens, int n, int kind, int same, int own)
{
    for (int i = 0; i < n; i++)
        tokens[i] = i < same ? 1000 * kind + i : 100000 + 1000 * own + i;
}

static void grow(struct kv_cache *kv, int slot, int n_tokens)
{
    struct status status = {0};

    assert_true(kv_cache_grow(kv, slot, n_tokens, &status));
}

static int block_of(const struct kv_cache *kv, int slot, int i)
{
    return kv->slots[slot].blocks[i];
}

static void a_head_is_computed_once_and_counted_once(void **state)
{
    struct kv_cache *kv = open_cache(&backend_cpu, 3, 10);
    int32_t a[200], b[200];

    (void)state;
    fill_tokens(a, 200, 1, 150, 1);
    fill_tokens(b, 200, 1, 150, 2);
    assert_true(kv_cache_reserve_head(kv, 0, 200, a, 199, -1));
    assert_int_equal(kv->n_reserved, 4);
    assert_int_equal(kv_cache_catch_up(kv, 0), 0);
    grow(kv, 0, 200);
    assert_true(kv_cache_reserve_head(kv, 1, 300, b, 199, -1));
    assert_int_equal(kv->n_reserved, 7); /* 5 blocks, of which the first slot holds 2 */
    assert_int_equal(kv_cache_catch_up(kv, 1), 128);
    grow(kv, 1, 300);
    for (int i = 0; i < 2; i++)
        assert_int_equal(block_of(kv, 0, i), block_of(kv, 1, i));
    for (int i = 2; i < 4; i++)
        assert_int_not_equal(block_of(kv, 0, i), block_of(kv, 1, i));
    kv_cache_free_slot(kv, 0);
    assert_int_equal(kv->n_reserved, 5);
    assert_int_equal(kv->n_kept, 1); /* its own third block */
    kv_cache_free_slot(kv, 1);
    assert_int_equal(kv->n_reserved, 0);
    assert_int_equal(kv->n_kept, 4);
    /* and is there when both are gone */
    assert_true(kv_cache_reserve_head(kv, 2, 130, a, 129, -1));
    assert_int_equal(kv_cache_catch_up(kv, 2), 128);
    assert_int_equal(kv->n_allocated, 7);
    kv_cache_close(kv);
}

static void all_tokens_must_be_the_same(void **state)
{
    struct kv_cache *kv = open_cache(&backend_cpu, 2, 20);
    int32_t tokens[192];

    (void)state;
    fill_tokens(tokens, 192, 1, 192, 0);
    assert_true(kv_cache_reserve_head(kv, 0, 192, tokens, 192, -1));
    grow(kv, 0, 192);
    for (int i = 0; i < 192; i += 7) {
        tokens[i]++;
        assert_true(kv_cache_reserve_head(kv, 1, 192, tokens, 192, -1));
        assert_int_equal(kv_cache_catch_up(kv, 1), i / 64 * 64);
        kv_cache_free_slot(kv, 1); /* nothing was computed, so nothing is kept */
        assert_int_equal(kv->n_kept, 0);
        tokens[i]--;
    }
    assert_true(kv_cache_reserve_head(kv, 1, 192, tokens, 127, -1)); /* whole blocks alone */
    assert_int_equal(kv_cache_catch_up(kv, 1), 64);
    kv_cache_close(kv);
}

/* Another adapter makes other keys of the same tokens. */
static void only_the_same_adapter_shares(void **state)
{
    static const int adapters[] = {0, 1, -1, 0, -1, 1, 2};
    struct kv_cache *kv = open_cache(&backend_cpu, 7, 30);
    int32_t tokens[192];

    (void)state;
    fill_tokens(tokens, 192, 1, 192, 0);
    for (int i = 0; i < 7; i++) {
        assert_true(kv_cache_reserve_head(kv, i, 192, tokens, 192, adapters[i]));
        assert_int_equal(kv_cache_catch_up(kv, i), i >= 3 && i < 6 ? 192 : 0);
        grow(kv, i, 192);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(block_of(kv, 0, i), block_of(kv, 3, i));
        assert_int_equal(block_of(kv, 1, i), block_of(kv, 5, i));
        assert_int_equal(block_of(kv, 2, i), block_of(kv, 4, i));
    }
    assert_int_equal(kv->n_reserved, 4 * 3);
    kv_cache_close(kv);
}

/* The same 64 tokens behind others are another block: they see other tokens. */
static void what_is_before_a_block_counts(void **state)
{
    static const int first[] = {1, 2, 1, 2, 3}, caught[] = {0, 0, 192, 192, 128};
    struct kv_cache *kv = open_cache(&backend_cpu, 5, 20);
    int32_t tokens[192];

    (void)state;
    for (int slot = 0; slot < 5; slot++) {
        for (int i = 0; i < 192; i++)
            tokens[i] = i < 64 ? first[slot] : 3; /* a head of three equal blocks, too */
        if (slot == 4) {
            assert_true(kv_cache_reserve_head(kv, slot, 192, tokens, 128, -1));
            assert_int_equal(kv_cache_catch_up(kv, slot), 0);
            grow(kv, slot, 128);
            kv_cache_free_slot(kv, slot);
        }
        assert_true(kv_cache_reserve_head(kv, slot, 192, tokens, 192, -1));
        assert_int_equal(kv_cache_catch_up(kv, slot), caught[slot]);
        grow(kv, slot, 192);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(block_of(kv, 0, i), block_of(kv, 2, i));
        assert_int_equal(block_of(kv, 1, i), block_of(kv, 3, i));
        assert_int_not_equal(block_of(kv, 0, i), block_of(kv, 1, i));
        assert_int_not_equal(block_of(kv, 4, i), block_of(kv, 1, i));
        assert_int_not_equal(block_of(kv, 4, i), block_of(kv, 4, (i + 1) % 3));
    }
    kv_cache_close(kv);
}

static void the_others_wait_for_the_one_who_computes(void **state)
{
    struct kv_cache *kv = open_cache(&backend_cpu, 3, 20);
    int32_t tokens[256];

    (void)state;
    fill_tokens(tokens, 256, 1, 256, 0);
    for (int slot = 0; slot < 3; slot++)
        assert_true(kv_cache_reserve_head(kv, slot, 256, tokens, 255, -1));
    assert_int_equal(kv->n_reserved, 3 + 3);
    assert_int_equal(kv_cache_catch_up(kv, 0), 0);
    grow(kv, 0, 100);
    assert_int_equal(kv_cache_catch_up(kv, 1), -1); /* 64 are there, the next block is at work */
    assert_int_equal(kv_cache_catch_up(kv, 0), 100);
    grow(kv, 0, 130);
    assert_int_equal(kv_cache_catch_up(kv, 1), -1);
    assert_int_equal(kv_cache_catch_up(kv, 0), 130);
    kv_cache_free_slot(kv, 0); /* half done: who asks first takes over, from the block's start */
    assert_int_equal(kv_cache_catch_up(kv, 2), 128);
    grow(kv, 2, 129);
    assert_int_equal(kv_cache_catch_up(kv, 1), -1);
    grow(kv, 2, 192);
    assert_int_equal(kv_cache_catch_up(kv, 1), 192);
    kv_cache_free_slot(kv, 1);
    kv_cache_free_slot(kv, 2);
    assert_int_equal(kv->n_kept, 3);
    assert_int_equal(kv->n_reserved, 0);
    kv_cache_close(kv);
}

static void what_is_kept_makes_room_the_last_used_last(void **state)
{
    struct kv_cache *kv = open_cache(&backend_cpu, 1, 6);
    int32_t tokens[3][128];

    (void)state;
    for (int i = 0; i < 3; i++) {
        fill_tokens(tokens[i], 128, i, 128, 0);
        assert_true(kv_cache_reserve_head(kv, 0, 128, tokens[i], 128, -1));
        grow(kv, 0, 128);
        kv_cache_free_slot(kv, 0);
    }
    assert_int_equal(kv->n_kept, 6);
    assert_true(kv_cache_reserve_head(kv, 0, 128, tokens[0], 128, -1)); /* used again */
    kv_cache_free_slot(kv, 0);
    assert_true(kv_cache_reserve(kv, 0, 64 * 3)); /* takes all of kind 1, and the end of kind 2 */
    grow(kv, 0, 64 * 3);
    kv_cache_free_slot(kv, 0);
    for (int i = 0; i < 3; i++) {
        static const int left[3] = {128, 0, 64};

        assert_true(kv_cache_reserve_head(kv, 0, 128, tokens[i], 128, -1));
        assert_int_equal(kv_cache_catch_up(kv, 0), left[i]);
        kv_cache_free_slot(kv, 0);
    }
    /* all of the room is one slot's, if it asks for it */
    assert_true(kv_cache_reserve(kv, 0, 64 * 6));
    grow(kv, 0, 64 * 6);
    assert_int_equal(kv->n_kept, 0);
    assert_int_equal(kv->n_allocated, 6);
    kv_cache_close(kv);
}

static void keeps_no_more_than_its_share_while_memory_could_grow(void **state)
{
    struct kv_cache *kv = open_cache(&backend_cpu, 1, 10000);
    int32_t tokens[128];

    (void)state;
    for (int i = 0; i < 500; i++) {
        fill_tokens(tokens, 128, i, 128, 0);
        assert_true(kv_cache_reserve_head(kv, 0, 129, tokens, 128, -1));
        grow(kv, 0, 129);
        kv_cache_free_slot(kv, 0);
    }
    assert_in_range(kv->n_kept, KV_KEPT_BLOCKS, KV_KEPT_BLOCKS + 2);
    assert_in_range(kv->n_allocated, KV_KEPT_BLOCKS, KV_KEPT_BLOCKS + 4);
    kv_cache_close(kv);
}

/* ---- at random: what a block is said to hold, it holds ---- */

enum { SLOTS = 5, ROUNDS = 20000 };

struct walk {
    struct kv_cache *kv;
    int32_t tokens[SLOTS][MAX_TOKENS];
    int n_tokens[SLOTS], n_head[SLOTS], n_done[SLOTS]; /* n_tokens 0: free */
    uint64_t n_drawn;
};

static int draw(struct walk *w, int n)
{
    return (int)(rng_uniform(3, w->n_drawn++, 0) * n);
}

/* What stands for the keys and values of block i: a function of all tokens up to its end. */
static float mark_of(const struct walk *w, int slot, int i)
{
    return (float)(hash64(w->tokens[slot], (size_t)(i + 1) * 64 * sizeof(int32_t)) >> 44);
}

static void check_marks(const struct walk *w, int slot, int first, int end)
{
    for (int i = first / 64; i < end / 64; i++)
        assert_true(kv_cache_block(w->kv, slot, i)[0] == mark_of(w, slot, i));
}

static void begin(struct walk *w, int slot)
{
    const int n = 1 + draw(w, MAX_TOKENS), head = draw(w, n + 1);

    /* three kinds, which share some of their blocks and part anywhere */
    fill_tokens(w->tokens[slot], n, draw(w, 3), draw(w, n + 1), draw(w, 4));
    if (!kv_cache_reserve_head(w->kv, slot, n, w->tokens[slot], head, -1))
        return;
    w->n_tokens[slot] = n;
    w->n_head[slot] = head;
    w->n_done[slot] = 0;
}

static void go_on(struct walk *w, int slot)
{
    const int known = kv_cache_catch_up(w->kv, slot), left = w->n_tokens[slot] - known;
    int n;

    if (known < 0)
        return;
    assert_true(known >= w->n_done[slot]);
    assert_true(known == w->n_done[slot] || known <= w->n_head[slot]);
    check_marks(w, slot, w->n_done[slot], known);
    if (left == 0) {
        w->n_done[slot] = known;
        return;
    }
    n = known + 1 + draw(w, left);
    grow(w->kv, slot, n);
    for (int i = known / 64; i < n / 64; i++)
        kv_cache_block(w->kv, slot, i)[0] = mark_of(w, slot, i);
    w->n_done[slot] = n;
}

/* All that runs can go on to its end, in turns: nobody waits for ever. */
static void run_out(struct walk *w)
{
    for (int turn = 0; turn < 200; turn++) {
        for (int slot = 0; slot < SLOTS; slot++) {
            if (w->n_tokens[slot] > 0)
                go_on(w, slot);
        }
    }
    for (int slot = 0; slot < SLOTS; slot++) {
        if (w->n_tokens[slot] == 0)
            continue;
        assert_int_equal(w->n_done[slot], w->n_tokens[slot]);
        check_marks(w, slot, 0, w->n_done[slot]);
    }
}

static void a_long_walk_finds_what_was_computed_and_never_runs_out(void **state)
{
    struct walk *w = calloc(1, sizeof(*w));
    uint64_t n_caught = 0;

    (void)state;
    w->kv = open_cache(&backend_cpu, SLOTS, 30);
    for (int round = 0; round < ROUNDS; round++) {
        const int slot = draw(w, SLOTS);

        if (w->n_tokens[slot] == 0) {
            begin(w, slot);
        } else if (draw(w, 6) == 0) {
            check_marks(w, slot, 0, w->n_done[slot]);
            kv_cache_free_slot(w->kv, slot); /* done or not */
            w->n_tokens[slot] = 0;
        } else {
            const int before = w->n_done[slot];

            n_caught += kv_cache_catch_up(w->kv, slot) > before;
            go_on(w, slot);
        }
        assert_true(w->kv->n_reserved <= w->kv->max_blocks);
        assert_true(w->kv->n_allocated <= w->kv->max_blocks);
        if (round % 1000 == 0)
            run_out(w);
    }
    assert_true(n_caught > ROUNDS / 50); /* it was about sharing at all */
    for (int slot = 0; slot < SLOTS; slot++) {
        if (w->n_tokens[slot] > 0)
            kv_cache_free_slot(w->kv, slot);
    }
    assert_int_equal(w->kv->n_reserved, 0);
    assert_int_equal(w->kv->n_kept + w->kv->n_spare, w->kv->n_blocks);
    kv_cache_close(w->kv);
    free(w);
}

static int n_allocations_left;

static float *alloc_some(struct device *d, size_t n, struct status *status)
{
    if (n_allocations_left-- > 0)
        return backend_cpu.alloc(d, n, status);
    status_set(status, STATUS_MEMORY, "cannot have %zu floats", n);
    return NULL;
}

static void memory_that_is_not_there_is_an_error_and_no_more(void **state)
{
    struct backend poor = backend_cpu;
    struct status status = {0};
    struct kv_cache *kv;
    int32_t tokens[256];

    (void)state;
    poor.alloc = alloc_some;
    n_allocations_left = 2;
    kv = open_cache(&poor, 2, 20);
    fill_tokens(tokens, 256, 1, 256, 0);
    assert_true(kv_cache_reserve_head(kv, 0, 256, tokens, 255, -1));
    assert_false(kv_cache_grow(kv, 0, 256, &status));
    assert_int_equal(status.code, STATUS_MEMORY);
    assert_non_null(strstr(status.message, "KV cache, block 3 of 20"));
    kv_cache_free_slot(kv, 0);
    assert_int_equal(kv->n_reserved, 0);
    assert_int_equal(kv->n_kept, 2); /* those that there was memory for */
    kv_cache_close(kv);
}

static int open_device(void **state)
{
    const struct device_options options = {1};
    struct status status = {0};

    (void)state;
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
        cmocka_unit_test(a_head_is_computed_once_and_counted_once),
        cmocka_unit_test(all_tokens_must_be_the_same),
        cmocka_unit_test(only_the_same_adapter_shares),
        cmocka_unit_test(what_is_before_a_block_counts),
        cmocka_unit_test(the_others_wait_for_the_one_who_computes),
        cmocka_unit_test(what_is_kept_makes_room_the_last_used_last),
        cmocka_unit_test(keeps_no_more_than_its_share_while_memory_could_grow),
        cmocka_unit_test(a_long_walk_finds_what_was_computed_and_never_runs_out),
        cmocka_unit_test(memory_that_is_not_there_is_an_error_and_no_more),
    };

    return cmocka_run_group_tests(tests, open_device, close_device);
}
