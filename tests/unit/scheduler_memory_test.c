/* Steps allocate nothing: what a sequence needs is there when it is admitted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "run/scheduler.h"
#include "tests/golden/golden.h"

#if defined(__has_feature)
#define HAS_FEATURE(feature) __has_feature(feature)
#else
#define HAS_FEATURE(feature) 0
#endif

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) &&       \
    !HAS_FEATURE(address_sanitizer) && !HAS_FEATURE(thread_sanitizer)

/* glibc's own allocator, under the counting one below that takes its place. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);

static atomic_int n_allocations;

void *malloc(size_t size)
{
    atomic_fetch_add(&n_allocations, 1);
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    atomic_fetch_add(&n_allocations, 1);
    return __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
    atomic_fetch_add(&n_allocations, 1);
    return __libc_realloc(old, size);
}

static struct buf folder; /* of the small models */

static void ten_steps_of_decoding_allocate_nothing(void **state)
{
    enum { SEQUENCES = 4, PROMPT = 20, NEW = 40 }; /* 20 + 40 tokens stay within one block */
    const struct text stop = {"never written", 13};
    struct golden_device d;
    struct status status = {0};
    struct buf path = {0};
    int32_t ids[PROMPT];

    (void)state;
    golden_device_open(&d, golden_kernels[0], 2);
    buf_printf(&path, "%s/llama-q4_1.gguf", folder.data);
    struct model *model = model_open(path.data, d.backend, d.device, &status);
    golden_need(model != NULL, path.data, &status);
    const struct scheduler_options options = {.n_slots = SEQUENCES, .threads = 2};
    struct scheduler *s = scheduler_open(model, &options, &status);
    golden_need(s != NULL, "scheduler", &status);
    for (int i = 0; i < SEQUENCES; i++) {
        struct request r = {.tokens = ids, .n_tokens = PROMPT};

        for (int t = 0; t < PROMPT; t++)
            ids[t] = 3 + (7 * i + t) % 250;
        r.stop.strings = &stop;
        r.stop.n_strings = 1;
        r.stop.max_tokens = NEW;
        r.sampling.greedy = i == 0;
        r.sampling.temperature = r.sampling.top_p = 1;
        r.sampling.top_k = 20 * i;
        r.sampling.n_logprobs = 2 * i;
        golden_need(scheduler_submit(s, &r, &status) != NULL, "submit", &status);
    }
    golden_need(scheduler_step(s, &status), "prefill", &status);
    golden_need(scheduler_step(s, &status), "first decode", &status);
    assert_true(atomic_load(&n_allocations) > 0);
    atomic_store(&n_allocations, 0);
    for (int i = 0; i < 10; i++)
        golden_need(scheduler_step(s, &status), "decode", &status);
    assert_int_equal(atomic_load(&n_allocations), 0);
    assert_int_equal(scheduler_stats(s)->completion_tokens, 12 * SEQUENCES);
    scheduler_close(s);
    model_close(model);
    golden_device_close(&d);
    buf_release(&path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_steps_of_decoding_allocate_nothing),
    };
    int n_failed;

    golden_tiny_make(&folder);
    n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    golden_tiny_remove(&folder);
    return n_failed;
}

#else

int main(void)
{
    puts("1..0 # SKIP the sanitizer has the allocator");
    return 0;
}

#endif
