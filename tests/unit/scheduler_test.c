/* A sequence yields the same bits whatever shares its batch. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/rng.h"
#include "run/scheduler.h"
#include "tests/unit/scheduler_fixture.h"

enum { REQUESTS = 12, MAX_PROMPT = 150, TOP = 3 };

/* Request i of the mix: prompts of 1 to 150 tokens, every third to be scored, others greedy or
 * sampled, of 1 to 40 new tokens. `ids` has room for MAX_PROMPT. */
static struct request make_request(const struct fixture *f, int i, int32_t *ids)
{
    static const int lengths[REQUESTS] = {1, 150, 2, 64, 65, 130, 7, 63, 100, 31, 128, 5};
    struct request r = {.tokens = ids, .n_tokens = lengths[i]};

    for (int t = 0; t < r.n_tokens; t++)
        ids[t] = (int32_t)(rng_uniform(11, (uint64_t)t, (uint32_t)i) * f->model->config.vocab_size);
    r.sampling.n_logprobs = i % 2 ? TOP : 0;
    if (i % 3 == 2) {
        r.score = true;
        r.first_target = 1 + i % 2;
        if (r.first_target >= r.n_tokens)
            r.first_target = 1;
        return r;
    }
    r.stop.max_tokens = 1 + 37 * i % 40;
    r.sampling.greedy = i % 3 == 0;
    r.sampling.temperature = 0.9;
    r.sampling.top_p = i % 2 ? 0.95 : 1;
    r.sampling.top_k = i % 4 ? 0 : 20;
    r.sampling.key = sampler_key(5, (uint64_t)i);
    return r;
}

/* Runs requests first, first + stride, ... (modulo REQUESTS), each once. */
static void run(const struct fixture *f, struct scheduler_options options, int first, int stride,
                uint64_t hashes[REQUESTS])
{
    struct scheduler *s = open_scheduler(f, options);
    int32_t ids[MAX_PROMPT];

    for (int i = 0; i < REQUESTS; i++) {
        const int number = (first + i * stride) % REQUESTS;
        struct request request = make_request(f, number, ids);
        struct status status = {0};

        request.owner = &hashes[number];
        golden_need(scheduler_submit(s, &request, &status) != NULL, "submit", &status);
    }
    golden_run(s, note_hash, NULL);
    scheduler_close(s);
}

static void gives_the_same_bits_at_every_batch_size_order_and_thread_count(void **state)
{
    static const struct {
        int device_threads;
        struct scheduler_options options;
    } runs[] = {
        {2, {.n_slots = 2, .threads = 1}},
        {1, {.n_slots = 3, .threads = 2, .max_step_rows = 3}},
        {3, {.n_slots = 5, .threads = 3, .max_step_rows = 50}},
        {2, {.n_slots = REQUESTS, .threads = 2, .max_step_rows = 129}},
        {1, {.n_slots = REQUESTS, .threads = 1}},
    };
    static const char *const models[] = {"mistral-bf16", "llama-q4_1.gguf"};

    (void)state;
    for (int m = 0; m < 2; m++) {
        for (int kernels = 0; kernels < GOLDEN_N_KERNELS; kernels++) {
            uint64_t alone[REQUESTS] = {0};
            struct fixture f;

            if (!open_fixture(&f, models[m], kernels, 1))
                continue;
            run(&f, (struct scheduler_options){.n_slots = 1, .threads = 1}, 0, 1, alone);
            close_fixture(&f);
            for (int i = 0; i < REQUESTS; i++)
                assert_true(alone[i] != 0 && alone[i] != alone[(i + 1) % REQUESTS]);
            /* the scalar set is slow: three runs must do */
            for (size_t r = 0; r < (kernels == 0 ? 3 : sizeof(runs) / sizeof(runs[0])); r++) {
                uint64_t hashes[REQUESTS] = {0};

                open_fixture(&f, models[m], kernels, runs[r].device_threads);
                run(&f, runs[r].options, (int)r, r % 2 ? 5 : REQUESTS - 1, hashes);
                assert_memory_equal(hashes, alone, sizeof(alone));
                close_fixture(&f);
            }
        }
    }
}

