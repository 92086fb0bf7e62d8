/* What the scheduler's tests share: a small model on a device, and what a sequence yielded as a
 * number. */
#ifndef UNIT_SCHEDULER_FIXTURE_H
#define UNIT_SCHEDULER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"
#include "run/scheduler.h"
#include "tests/golden/golden.h"

static struct buf folder; /* of the small models */

/* A model on a device of so many threads. */
struct fixture {
    struct golden_device device;
    struct model *model;
};

/* False where this CPU lacks the kernels. */
static inline bool open_fixture(struct fixture *f, const char *name, int kernels, int n_threads)
{
    struct status status = {0};
    struct buf path = {0};

    if (!golden_device_open(&f->device, golden_kernels[kernels], n_threads))
        return false;
    buf_printf(&path, "%s/%s", folder.data, name);
    f->model = model_open(path.data, f->device.backend, f->device.device, &status);
    golden_need(f->model != NULL, path.data, &status);
    buf_release(&path);
    return true;
}

static inline void close_fixture(struct fixture *f)
{
    model_close(f->model);
    golden_device_close(&f->device);
}

static inline struct scheduler *open_scheduler(const struct fixture *f,
                                               struct scheduler_options options)
{
    struct status status = {0};
    struct scheduler *s = scheduler_open(f->model, &options, &status);

    golden_need(s != NULL, "scheduler", &status);
    return s;
}

static inline uint64_t hash_sequence(const struct sequence *s)
{
    uint64_t h = HASH_START;

    h = hash_more(h, s->tokens, (size_t)s->n_tokens * sizeof(*s->tokens));
    h = hash_more(h, s->logprobs, (size_t)s->n_logprobs * sizeof(*s->logprobs));
    for (int i = 0; s->alternatives && i < s->n_logprobs * s->sampling.n_logprobs; i++) {
        h = hash_more(h, &s->alternatives[i].id, sizeof(s->alternatives[i].id));
        h = hash_more(h, &s->alternatives[i].logprob, sizeof(s->alternatives[i].logprob));
    }
    return hash_mix(h);
}

static inline void note_hash(void *context, struct sequence *sequence)
{
    (void)context;
    assert_int_equal(sequence->status.code, STATUS_OK);
    *(uint64_t *)sequence->owner = hash_sequence(sequence);
}

#endif
