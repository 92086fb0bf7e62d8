/* The parameters of an adapter under training, to and from a folder as PEFT keeps them. */
#ifndef TRAIN_LORA_FOLDER_H
#define TRAIN_LORA_FOLDER_H

#include "base/dtype.h"
#include "base/status.h"
#include "formats/peft_write.h"
#include "model/model.h"
#include "train/lora.h"

/* Writes the folder's two files (formats/peft_write.h); base_model is what its config calls the
 * base; dtype is DTYPE_F32 or DTYPE_F16. */
bool lora_folder_write(const struct lora *lora, const char *folder, const char *base_model,
                       enum dtype dtype, struct status *status) MUST_CHECK;

/* What an adapter is, for training to go on from it. */
struct lora_folder {
    struct lora_options options; /* its rank, alpha, rslora and targets; dropout 0 */
    char name[IDENTITY_SIZE];    /* model/identity.h */
};

/* The adapter in `folder` must be one that model/adapter.h opens for this model, whose config names
 * this base (formats/model_name.h), and with the same targets, rank and scale in all layers. Else
 * STATUS_CONFIG; or what opening it gives. */
bool lora_folder_check(struct lora_folder *found, const char *folder, const struct model *model,
                       struct status *status) MUST_CHECK;

/* Its matrices to lora->values; lora was opened with the options that were found. */
bool lora_folder_read(struct lora *lora, const char *folder, struct status *status) MUST_CHECK;

#endif
