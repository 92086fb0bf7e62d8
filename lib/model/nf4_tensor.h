/* Weights of a linear layer in NF4: as bitsandbytes saved them, or quantised as it does. */
#ifndef MODEL_NF4_TENSOR_H
#define MODEL_NF4_TENSOR_H

#include "compute/backend.h"
#include "formats/tensor_file.h"

/* What a view of NF4 points at. Zeroed: empty. */
struct nf4_tensor {
    struct nf4_meaning meaning;
    float *absmax;  /* ours */
    uint8_t *codes; /* ours; NULL where they lie in the file */
};

/* The view of a tensor for which bnb_state_is holds; valid while the file and *tensor are. used:
 * bnb_state_read. On failure *tensor is empty; the message does not name the weight. */
bool nf4_tensor_read(struct nf4_tensor *tensor, struct tensor_view *view,
                     const struct tensor_file *file, const struct tensor_entry *weight, size_t rows,
                     size_t cols, bool *used, struct status *status) MUST_CHECK;

/* *view, of F32, F16 or BF16, becomes one of NF4 in blocks of NF4_BLOCK whose values are rounded to
 * that type, as bitsandbytes quantises a layer; `twice`: with double quantisation of the absmax.
 * STATUS_CONFIG: another type, not finite, or rows that are no multiple of 32. */
bool nf4_tensor_quantise(struct nf4_tensor *tensor, struct tensor_view *view, bool twice,
                         struct status *status) MUST_CHECK;

void nf4_tensor_release(struct nf4_tensor *tensor);

#endif
