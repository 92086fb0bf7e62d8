/* The frequencies that a decoder's positions rotate with. */
#ifndef MODEL_ROPE_H
#define MODEL_ROPE_H

#include "formats/model_config.h"

/* [head_dim / 2] floats in host memory, the caller's: theta^(-2i / head_dim). Each step rounds as
 * transformers' does: at position 8000, an angle moves by 2e-4 otherwise. */
float *rope_frequencies(const struct model_config *config);

#endif
