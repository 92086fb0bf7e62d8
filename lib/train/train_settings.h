/* The settings of a training run by name, as text: whatever would make another adapter. A
 * checkpoint carries them, and the adapter's README.md lists them. */
#ifndef TRAIN_TRAIN_SETTINGS_H
#define TRAIN_TRAIN_SETTINGS_H

#include <jansson.h>

#include "train/trainer.h"

struct train_settings {
    const char *model;   /* name and hash */
    const char *kernels; /* as the device is described; up to a comma */
    const char *init;    /* name and hash of the adapter that it began with; NULL: none */
    const struct train_rows *rows, *validation; /* validation->n 0: none */
    const struct lora_options *lora;
    const struct trainer_options *trainer;
};

/* The caller drops it with json_decref. Values that are no UTF-8 are not in it. */
json_t *train_settings_make(const struct train_settings *settings);

#endif
