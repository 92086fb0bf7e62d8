/* Sequences of several adapters and of none in one batch: each yields the bits that it yields
 * alone, and heads are shared within an adapter only. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "tests/golden/tiny.h"
#include "tests/unit/scheduler_fixture.h"

enum { REQUESTS = 15, HEAD = 128, OWN = 40, MAX_PROMPT = HEAD + OWN, ADAPTERS = 3 };

/* Of ranks 16, 33 and 1; among them is every linear layer, and `head` has the output. */
static const char *const names[ADAPTERS] = {"attention", "head", "all-linear"};

struct adapted {
    struct fixture f;
    struct adapter *adapters[ADAPTERS];
};

static bool open_adapted(struct adapted *a, int kernels, int n_threads)
{
    if (!open_fixture(&a->f, "mistral-f32", kernels, n_threads))
        return false;
    for (int i = 0; i < ADAPTERS; i++) {
        struct status status = {0};
        struct buf path = {0};

        buf_printf(&path, "%s/%s", folder.data, names[i]);
        a->adapters[i] = adapter_open(path.data, a->f.model, &status);
        golden_need(a->adapters[i] != NULL, path.data, &status);
        buf_release(&path);
    }
    return true;
}

static void close_adapted(struct adapted *a)
{
    for (int i = 0; i < ADAPTERS; i++)
        adapter_close(a->adapters[i]);
    close_fixture(&a->f);
}

static int adapter_of(int number)
{
    return number / 2 % (ADAPTERS + 1) - 1;
}

/* Request i of a mix: half of them begin with the same tokens, a third is to be scored. */
static struct request make_request(const struct fixture *f, int i, int32_t *ids)
{
    const int own = 1 + (int)(rng_uniform(7, (uint64_t)i, 0) * OWN);
    const int n = i % 2 ? HEAD + own : own;
    struct request r = {.tokens = ids, .n_tokens = n, .adapter = adapter_of(i)};

    for (int t = 0; t < n; t++)
        ids[t] = (int32_t)(rng_uniform(i % 2 && t < HEAD ? 1 : 2 + (uint64_t)i, (uint64_t)t, 0) *
                           f->model->config.vocab_size);
    if (i % 3 == 2 && n > 1) {
        r.score = true;
        r.first_target = n - (own > 1 ? own / 2 : 1);
        return r;
    }
    r.stop.max_tokens = 1 + i;
    r.sampling.greedy = i % 3 == 0;
    r.sampling.temperature = r.sampling.top_p = 1;
    r.sampling.key = sampler_key(1, (uint64_t)i);
    return r;
}

static void submit_number(struct scheduler *s, const struct fixture *f, int number, uint64_t *hash)
{
    int32_t ids[MAX_PROMPT];
    struct request request = make_request(f, number, ids);
    struct status status = {0};

    request.owner = hash;
    golden_need(scheduler_submit(s, &request, &status) != NULL, "submit", &status);
}

/* Each request by a scheduler of its own, which has no adapters where it asks for none. */
static void run_alone(struct adapted *a, uint64_t hashes[REQUESTS])
{
    for (int i = 0; i < REQUESTS; i++) {
        struct scheduler_options options = {.n_slots = 1, .threads = 1, .alone = true};
        struct scheduler *s;

        options.adapters = a->adapters;
        options.n_adapters = adapter_of(i) < 0 ? 0 : ADAPTERS;
        s = open_scheduler(&a->f, options);
        submit_number(s, &a->f, i, &hashes[i]);
        golden_run(s, note_hash, NULL);
        scheduler_close(s);
    }
}

static void a_mixed_batch_changes_no_bit(void **state)
{
    static const struct scheduler_options runs[] = {
        {.n_slots = REQUESTS, .threads = 2},
        {.n_slots = 7, .threads = 2, .max_step_rows = 40},
        {.n_slots = 3, .threads = 1, .max_step_rows = 100},
        {.n_slots = REQUESTS, .threads = 1, .max_step_rows = 65},
    };

    (void)state;
    for (int kernels = 0; kernels < GOLDEN_N_KERNELS; kernels++) {
        struct adapted a;
        uint64_t want[REQUESTS] = {0};

        if (!open_adapted(&a, kernels, 2))
            continue;
        run_alone(&a, want);
        for (size_t i = 0; i < (kernels ? sizeof(runs) / sizeof(runs[0]) : 1); i++) {
            struct scheduler_options options = runs[i];
            uint64_t hashes[REQUESTS] = {0};
            struct scheduler *s;

            options.adapters = a.adapters;
            options.n_adapters = ADAPTERS;
            s = open_scheduler(&a.f, options);
            for (int k = 0; k < REQUESTS; k++)
                submit_number(s, &a.f, (k * 7 + (int)i) % REQUESTS,
                              &hashes[(k * 7 + (int)i) % REQUESTS]);
            golden_run(s, note_hash, NULL);
            assert_true(scheduler_stats(s)->shared_tokens > 0);
            scheduler_close(s);
            assert_memory_equal(hashes, want, sizeof(want));
        }
        close_adapted(&a);
    }
}

/* The same prompt under each adapter and without, twice: the second time its head is there. */
static void a_head_is_shared_within_an_adapter(void **state)
{
    enum { N = 140 };
    struct adapted a;
    int kernels = GOLDEN_N_KERNELS - 1;
    int32_t ids[N];
    uint64_t hashes[2 * (ADAPTERS + 1)] = {0};
    struct request r = {.tokens = ids, .n_tokens = N, .stop.max_tokens = 3};
    struct scheduler *s;

    (void)state;
    while (!open_adapted(&a, kernels, 1))
        kernels--;
    for (int t = 0; t < N; t++)
        ids[t] = t * 7 % a.f.model->config.vocab_size;
    r.sampling.greedy = true;
    s = open_scheduler(
        &a.f, (struct scheduler_options){
                  .n_slots = 2, .threads = 1, .adapters = a.adapters, .n_adapters = ADAPTERS});
    for (int i = 0; i < 2 * (ADAPTERS + 1); i++) {
        struct status status = {0};

        r.adapter = i % (ADAPTERS + 1) - 1;
        r.owner = &hashes[i];
        golden_need(scheduler_submit(s, &r, &status) != NULL, "submit", &status);
        golden_run(s, note_hash, NULL);
        assert_int_equal(scheduler_stats(s)->shared_tokens,
                         i <= ADAPTERS ? 0 : 128 * (i - ADAPTERS));
    }
    for (int i = 0; i <= ADAPTERS; i++) {
        assert_true(hashes[i] == hashes[i + ADAPTERS + 1]);
        for (int k = 0; k < i; k++)
            assert_true(hashes[i] != hashes[k]);
    }
    scheduler_close(s);
    close_adapted(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mixed_batch_changes_no_bit),
        cmocka_unit_test(a_head_is_shared_within_an_adapter),
    };
    int n_failed;

    golden_tiny_make(&folder);
    tiny_write_adapters(folder.data);
    n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    golden_tiny_remove(&folder);
    return n_failed;
}
