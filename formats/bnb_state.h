/* Linear layers that bitsandbytes quantised to NF4, as transformers saves them: beside "P.weight",
 * the U8 bytes of the codes,
 *   P.weight.absmax        F32 [blocks], or with double quantisation U8 [blocks] and
 *   P.weight.nested_absmax F32 [ceil(blocks / nested_blocksize)]
 *   P.weight.nested_quant_map F32 [256]
 *   P.weight.quant_map     F32 [16]
 *   P.weight.quant_state.bitsandbytes__nf4  U8, the bytes of a JSON object: quant_type, blocksize,
 *     dtype, shape, and with double quantisation nested_blocksize, nested_dtype, nested_offset
 *
 * FP4 and the 8-bit layers of llm.int8() are refused by name.
 */
#ifndef FORMATS_BNB_STATE_H
#define FORMATS_BNB_STATE_H

#include <jansson.h>

#include "base/nf4.h"
#include "formats/tensor_file.h"

struct bnb_state {
    size_t rows, cols;
    size_t block, n_blocks;  /* block: a power of two from 32 on */
    enum dtype dtype;        /* what values are rounded to: DTYPE_F32, DTYPE_F16 or DTYPE_BF16 */
    float values[NF4_CODES]; /* finite, within [-1, 1] */
    const uint8_t *codes;    /* [rows * cols / 2] into the file */

    /* For bnb_state_absmax. */
    const uint8_t *absmax;        /* float [n_blocks], or one byte each with: */
    const uint8_t *nested_absmax; /* float []; NULL without double quantisation */
    const uint8_t *nested_map;    /* float [NF4_MAP] */
    size_t nested_block;
    float offset;
};

/* Is the tensor one that bitsandbytes made, to be read with bnb_state_read? */
bool bnb_state_is(const struct tensor_file *file, const struct tensor_entry *weight);

/* What stands beside the weight, all sizes checked. used [n_entries] (or NULL): the tensors that
 * were read are marked. STATUS_CONFIG: the message names the part, not the weight. */
bool bnb_state_read(struct bnb_state *state, const struct tensor_file *file,
                    const struct tensor_entry *weight, bool *used,
                    struct status *status) MUST_CHECK;

/* absmax [n_blocks], all finite, as dequantisation computes them. STATUS_CONFIG names the block
 * that is negative (without double quantisation) or not finite. */
bool bnb_state_absmax(const struct bnb_state *state, float *absmax,
                      struct status *status) MUST_CHECK;

/* config.json's quantization_config: STATUS_CONFIG unless it describes such a checkpoint. The
 * message begins with the key. */
bool bnb_state_check_config(const json_t *quantization, struct status *status) MUST_CHECK;

#endif
