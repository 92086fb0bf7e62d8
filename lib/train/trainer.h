/* Supervised fine-tuning of a LoRA adapter: steps of AdamW over rows in a seeded order, validation,
 * checkpoints.
 *
 * A step takes the rows that train/train_plan.h says and minimises
 *
 *   sum of nll over the targets of all its rows / their number
 *
 * (not a mean of the micro-batches' means, by which short rows would count for more); with `card`,
 * as transformers before 4.46 did, the mean over micro-batches of each one's mean. Then gradients
 * are clipped by their norm, and the rate follows train/lr_schedule.h.
 *
 * The same options, rows, model and kernel set give the same bits, however often the run is stopped
 * and gone on with, for any number of threads and any use of memory.
 */
#ifndef TRAIN_TRAINER_H
#define TRAIN_TRAINER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "train/adamw.h"
#include "train/adapter_place.h"
#include "train/checkpoint.h"
#include "train/lora.h"
#include "train/lr_schedule.h"
#include "train/train_log.h"
#include "train/train_plan.h"
#include "train/train_rows.h"

struct trainer_options {
    int batch;              /* rows of a micro-batch */
    int accumulation;       /* micro-batches of a step */
    uint64_t epochs, steps; /* steps 0: those of so many epochs */
    enum lr_schedule_kind schedule;
    double lr;
    double warmup;       /* steps, or */
    bool warmup_percent; /* ... percent of all */
    double weight_decay, clip;
    uint64_t seed;
    bool card; /* the original's arithmetic: steps carry over epochs, means of means */
    uint64_t validate_every;   /* steps; 0: an epoch's */
    uint64_t patience;         /* validations without a better one that end the run; 0: never */
    uint64_t checkpoint_every; /* steps; 0: by time alone */
    enum dtype dtype;          /* of the adapter's file */
    const char *base_model;    /* what its config calls the base */
};

/* What a run says while it goes on; each may be NULL. */
struct trainer_hooks {
    void *self;
    bool (*stop)(void *self); /* asked between micro-batches: shall it end early? */
    void (*stepped)(void *self, const struct train_log_step *step, uint64_t rows);
    void (*validated)(void *self, const struct train_log_validation *validation);
};

struct trainer {
    const struct trainer_options *options;      /* not ours, nor the next six */
    const struct train_rows *rows, *validation; /* validation->n 0: none */
    struct lora *lora;
    struct train_pass *pass;
    const struct adapter_place *place;
    const struct trainer_hooks *hooks;

    const json_t *settings; /* not ours: of the checkpoint */
    struct train_plan plan;
    struct lr_schedule schedule;
    uint64_t validate_every;
    struct adamw adamw;        /* ours */
    struct train_log log;      /* ours */
    struct buf log_path, path; /* ours */
    uint32_t *order;           /* [rows->n] ours: of the epoch ordered_epoch - 1 */
    uint64_t ordered_epoch;    /* 0: none yet */
    struct train_row *batch;   /* [batch_cap] ours */
    double *nll;               /* [batch_cap] ours */
    int batch_cap, max_tokens; /* what a call of the pass takes */
    struct checkpoint state;   /* step, best, ...; its arrays are lora's and adamw's */
    double last_saved;         /* seconds of a clock that only goes forward */
};

enum trainer_result {
    TRAINER_FAILED,
    TRAINER_STOPPED, /* hooks->stop said so; the checkpoint is written */
    TRAINER_DONE,    /* the adapter's files are in the folder */
};

/* What the options come to for so many rows: steps of the run, of an epoch, of its
 * warm-up, from a validation to the next. */
uint64_t trainer_steps(const struct trainer_options *options, size_t n_rows);
uint64_t trainer_epoch_steps(const struct trainer_options *options, size_t n_rows);
uint64_t trainer_warmup(const struct trainer_options *options, size_t n_rows);
uint64_t trainer_validate_every(const struct trainer_options *options, size_t n_rows);

/* Tokens that a call of the pass must take for these rows; clear of overflow by the bounds of its
 * options. */
size_t trainer_max_tokens(const struct trainer_options *options, const struct train_rows *rows,
                          const struct train_rows *validation);

/* Goes on from the checkpoint in the place, if there is one; checkpoint_read says what that must
 * be. The fields above "settings" are set by the caller; the pass was opened with
 * trainer_max_tokens. */
bool trainer_open(struct trainer *trainer, const json_t *settings,
                  struct status *status) MUST_CHECK;
void trainer_close(struct trainer *trainer);

/* STATUS_DATA: a loss, a gradient or a parameter is no number; the message names the step and rows,
 * and the last checkpoint stays. STATUS_IO. */
enum trainer_result trainer_run(struct trainer *trainer, struct status *status) MUST_CHECK;

#endif