/* What a request gives, alone. */
static struct sequence *generate(struct scheduler *s, struct request request)
{
    struct status status = {0};
    struct sequence *sequence = scheduler_submit(s, &request, &status);

    golden_need(sequence != NULL, "submit", &status);
    while (scheduler_busy(s))
        golden_need(scheduler_step(s, &status), "step", &status);
    assert_ptr_equal(scheduler_next_done(s), sequence);
    assert_null(scheduler_next_done(s));
    return sequence;
}

static void an_end_token_ends_and_counts(void **state)
{
    struct fixture f;
    int32_t ids[MAX_PROMPT], end;

    (void)state;
    open_fixture(&f, "mistral-f32", 0, 1);
    struct scheduler *s =
        open_scheduler(&f, (struct scheduler_options){.n_slots = 2, .threads = 1});
    struct request request = make_request(&f, 4, ids);
    struct sequence *whole, *stopped;

    request.stop.max_tokens = 12;
    whole = generate(s, request);
    assert_int_equal(whole->finish, FINISH_LENGTH);
    assert_int_equal(whole->n_tokens, request.n_tokens + 12);
    assert_int_equal(whole->n_logprobs, 12);
    end = whole->tokens[request.n_tokens + 6];
    request.stop.end_ids = &end;
    request.stop.n_end_ids = 1;
    stopped = generate(s, request);
    assert_int_equal(stopped->finish, FINISH_STOP);
    assert_in_range(stopped->n_logprobs, 1, 7);
    assert_int_equal(stopped->tokens[stopped->n_tokens - 1], end);
    assert_memory_equal(stopped->logprobs, whole->logprobs,
                        (size_t)stopped->n_logprobs * sizeof(double));
    assert_true(sequence_logprob(stopped) < 0);
    scheduler_free(s, whole);
    scheduler_free(s, stopped);
    scheduler_close(s);
    close_fixture(&f);
}

static void alternatives_are_the_best_and_hold_the_greedy_token(void **state)
{
    struct fixture f;
    int32_t ids[MAX_PROMPT];

    (void)state;
    open_fixture(&f, "mistral-f32", 0, 1);
    struct scheduler *s =
        open_scheduler(&f, (struct scheduler_options){.n_slots = 2, .threads = 1});
    struct request request = make_request(&f, 0, ids);

    request.stop.max_tokens = 10;
    request.sampling.n_logprobs = TOP;
    struct sequence *sequence = generate(s, request);

    for (int i = 0; i < 10; i++) {
        const struct alternative *a = &sequence->alternatives[i * TOP];

        assert_int_equal(a[0].id, sequence->tokens[request.n_tokens + i]);
        assert_true(a[0].logprob == sequence->logprobs[i]);
        assert_true(a[0].logprob >= a[1].logprob && a[1].logprob >= a[2].logprob);
        assert_true(exp(a[0].logprob) + exp(a[1].logprob) + exp(a[2].logprob) <= 1 + 1e-9);
    }
    scheduler_free(s, sequence);
    scheduler_close(s);
    close_fixture(&f);
}

static void scores_what_it_generated_with_the_same_log_probabilities(void **state)
{
    struct fixture f;
    int32_t ids[MAX_PROMPT];

    (void)state;
    open_fixture(&f, "llama-f32", 0, 2);
    struct scheduler *s =
        open_scheduler(&f, (struct scheduler_options){.n_slots = 2, .threads = 1});
    struct request request = make_request(&f, 1, ids);

    request.stop.max_tokens = 20;
    struct sequence *generated = generate(s, request);
    struct request again = {.tokens = generated->tokens,
                            .n_tokens = generated->n_tokens,
                            .score = true,
                            .first_target = generated->n_prompt};
    struct sequence *scored = generate(s, again);

    assert_int_equal(scored->n_logprobs, generated->n_logprobs);
    assert_memory_equal(scored->logprobs, generated->logprobs, 20 * sizeof(double));
    scheduler_free(s, generated);
    scheduler_free(s, scored);
    scheduler_close(s);
    close_fixture(&f);
}

