/* A language model, ready to run on a device: its numbers, its weights, its tokenizer.
 *
 * The weights are packed for the device when the model is opened; the file is not needed after. A
 * model is read only once it is open: many forward passes (model/forward.h) may share it.
 */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include <stddef.h>

#include "base/buf.h"
#include "base/status.h"
#include "compute/backend.h"
#include "formats/model_config.h"
#include "model/identity.h"
#include "model/model_files.h"
#include "model/weights.h"
#include "text/tokenizer.h"

struct model {
    const struct backend *backend; /* not ours */
    struct device *device;         /* not ours; must outlive the model */
    struct model_config config;
    struct llama_weights weights;   /* ours, on the device */
    float *inv_freq;                /* [head_dim / 2] ours, in host memory: model/rope.h */
    struct tokenizer *tokenizer;    /* ours; NULL if the model has none we read */
    struct status tokenizer_status; /* and then: why */
    char name[IDENTITY_SIZE];       /* model/identity.h */
    struct buf weights_source;      /* model_files_describe */
};

/* A Hugging Face folder or a .gguf file of a decoder (ARCH_LLAMA). NULL and a status that names the
 * file: STATUS_NO_INPUT, STATUS_CONFIG (what is in it), STATUS_MEMORY, STATUS_DEVICE. */
struct model *model_open(const char *path, const struct backend *backend, struct device *device,
                         struct status *status) MUST_CHECK;
/* The same, the linear layers of a safetensors model quantised on the way: STATUS_CONFIG also where
 * they are already, or cannot be. */
struct model *model_open_quantised(const char *path, enum quantize quantize,
                                   const struct backend *backend, struct device *device,
                                   struct status *status) MUST_CHECK;
/* All but the weights, which are checked and left where they are: what --plan has. An adapter can
 * be opened on it, and a scheduler that never steps. */
struct model *model_open_headers(const char *path, enum quantize quantize,
                                 const struct backend *backend, struct device *device,
                                 struct status *status) MUST_CHECK;
bool model_has_weights(const struct model *model);
void model_close(struct model *model); /* NULL allowed */

/* The tokenizer, or false with STATUS_CONFIG and the reason why the model came without. */
bool model_need_tokenizer(const struct model *model, struct status *status) MUST_CHECK;

#endif
