/* The files of one model, opened and checked: a Hugging Face folder (config.json, and
 * model.safetensors or the parts that model.safetensors.index.json names), a GGUF file, or a folder
 * with nothing but one (formats/model_location.h).
 *
 * Tensors are asked for by their Hugging Face names, whatever the container calls them:
 *   model.embed_tokens.weight, model.layers.N.self_attn.q_proj.weight, ..., model.norm.weight,
 *   lm_head.weight; embeddings.word_embeddings.weight, encoder.layer.N.attention.self.query.weight,
 *   ..., without the prefix "bert.", LayerNorm.weight and .bias (not gamma and beta).
 */
#ifndef MODEL_MODEL_FILES_H
#define MODEL_MODEL_FILES_H

#include "base/buf.h"
#include "formats/gguf.h"
#include "formats/model_config.h"
#include "formats/tensor_file.h"

/* What becomes of a decoder's linear layers when they are loaded; enum of --quantize. */
enum quantize { QUANTIZE_OFF, QUANTIZE_NF4, QUANTIZE_NF4_DQ };

struct model_files {
    struct model_config config;
    char *path; /* ours; the folder, or the GGUF file itself */
    bool is_gguf;
    enum quantize quantize;         /* off; for whoever loads the weights to set */
    struct gguf gguf;               /* where is_gguf */
    struct tensor_file safetensors; /* where not */
};

/* On failure *files is empty; the message names the file. */
bool model_files_open(struct model_files *files, const char *path,
                      struct status *status) MUST_CHECK;
void model_files_close(struct model_files *files);

/* For people, the file that the weights are from: "m/model.safetensors",
 * "m/model.safetensors.index.json (3 files)", "m.gguf". */
void model_files_describe(const struct model_files *files, struct buf *out);

/* The tensors under their container's names. */
const struct tensor_file *model_files_tensors(const struct model_files *files);

/* NULL if the model has no such tensor (lm_head.weight of a model with tied embeddings). Rows of
 * q_proj and k_proj are in the container's order: see config.qk_interleaved. */
const struct tensor_entry *model_files_tensor(const struct model_files *files, const char *hf_name);

#endif
