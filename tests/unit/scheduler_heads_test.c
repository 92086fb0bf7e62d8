/* Prompts with a common head: computed once, and what they yield is the same bits as alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "tests/unit/scheduler_fixture.h"

enum { REQUESTS = 16, KINDS = 2, MAX_PROMPT = 270 };

/* On the fastest kernels there are: what these tests are about does not depend on them. */
static void open_fast(struct fixture *f, const char *name, int n_threads)
{
    int kernels = GOLDEN_N_KERNELS - 1;

    while (!open_fixture(f, name, kernels, n_threads))
        kernels--;
}

static int draw(uint64_t seed, int request, int number, int n)
{
    return (int)(rng_uniform(seed, (uint64_t)number, (uint32_t)request) * n);
}

/* Request i of a mix: the head of one of three kinds up to anywhere, then tokens of its own; a
 * third is to be scored, from anywhere on. */
static struct request make_request(const struct fixture *f, uint64_t seed, int i, int32_t *ids)
{
    const int kind = draw(seed, i, 0, KINDS), n = 1 + draw(seed, i, 1, MAX_PROMPT);
    const int same = draw(seed, i, 2, 4) ? draw(seed, i, 3, n + 1) : n / 64 * 64;
    const int vocab_size = f->model->config.vocab_size;
    struct request r = {.tokens = ids, .n_tokens = n};

    for (int t = 0; t < n; t++)
        ids[t] =
            (int32_t)(rng_uniform(t < same ? 1 : 2 + (uint64_t)i, (uint64_t)t, (uint32_t)kind) *
                      vocab_size);
    if (i % 3 == 2 && n > 1) {
        r.score = true;
        r.first_target = 1 + draw(seed, i, 4, n - 1);
        return r;
    }
    r.stop.max_tokens = 1 + draw(seed, i, 5, 20);
    r.sampling.greedy = i % 3 == 0;
    r.sampling.temperature = r.sampling.top_p = 1;
    r.sampling.top_k = 50;
    r.sampling.key = sampler_key(seed, (uint64_t)i);
    return r;
}

/* Runs the mix from request `first` on; returns how many tokens were shared. */
static uint64_t run(const struct fixture *f, struct scheduler_options options, uint64_t seed,
                    int first, uint64_t hashes[REQUESTS])
{
    struct scheduler *s = open_scheduler(f, options);
    int32_t ids[MAX_PROMPT];
    uint64_t n_shared;

    for (int i = 0; i < REQUESTS; i++) {
        const int number = (first + i * 5) % REQUESTS;
        struct request request = make_request(f, seed, number, ids);
        struct status status = {0};

        request.owner = &hashes[number];
        golden_need(scheduler_submit(s, &request, &status) != NULL, "submit", &status);
    }
    golden_run(s, note_hash, NULL);
    n_shared = scheduler_stats(s)->shared_tokens;
    scheduler_close(s);
    return n_shared;
}

static void a_shared_head_changes_no_bit(void **state)
{
    static const struct scheduler_options runs[] = {
        {.n_slots = 1, .threads = 1},
        {.n_slots = 7, .threads = 2, .max_step_rows = 40},
        {.n_slots = 3, .threads = 1, .max_step_rows = 100, .kv_tokens = 1},
        {.n_slots = REQUESTS, .threads = 2},
        {.n_slots = REQUESTS, .threads = 1, .max_step_rows = 65},
    };
    static const char *const models[] = {"mistral-bf16", "llama-q4_1.gguf"};

    (void)state;
    for (int m = 0; m < 2; m++) {
        for (int kernels = m; kernels < GOLDEN_N_KERNELS; kernels++) { /* scalar: one model */
            struct fixture f;

            if (!open_fixture(&f, models[m], kernels, 2))
                continue;
            for (uint64_t seed = 1; seed <= (m ? 2 : 1); seed++) {
                const struct scheduler_options alone = {.n_slots = 4, .threads = 1, .alone = true};
                uint64_t want[REQUESTS] = {0};

                assert_int_equal(run(&f, alone, seed, 0, want), 0);
                /* the scalar set is slow: two runs must do */
                for (size_t i = 0; i < (kernels ? sizeof(runs) / sizeof(runs[0]) : 2); i++) {
                    uint64_t hashes[REQUESTS] = {0};

                    assert_true(run(&f, runs[i], seed, (int)i, hashes) > 200);
                    assert_memory_equal(hashes, want, sizeof(want));
                }
            }
            close_fixture(&f);
        }
    }
}

static struct sequence *submit(struct scheduler *s, struct request r)
{
    struct status status = {0};
    struct sequence *sequence = scheduler_submit(s, &r, &status);

    golden_need(sequence != NULL, "submit", &status);
    return sequence;
}

static void step(struct scheduler *s)
{
    struct status status = {0};

    golden_need(scheduler_step(s, &status), "step", &status);
}

static void finish(struct scheduler *s)
{
    struct sequence *sequence;

    while (scheduler_busy(s))
        step(s);
    while ((sequence = scheduler_next_done(s)) != NULL)
        scheduler_free(s, sequence);
}

static void fill_ids(int32_t *ids, int n, int same, int own)
{
    for (int t = 0; t < n; t++)
        ids[t] = 3 + (t < same ? 7 * t : 11 * t + 13 * own) % 250;
}

