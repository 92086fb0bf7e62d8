/* The model, the adapter and the memory that a run of training works with. */
#ifndef TRAIN_TRAIN_SETUP_H
#define TRAIN_TRAIN_SETUP_H

#include <jansson.h>

#include "run/engine.h"
#include "train/train_memory.h"
#include "train/trainer.h"

/* Of --init's adapter these are its own; who asks for others is refused. */
enum train_setup_asked {
    TRAIN_SETUP_RANK = 1,
    TRAIN_SETUP_ALPHA = 2,
    TRAIN_SETUP_RSLORA = 4,
    TRAIN_SETUP_TARGETS = 8,
};

struct train_setup_options {
    const char *model_path;
    const struct model_config *config; /* of the model there */
    enum quantize quantize;
    int threads;      /* 0: as engine_open */
    size_t mem;       /* bytes; 0: no limit */
    bool headers;     /* the model's weights are not loaded: for --plan */
    const char *init; /* folder of the adapter to go on from; NULL: begin at random */
    struct lora_options lora;
    unsigned asked;        /* bits of enum train_setup_asked: people's own choice */
    const char *base_name; /* what the adapter's config calls the base; NULL: the model's name */
    const struct trainer_options *trainer;
    const struct train_rows *rows, *validation;
};

struct train_setup {
    struct engine engine;
    struct lora_options lora_options;
    char init_name[IDENTITY_SIZE]; /* "": none */
    char base_name[IDENTITY_SIZE]; /* where the options have none */
    struct train_memory memory;
    struct lora *lora;              /* ours; NULL with headers */
    struct train_pass *pass;        /* ours; NULL with headers */
    struct trainer_options trainer; /* as the options', with base_model */
    json_t *settings;               /* ours: train/train_settings.h; NULL until all is open */
};

/* Memory is planned before weights are loaded, unless there is an adapter to look at first. The
 * caller closes it either way. STATUS_USAGE: the adapter of --init has another shape than was asked
 * for; STATUS_MEMORY; or as lora_folder_check, engine_open, train_pass_open. */
bool train_setup_open(struct train_setup *setup, const struct train_setup_options *options,
                      struct status *status) MUST_CHECK;
void train_setup_close(struct train_setup *setup); /* zeroed: nothing */

#endif
