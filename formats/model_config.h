/* What a model is made of: the numbers of config.json or of a GGUF file's keys, checked.
 *
 * Read are LlamaForCausalLM, MistralForCausalLM, BertModel and BertForSequenceClassification in
 * the spellings of transformers 4 and 5, and GGUF files of the architecture llama. What the engine
 * does not compute (other kinds of rope scaling, layers that differ, other activations, quantised
 * checkpoints, other architectures) is refused by name.
 */
#ifndef FORMATS_MODEL_CONFIG_H
#define FORMATS_MODEL_CONFIG_H

#include <jansson.h>
#include <stdint.h>

#include "base/status.h"
#include "formats/gguf.h"
#include "formats/rope_config.h"

#define MODEL_CONFIG_MAX_EOS_IDS 8

/* Far above every model that we know, far below what could overflow a product of two in size_t. */
enum {
    MODEL_CONFIG_MAX_DIM = 1 << 16,
    MODEL_CONFIG_MAX_LAYERS = 1 << 10,
    MODEL_CONFIG_MAX_HEADS = 1 << 10,
    MODEL_CONFIG_MAX_HEAD_DIM = 1 << 10,
    MODEL_CONFIG_MAX_FFN_DIM = 1 << 20,
    MODEL_CONFIG_MAX_VOCAB = 1 << 22,
    MODEL_CONFIG_MAX_POSITIONS = 1 << 24,
};

enum architecture {
    ARCH_LLAMA, /* decoder: RMSNorm, rotary positions, SwiGLU. Llama and Mistral */
    ARCH_BERT,  /* encoder: LayerNorm behind the sum, learned positions */
};

enum activation {                       /* between the two halves of BERT's MLP */
                  ACTIVATION_GELU,      /* by erf */
                  ACTIVATION_GELU_TANH, /* its approximation */
                  ACTIVATION_RELU,
};

struct model_config {
    enum architecture architecture;
    char model_type[32]; /* "llama", "mistral", "bert" */

    int dim; /* width of the residual stream */
    int n_layers;
    int n_heads;                /* query heads */
    int n_kv_heads;             /* divides n_heads; BERT: n_heads */
    int head_dim;               /* even for ARCH_LLAMA; n_heads * head_dim need not be dim */
    int ffn_dim;                /* width between the two halves of the MLP */
    int vocab_size;             /* rows of the embedding */
    int max_seq_len;            /* positions that the model was made for */
    int type_vocab_size;        /* BERT's token types; 0 for ARCH_LLAMA */
    int n_labels;               /* of a BERT's classifier; 0: it has none */
    enum activation activation; /* ARCH_BERT */

    float norm_eps;
    struct rope_config rope; /* ARCH_LLAMA */
    int sliding_window;      /* tokens that a row sees, itself included; 0: all before it */
    bool attention_bias;     /* config.json of a Llama: q, k, v and o have biases */
    bool mlp_bias;           /* gate, up and down have; in a GGUF file, those that are there */
    bool tied_embeddings;    /* the output matrix is the embedding */
    bool qk_interleaved;     /* the rows of q_proj and k_proj pair (2i, 2i+1), as GGUF stores them,
                                not (i, i + head_dim/2), as Hugging Face does */

    bool quantized; /* config.json has a quantization_config, of NF4 */

    int32_t bos_id;                            /* -1: none */
    int32_t eos_ids[MODEL_CONFIG_MAX_EOS_IDS]; /* each ends a generation; none twice */
    int n_eos_ids;
};

/* Reads config.json, and the end tokens of generation_config.json where that lies beside it.
 * Failures name file and key: "m/config.json: hidden_size: must be ...", STATUS_CONFIG. */
bool model_config_read_json(struct model_config *config, const char *config_json_path,
                            struct status *status) MUST_CHECK;

/* The same from a parsed config.json alone; the message begins with the key. */
bool model_config_from_json(struct model_config *config, const json_t *root,
                            struct status *status) MUST_CHECK;

/* From the keys of a GGUF file; tied_embeddings is set if it has no tensor "output.weight". The
 * message begins with the key. */
bool model_config_read_gguf(struct model_config *config, const struct gguf *gguf,
                            struct status *status) MUST_CHECK;

/* For its parts (llama_config, bert_config): head_dim from dim and n_heads, where the file does not
 * say it. The message begins with the key. */
bool model_config_derive_head_dim(struct model_config *config, const char *dim_key,
                                  const char *heads_key, struct status *status) MUST_CHECK;

#endif