static void one_prefill_serves_all_that_wait_for_it(void **state)
{
    struct fixture f;
    int32_t ids[220];

    (void)state;
    open_fast(&f, "llama-f32", 2);
    struct scheduler *s =
        open_scheduler(&f, (struct scheduler_options){.n_slots = 8, .threads = 1});
    const struct scheduler_stats *stats = scheduler_stats(s);
    struct request r = {.tokens = ids, .n_tokens = 220, .stop.max_tokens = 1};

    r.sampling.greedy = true;
    for (int i = 0; i < 8; i++) {
        fill_ids(ids, 220, 200, i);
        submit(s, r);
    }
    step(s); /* the head once and the rest of all eight fit one step of 512 rows */
    assert_int_equal(stats->rows, 192 + 8 * 28);
    assert_int_equal(stats->shared_tokens, 7 * 192);
    assert_int_equal(stats->completion_tokens, 8);
    assert_int_equal(stats->prompt_tokens, 8 * 220);
    assert_false(scheduler_busy(s));
    finish(s);
    fill_ids(ids, 220, 200, 9); /* later ones find it too */
    submit(s, r);
    finish(s);
    assert_int_equal(stats->shared_tokens, 8 * 192);
    r.n_tokens = 192; /* the last token of a prompt is always passed: it predicts */
    submit(s, r);
    finish(s);
    assert_int_equal(stats->shared_tokens, 8 * 192 + 128);
    scheduler_close(s);
    close_fixture(&f);
}

static void a_text_to_score_takes_over_what_is_before_its_targets(void **state)
{
    static const struct {
        int first_target, shared;
    } cases[] = {{1, 0}, {64, 0}, {65, 64}, {128, 64}, {129, 128}, {200, 192}, {219, 192}};
    struct fixture f;
    int32_t ids[220];

    (void)state;
    open_fast(&f, "llama-f32", 1);
    struct scheduler *s =
        open_scheduler(&f, (struct scheduler_options){.n_slots = 2, .threads = 1});
    struct request r = {.tokens = ids, .n_tokens = 220, .stop.max_tokens = 1};
    uint64_t before;

    r.sampling.greedy = true;
    fill_ids(ids, 220, 220, 0);
    submit(s, r);
    finish(s);
    r.score = true;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        before = scheduler_stats(s)->shared_tokens;
        r.first_target = cases[i].first_target;
        submit(s, r);
        finish(s);
        assert_int_equal(scheduler_stats(s)->shared_tokens - before, cases[i].shared);
    }
    scheduler_close(s);
    close_fixture(&f);
}

static void whoever_leaves_half_way_leaves_the_work_to_the_next(void **state)
{
    struct fixture f;
    int32_t ids[300];
    struct sequence *all[3];
    uint64_t alone = 0, hashes[3] = {0};

    (void)state;
    open_fast(&f, "llama-f32", 1);
    struct request r = {.tokens = ids, .n_tokens = 300, .stop.max_tokens = 5, .owner = &alone};
    struct scheduler *s =
        open_scheduler(&f, (struct scheduler_options){.n_slots = 1, .threads = 1, .alone = true});

    r.sampling.greedy = true;
    fill_ids(ids, 300, 300, 0);
    submit(s, r);
    golden_run(s, note_hash, NULL);
    scheduler_close(s);
    s = open_scheduler(&f,
                       (struct scheduler_options){.n_slots = 3, .threads = 1, .max_step_rows = 50});
    for (int i = 0; i < 3; i++) {
        r.owner = &hashes[i];
        all[i] = submit(s, r);
    }
    step(s);
    step(s);                   /* 100 tokens of the first are in */
    scheduler_free(s, all[0]); /* the second goes on, from 64 */
    step(s);
    assert_int_equal(all[1]->n_cached, 64 + 50);
    assert_int_equal(all[2]->n_cached, 0);
    golden_run(s, note_hash, NULL);
    assert_true(hashes[0] == 0 && hashes[1] == alone && hashes[2] == alone);
    scheduler_close(s);
    close_fixture(&f);
}

static void a_head_makes_room_for_more_sequences(void **state)
{
    struct fixture f;
    int32_t *ids = memory_zeroed(900, sizeof(*ids));

    (void)state;
    open_fast(&f, "llama-f32", 2); /* context 1024: 16 blocks, and one a slot */
    struct scheduler *s =
        open_scheduler(&f, (struct scheduler_options){.n_slots = 8, .kv_tokens = 1, .threads = 1});
    struct request r = {.tokens = ids, .n_tokens = 900, .stop.max_tokens = 20};

    r.sampling.greedy = true;
    for (int i = 0; i < 8; i++) {
        fill_ids(ids, 900, 896, i);
        submit(s, r);
    }
    finish(s);
    assert_int_equal(scheduler_stats(s)->max_running, 8); /* 14 blocks of all, one of each */
    for (int i = 0; i < 8; i++) { /* heads that differ: two at a time would not fit */
        fill_ids(ids, 900, 0, i);
        submit(s, r);
        fill_ids(ids, 400, 0, 100 + i);
        r.n_tokens = 400;
        submit(s, r);
        r.n_tokens = 900;
    }
    finish(s); /* what is kept never stands in the way */
    scheduler_close(s);
    close_fixture(&f);
    free(ids);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shared_head_changes_no_bit),
        cmocka_unit_test(one_prefill_serves_all_that_wait_for_it),
        cmocka_unit_test(a_text_to_score_takes_over_what_is_before_its_targets),
        cmocka_unit_test(whoever_leaves_half_way_leaves_the_work_to_the_next),
        cmocka_unit_test(a_head_makes_room_for_more_sequences),
    };
    int n_failed;

    golden_tiny_make(&folder);
    n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    golden_tiny_remove(&folder);
    return n_failed;
}
