/* What training goes on from after it was stopped: a safetensors file with
 *
 *   values, first_moment, second_moment   F32 [n]: the adapter's parameters and AdamW's state
 *   state                                 U8 [bytes]: a JSON object
 *
 *     {"format": "medrat-train 1", "step": N, "metrics": BYTES, "hash": "16 hex digits",
 *      "validated": N, "best": LOSS or null, "best_step": N, "misses": N, "stopped": BOOL,
 *      "settings": {"rank": "16", ...}}
 *
 * There is nothing else to keep: which rows a step takes, and all random numbers, are functions of
 * the settings and the step. `settings` has whatever would make another adapter; a run goes on only
 * from a checkpoint with its own. The file replaces the one before it as a whole
 * (formats/safetensors_write.h).
 */
#ifndef TRAIN_CHECKPOINT_H
#define TRAIN_CHECKPOINT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "formats/tensor_file.h"

struct checkpoint {
    uint64_t step;      /* steps done */
    uint64_t metrics;   /* bytes of metrics.jsonl by then */
    uint64_t validated; /* the step of the last validation; 0: none was */
    double best;        /* the lowest validation loss; infinite: none was */
    uint64_t best_step;
    uint64_t misses; /* validations since then */
    bool stopped;    /* early: there were too many */
    size_t n;
    float *values, *first_moment, *second_moment; /* [n] the caller's */
};

/* STATUS_IO; STATUS_DATA when a value is not finite. */
bool checkpoint_write(const struct checkpoint *checkpoint, const json_t *settings, const char *path,
                      struct status *status) MUST_CHECK;

/* Fills what `checkpoint` says and points to; n is set. STATUS_NO_INPUT: there is no such file;
 * STATUS_CONFIG: it is damaged, or of other settings, the first of which is named with both values.
 */
bool checkpoint_read(struct checkpoint *checkpoint, const json_t *settings, const char *path,
                     struct status *status) MUST_CHECK;

/* The same of an open file; messages begin with what is wrong. */
bool checkpoint_parse(struct checkpoint *checkpoint, const json_t *settings,
                      const struct tensor_file *file, struct status *status) MUST_CHECK;

#endif