static void refuses_what_the_model_cannot_hold(void **state)
{
    struct fixture f;
    int32_t *ids = memory_zeroed(5000, sizeof(*ids));

    (void)state;
    open_fixture(&f, "mistral-f32", 0, 1);
    struct scheduler *s =
        open_scheduler(&f, (struct scheduler_options){.n_slots = 2, .threads = 1});
    const int context = f.model->config.max_seq_len;
    struct request r = {.tokens = ids, .n_tokens = context - 9, .stop.max_tokens = 10};
    struct status status = {0};

    assert_null(scheduler_submit(s, &r, &status));
    assert_int_equal(status.code, STATUS_INPUT);
    assert_string_equal(status.kind, "too_long");
    r = (struct request){.tokens = ids, .n_tokens = context + 1, .score = true, .first_target = 1};
    assert_null(scheduler_submit(s, &r, &status));
    assert_string_equal(status.kind, "too_long");
    r.n_tokens = 0;
    assert_null(scheduler_submit(s, &r, &status));
    assert_string_equal(status.kind, "empty");
    r.n_tokens = 4;
    ids[3] = f.model->config.vocab_size;
    assert_null(scheduler_submit(s, &r, &status));
    assert_string_equal(status.kind, "range");
    ids[3] = -1;
    assert_null(scheduler_submit(s, &r, &status));
    assert_string_equal(status.kind, "range");
    assert_false(scheduler_busy(s));
    scheduler_close(s);
    close_fixture(&f);
    free(ids);
}

static void a_whole_context_fits_the_smallest_cache(void **state)
{
    struct fixture f;
    int32_t *ids = memory_zeroed(5000, sizeof(*ids));

    (void)state;
    open_fixture(&f, "llama-f32", 0, 2);
    struct scheduler *s =
        open_scheduler(&f, (struct scheduler_options){.n_slots = 1, .kv_tokens = 1, .threads = 1});
    const struct request r = {.tokens = ids,
                              .n_tokens = f.model->config.max_seq_len - 2,
                              .stop.max_tokens = 2,
                              .sampling.greedy = true};
    struct sequence *sequence = generate(s, r);

    assert_int_equal(sequence->n_tokens, f.model->config.max_seq_len);
    assert_int_equal(sequence->finish, FINISH_LENGTH);
    scheduler_free(s, sequence);
    scheduler_close(s);
    close_fixture(&f);
    free(ids);
}

static void admits_only_what_the_cache_can_hold_to_the_end(void **state)
{
    struct fixture f;
    uint64_t alone[REQUESTS], hashes[REQUESTS];
    int32_t ids[MAX_PROMPT];

    (void)state;
    open_fixture(&f, "llama-f32", 0, 1); /* context 1024 */
    run(&f, (struct scheduler_options){.n_slots = 1, .threads = 1}, 0, 1, alone);
    run(&f, (struct scheduler_options){.n_slots = REQUESTS, .kv_tokens = 1, .threads = 1}, 0, 1,
        hashes);
    assert_memory_equal(hashes, alone, sizeof(alone));

    struct scheduler *s =
        open_scheduler(&f, (struct scheduler_options){.n_slots = 8, .kv_tokens = 1, .threads = 1});
    struct request r = make_request(&f, 0, ids);
    struct status status = {0};

    r.stop.max_tokens = 500; /* 8 blocks of 64; the cache has 16, and one a slot */
    for (int i = 0; i < 8; i++)
        golden_need(scheduler_submit(s, &r, &status) != NULL, "submit", &status);
    golden_need(scheduler_step(s, &status), "step", &status);
    assert_int_equal(scheduler_stats(s)->max_running, 3);
    scheduler_close(s); /* with sequences waiting and running: nothing leaks */
    close_fixture(&f);
}

