/* Writes a LoRA adapter as PEFT saves one: a folder with adapter_config.json
 * (formats/peft_config.h) and adapter_model.safetensors.
 */
#ifndef FORMATS_PEFT_WRITE_H
#define FORMATS_PEFT_WRITE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/dtype.h"
#include "base/status.h"

enum { PEFT_WRITE_PATH = 96 };

/* A linear layer with its low-rank matrices, row-major. */
struct peft_write_module {
    char path[PEFT_WRITE_PATH]; /* "model.layers.0.self_attn.q_proj" */
    size_t in, out;
    const float *a; /* [rank][in] */
    const float *b; /* [out][rank] */
};

struct peft_write_adapter {
    const char *base_model; /* as people call it */
    int rank;
    double alpha, dropout;
    bool rslora;
    const char *const *targets; /* [n_targets] "q_proj", ... */
    size_t n_targets;
    const struct peft_write_module *modules; /* [n_modules] all of one rank */
    size_t n_modules;
    enum dtype dtype; /* of the matrices in the file: DTYPE_F32 or DTYPE_F16 */
};

/* Into `folder`, which must exist; each file is replaced as a whole or not at all, the weights
 * last. Failures as safetensors_write. */
bool peft_write(const char *folder, const struct peft_write_adapter *adapter,
                struct status *status) MUST_CHECK;

#endif
