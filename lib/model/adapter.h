/* A LoRA adapter on the device, computed beside the linear layers it changes and never merged:
 *
 *   y = W x + scale * B (A x),    scale = alpha / rank, or alpha / sqrt(rank) with use_rslora
 *
 * Read from a folder that PEFT saved: adapter_config.json (formats/peft_config.h) and
 * adapter_model.safetensors with, for each such layer,
 *
 *   base_model.model.PATH.lora_A.weight   [rank, in]
 *   base_model.model.PATH.lora_B.weight   [out, rank]
 *
 * Both are in Hugging Face's row order, as the base's weights on the device are (model/weights.h),
 * also where a GGUF file has another. Over any base type. An adapter is read only once it is open.
 */
#ifndef MODEL_ADAPTER_H
#define MODEL_ADAPTER_H

#include "base/buf.h"
#include "base/status.h"
#include "compute/backend.h"
#include "formats/peft_config.h"
#include "formats/tensor_file.h"
#include "model/identity.h"
#include "model/model.h"

struct adapter_linear {
    struct matrix *a; /* [rank, in], on the device; NULL: the adapter leaves this layer alone */
    struct matrix *b; /* [out, rank] */
    float scale;
    int rank; /* >= 1 where a is there */
};

struct adapter_layer {
    struct adapter_linear q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj;
};

struct adapter {
    const struct backend *backend; /* not ours, as the device: the model's */
    struct device *device;
    struct adapter_layer *layers;  /* [n_layers] ours */
    int n_layers;                  /* the model's */
    struct adapter_linear lm_head; /* where embeddings are tied, of the output alone */
    int n_modules;                 /* linear layers that it changes, >= 1 */
    int min_rank, max_rank;        /* of them */
    char name[IDENTITY_SIZE];      /* model/identity.h; the hash knows of scales too */
    struct buf source;             /* ours: the path of the file with the weights */
    struct buf warnings;           /* ours: what people should know, lines; empty: nothing */
};

/* The adapter in the folder `path`, for this model, which must outlive it. NULL and a status that
 * names file, key or tensor, and the reason: STATUS_NO_INPUT, STATUS_IO, STATUS_CONFIG (its config
 * asks for what we do not do; a tensor has no home, is missing, has the wrong shape or type, holds
 * NaN or infinity; there is no module that it changes), STATUS_MEMORY. */
struct adapter *adapter_open(const char *path, const struct model *model,
                             struct status *status) MUST_CHECK;
/* The same of files that are open already, and are the caller's: they may be closed afterwards.
 * `folder` is what messages and the adapter's name are made of. */
struct adapter *adapter_make(const char *folder, const struct peft_config *config,
                             const struct tensor_file *file, const struct model *model,
                             struct status *status) MUST_CHECK;

void adapter_close(struct adapter *adapter); /* NULL allowed; before its model and device */

#endif
