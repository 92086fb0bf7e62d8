/* The memory that training will need at most, part by part, told before weights are loaded: for
 * --mem, and for the choice between keeping activations and computing them again.
 */
#ifndef TRAIN_TRAIN_MEMORY_H
#define TRAIN_TRAIN_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "formats/model_config.h"
#include "run/memory_plan.h"
#include "train/lora.h"

struct train_memory_options {
    struct memory_plan_options model; /* legs 0 */
    const struct model_config *config;
    const struct lora_options *lora;
    int max_tokens; /* of a micro-batch */
    size_t rows;    /* bytes, in memory already */
    size_t limit;   /* --mem; 0: what the machine has free */
};

/* In bytes. */
struct train_memory {
    struct memory_plan model;
    size_t rows;
    size_t parameters;  /* of the adapter: values, gradients, both moments */
    size_t activations; /* of a micro-batch, and what is computed in on the way */
    size_t total;
    bool recompute; /* activations are those of the layers' inputs alone */
};

/* Takes the activations that fit: all of them, else with `recompute`. STATUS_MEMORY with the whole
 * plan if with that they still need more than --mem; without it such a run is tried. Else as
 * memory_plan_make. */
bool train_memory_make(struct train_memory *memory, const struct train_memory_options *options,
                       struct status *status) MUST_CHECK;

#endif
