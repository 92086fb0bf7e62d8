/* The memory that a run will need at most, part by part, told from headers before weights are
 * loaded: for --mem. */
#ifndef RUN_MEMORY_PLAN_H
#define RUN_MEMORY_PLAN_H

#include <stddef.h>

#include "base/status.h"
#include "model/model_files.h"

struct memory_plan_options {
    const char *model_path, *device_name;
    enum quantize quantize;
    int threads, batch;    /* threads 0: as engine_open */
    size_t longest;        /* tokens of a sequence at most; 0: the model's context */
    int legs;              /* schedulers side by side; 0: none, no KV cache and no scratch */
    char *const *adapters; /* [n_adapters] folders */
    size_t n_adapters;
};

/* In bytes. */
struct memory_plan {
    size_t weights;   /* packed */
    size_t loading;   /* and while they are: the largest tensor as its file has it */
    size_t kv_cache;  /* of `batch` sequences of the longest, and heads kept for later ones */
    size_t scratch;   /* activations, logits, what the threads work in */
    size_t adapters;  /* packed */
    size_t tokenizer; /* measured, not estimated */
    size_t program;   /* what the process has before all this */
    size_t total;     /* loading counts where it is more than what comes after it */
};

/* STATUS_NO_INPUT, STATUS_CONFIG, STATUS_DEVICE as engine_open, of which it opens the device and
 * the tokenizer, and closes them again. */
bool memory_plan_make(struct memory_plan *plan, const struct memory_plan_options *options,
                      struct status *status) MUST_CHECK;

/* STATUS_MEMORY with the whole plan if it needs more than `limit` bytes; 0: no limit. */
bool memory_plan_check(const struct memory_plan_options *options, size_t limit,
                       struct status *status) MUST_CHECK;

#endif
