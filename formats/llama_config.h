/* What a Llama or a Mistral has beside the sizes of every model, out of config.json (transformers 4
 * and 5) or out of the keys of a GGUF file of the architecture llama.
 *
 * Every key that LlamaConfig and MistralConfig know and that changes a result is read or refused by
 * name; what they do not know changes none in transformers either and is passed over.
 */
#ifndef FORMATS_LLAMA_CONFIG_H
#define FORMATS_LLAMA_CONFIG_H

#include "formats/model_config.h"

/* Fills what *config, which holds architecture and sizes, has not yet. The message begins with the
 * key. */
bool llama_config_read(struct model_config *config, const json_t *root,
                       struct status *status) MUST_CHECK;

/* Fills an empty *config from a file whose general.architecture is llama. */
bool llama_config_read_gguf(struct model_config *config, const struct gguf *gguf,
                            struct status *status) MUST_CHECK;

/* Adds eos_token_id, an integer or a list of them, of config.json or generation_config.json. */
bool llama_config_add_eos_ids(struct model_config *config, const json_t *root, bool *found,
                              struct status *status) MUST_CHECK;

#endif