static void a_sequence_that_is_taken_out_leaves_the_others_alone(void **state)
{
    struct fixture f;
    uint64_t alone[REQUESTS] = {0}, hashes[REQUESTS] = {0};
    struct sequence *sequences[REQUESTS];
    struct status status = {0};
    int32_t ids[MAX_PROMPT];

    (void)state;
    open_fixture(&f, "mistral-f32", 0, 1);
    run(&f, (struct scheduler_options){.n_slots = 1, .threads = 1}, 0, 1, alone);
    struct scheduler *s =
        open_scheduler(&f, (struct scheduler_options){.n_slots = 4, .threads = 1});

    for (int i = 0; i < REQUESTS; i++) {
        struct request request = make_request(&f, i, ids);

        request.owner = &hashes[i];
        sequences[i] = scheduler_submit(s, &request, &status);
        golden_need(sequences[i] != NULL, "submit", &status);
    }
    golden_need(scheduler_step(s, &status), "step", &status);
    scheduler_free(s, sequences[1]);  /* running */
    scheduler_free(s, sequences[10]); /* waiting */
    golden_run(s, note_hash, NULL);
    for (int i = 0; i < REQUESTS; i++)
        assert_true(hashes[i] == (i == 1 || i == 10 ? 0 : alone[i]));
    scheduler_close(s);
    close_fixture(&f);
}

/* Writes large numbers over all weights of a model in F32: no NaN, which would be refused when it
 * is opened, but products of their products are beyond a float. */
static void spoil(const char *path)
{
    const float large = 1e15f;
    FILE *file = fopen(path, "r+");
    unsigned char head[8];
    uint64_t header = 0;
    long size;

    assert_non_null(file);
    assert_int_equal(fread(head, 1, 8, file), 8);
    for (int i = 7; i >= 0; i--)
        header = header << 8 | head[i];
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    size = ftell(file);
    assert_int_equal(fseek(file, 8 + (long)header, SEEK_SET), 0);
    for (long i = 8 + (long)header; i < size; i += (long)sizeof(large))
        assert_int_equal(fwrite(&large, sizeof(large), 1, file), 1);
    assert_int_equal(fclose(file), 0);
}

static void logits_that_are_not_numbers_fail_the_record(void **state)
{
    struct fixture f;
    struct buf path = {0};
    int32_t ids[MAX_PROMPT];

    (void)state;
    buf_printf(&path, "%s/mistral-f32/model.safetensors", folder.data);
    spoil(path.data); /* the last test to read it */
    open_fixture(&f, "mistral-f32", 0, 1);
    struct scheduler *s =
        open_scheduler(&f, (struct scheduler_options){.n_slots = 2, .threads = 1});

    for (int i = 0; i < 3; i++) { /* greedy, sampled, scored */
        struct sequence *sequence = generate(s, make_request(&f, i, ids));

        assert_int_equal(sequence->status.code, STATUS_INPUT);
        assert_string_equal(sequence->status.kind, "not_finite");
        scheduler_free(s, sequence);
    }
    scheduler_close(s);
    close_fixture(&f);
    buf_release(&path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_same_bits_at_every_batch_size_order_and_thread_count),
        cmocka_unit_test(an_end_token_ends_and_counts),
        cmocka_unit_test(alternatives_are_the_best_and_hold_the_greedy_token),
        cmocka_unit_test(scores_what_it_generated_with_the_same_log_probabilities),
        cmocka_unit_test(refuses_what_the_model_cannot_hold),
        cmocka_unit_test(a_whole_context_fits_the_smallest_cache),
        cmocka_unit_test(admits_only_what_the_cache_can_hold_to_the_end),
        cmocka_unit_test(a_sequence_that_is_taken_out_leaves_the_others_alone),
        cmocka_unit_test(logits_that_are_not_numbers_fail_the_record),
    };
    int n_failed;

    golden_tiny_make(&folder);
    n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    golden_tiny_remove(&folder);
    return n_failed;
}
