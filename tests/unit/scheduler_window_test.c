/* Sequences much longer than the window: the cache holds a window and a step of each, and what they
 * yield is the same bits as where nothing is left behind. */
#include <stdlib.h>

#include "base/memory.h"
#include "tests/unit/scheduler_fixture.h"

enum { SEQUENCES = 6, PROMPT = 130, NEW = 600, TOKENS = PROMPT + NEW };

static struct sequence *submit(struct scheduler *s, const struct request *r)
{
    struct status status = {0};
    struct sequence *sequence = scheduler_submit(s, r, &status);

    golden_need(sequence != NULL, "submit", &status);
    return sequence;
}

static void finish(struct scheduler *s)
{
    struct status status = {0};

    while (scheduler_busy(s))
        golden_need(scheduler_step(s, &status), "step", &status);
    while (scheduler_next_done(s))
        ;
}

/* Texts that go on behind prompts, half of them with a common head. */
static void generate(const struct fixture *f, struct scheduler *s, struct sequence **all)
{
    int32_t ids[PROMPT];

    for (int i = 0; i < SEQUENCES; i++) {
        struct request r = {.tokens = ids, .n_tokens = PROMPT - i, .stop.max_tokens = NEW};

        r.sampling.temperature = r.sampling.top_p = 1;
        r.sampling.key = sampler_key(7, (uint64_t)i);
        for (int t = 0; t < PROMPT; t++)
            ids[t] = 3 + (t * 7 + (t < 70 ? i / 3 : i) * 11) % (f->model->config.vocab_size - 3);
        all[i] = submit(s, &r);
    }
    finish(s);
}

/* A text whole, in one step: no window has left anything behind before it ends. */
static void compare_with_one_step(const struct fixture *f, const struct sequence *generated)
{
    struct scheduler *s = open_scheduler(
        f, (struct scheduler_options){.n_slots = 1, .threads = 1, .max_step_rows = TOKENS});
    const struct request r = {.tokens = generated->tokens,
                              .n_tokens = generated->n_tokens,
                              .score = true,
                              .first_target = generated->n_prompt};
    struct sequence *scored = submit(s, &r);

    finish(s);
    assert_int_equal(scheduler_stats(s)->steps, 1);
    assert_int_equal(scored->n_logprobs, generated->n_logprobs);
    assert_memory_equal(scored->logprobs, generated->logprobs,
                        (size_t)scored->n_logprobs * sizeof(*scored->logprobs));
    scheduler_free(s, scored);
    scheduler_close(s);
}

static void long_generations_stay_within_the_bound(void **state)
{
    /* windows of 40 and 100 tokens; 16 blocks of context and one a slot */
    static const char *const models[] = {"mistral-window", "mistral-shards"};
    const struct scheduler_options options = {
        .n_slots = SEQUENCES, .threads = 2, .kv_tokens = 1, .max_step_rows = 60};

    (void)state;
    for (int m = 0; m < 2; m++) {
        for (int kernels = 1; kernels < GOLDEN_N_KERNELS; kernels++) { /* scalar is slow */
            struct sequence *all[SEQUENCES];
            struct scheduler *s;
            struct fixture f;

            if (!open_fixture(&f, models[m], kernels, 2))
                continue;
            s = open_scheduler(&f, options);
            generate(&f, s, all);
            /* of whole lengths, 12 blocks each, one would fit */
            assert_true(scheduler_stats(s)->max_running >= 4);
            for (int i = 0; i < SEQUENCES; i++) {
                compare_with_one_step(&f, all[i]);
                scheduler_free(s, all[i]);
            }
            scheduler_close(s);
            close_fixture(&f);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_generations_stay_within_the_bound),
    };
    int n_failed;

    golden_tiny_make(&folder);
    n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    golden_tiny_remove(&folder);
    return n_failed;
}
