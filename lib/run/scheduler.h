/* Ragged continuous batching: sequences enter and leave the batch at every step.
 *
 * A step holds one row for each sequence that decodes, and prompt rows of the oldest sequences that
 * are not yet in, at most max_step_rows in all. Nothing is padded. A sequence is admitted when a
 * slot is free and the KV cache can hold its worst case (prompt and max_tokens, or what a sliding
 * window and a step hold of them), so that none is ever thrown out half done. Scoring goes through
 * the same steps, without decoding.
 *
 * A head that several prompts share (the same first tokens, in whole blocks of 64) is computed by
 * the first of them and taken over by the others, also by later ones while the cache keeps it. Of a
 * text to score that is at most what comes before the row of its first target. Sequences share a
 * batch whatever their adapters, a head only with the same one.
 *
 * What a sequence yields does not depend on n_slots, threads, or on what shares the batch or the
 * head.
 */
#ifndef RUN_SCHEDULER_H
#define RUN_SCHEDULER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "model/adapter.h"
#include "model/model.h"
#include "run/sequence.h"

struct scheduler_options {
    int n_slots;       /* sequences at a time: --batch; >= 1 */
    int max_step_rows; /* 0: 512; raised to n_slots if less */
    size_t kv_tokens;  /* what the cache may hold at most; 0: see scheduler_open */
    int threads;       /* for sampling and log-probabilities; the model's own are its device's */
    struct adapter *const *adapters; /* [n_adapters] of the model, which requests name by index;
                                        not ours, outlive the scheduler */
    int n_adapters;
    bool alone; /* each sequence computes all of its tokens; for tests and bench */
};

struct scheduler_stats {
    uint64_t steps, rows, prompt_tokens, completion_tokens, scored_tokens;
    uint64_t shared_tokens; /* of prompt_tokens: taken over from other sequences */
    int max_running;        /* most sequences in one step */
};

struct scheduler;

/* `model` must outlive the scheduler. Memory is fixed here: scratch for max_step_rows rows, and a
 * KV cache of at most kv_tokens (default: 1024 a slot, one whole context at the least), whose
 * blocks are taken as sequences grow. */
struct scheduler *scheduler_open(const struct model *model, const struct scheduler_options *options,
                                 struct status *status) MUST_CHECK;
void scheduler_close(struct scheduler *scheduler); /* NULL allowed; frees its sequences */

/* Queues a request. NULL and STATUS_INPUT: kind "too_long" when prompt and max_tokens exceed the
 * model's context, "empty" when there is no token, "range" for an id outside the vocabulary. The
 * result is the scheduler's; scheduler_free gives it up. A sequence whose logits are not finite
 * ends with STATUS_INPUT, kind "not_finite", in its status. */
struct sequence *scheduler_submit(struct scheduler *scheduler, const struct request *request,
                                  struct status *status) MUST_CHECK;

/* Bytes that a scheduler takes at most, running n_slots sequences of at most `longest` tokens (0:
 * the model's context), its device's scratch included. */
void scheduler_memory(const struct model_config *config, const struct backend *backend,
                      const struct device *device, const struct scheduler_options *options,
                      size_t longest, size_t *kv_cache, size_t *scratch);

bool scheduler_busy(const struct scheduler *scheduler); /* something waits or runs */

/* One forward pass: admit, fill, forward, advance, retire. */
bool scheduler_step(struct scheduler *scheduler, struct status *status) MUST_CHECK;

/* A sequence that is done and was not handed out before, in the order they ended; NULL: none. */
struct sequence *scheduler_next_done(struct scheduler *scheduler);

/* Wherever it stands: waiting and running ones are taken out. NULL allowed. */
void scheduler_free(struct scheduler *scheduler, struct sequence *sequence);

const struct scheduler_stats *scheduler_stats(const struct scheduler *scheduler);

#endif
