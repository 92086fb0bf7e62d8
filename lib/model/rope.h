/* The frequencies that a decoder's positions rotate with. */
#ifndef MODEL_ROPE_H
#define MODEL_ROPE_H

#include "base/status.h"
#include "formats/model_config.h"
#include "formats/tensor_file.h"

/* GGUF's divisors of the frequencies, F32 [head_dim / 2]; what llama3 comes to. */
#define ROPE_FREQS "rope_freqs.weight"

/* [head_dim / 2] floats in host memory, the caller's: theta^(-2i / head_dim), scaled as the config
 * says and divided by `divisors` (NULL: none). Each step rounds as transformers' does: at position
 * 8000, an angle moves by 2e-4 otherwise. NULL and STATUS_CONFIG if the divisors are not what they
 * should be. */
float *rope_frequencies(const struct model_config *config, const struct tensor_entry *divisors,
                        struct status *status) MUST_CHECK;

#endif
