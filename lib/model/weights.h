/* Which tensor is which: a model's tensors on the device, by the names its checkpoint gives them.
 *
 * Matrices are [out, in] and stay in the file's precision; norms and biases are floats. Shapes are
 * checked against the config before anything is uploaded.
 */
#ifndef MODEL_WEIGHTS_H
#define MODEL_WEIGHTS_H

#include "base/status.h"
#include "compute/backend.h"
#include "formats/model_config.h"
#include "model/model_files.h"

/* y = x W^T + bias */
struct affine {
    struct matrix *weight;
    float *bias; /* NULL: none */
};

struct norm {
    float *weight;
    float *bias; /* NULL: RMSNorm has none */
};

struct llama_layer {
    struct norm input_layernorm; /* [dim] */
    struct affine q_proj;        /* [n_heads * head_dim, dim], rows in Hugging Face's order */
    struct affine k_proj;        /* [n_kv_heads * head_dim, dim], the same */
    struct affine v_proj;        /* [n_kv_heads * head_dim, dim] */
    struct affine o_proj;        /* [dim, n_heads * head_dim] */
    struct norm post_attention_layernorm;
    struct affine gate_proj; /* [ffn_dim, dim] */
    struct affine up_proj;   /* [ffn_dim, dim] */
    struct affine down_proj; /* [dim, ffn_dim] */
};

struct llama_weights {
    struct matrix *embed_tokens; /* [vocab_size, dim] */
    struct llama_layer *layers;  /* [n_layers] */
    struct norm norm;
    struct matrix *lm_head; /* [vocab_size, dim]; embed_tokens itself where they are tied */
};

struct bert_layer {
    struct affine query, key, value;   /* [dim, dim] */
    struct affine attention_output;    /* [dim, dim] */
    struct norm attention_output_norm; /* behind the sum */
    struct affine intermediate;        /* [ffn_dim, dim] */
    struct affine output;              /* [dim, ffn_dim] */
    struct norm output_norm;
};

struct bert_weights {
    struct matrix *word_embeddings;       /* [vocab_size, dim] */
    struct matrix *position_embeddings;   /* [max_seq_len, dim] */
    struct matrix *token_type_embeddings; /* [type_vocab_size, dim] */
    struct norm embeddings_norm;
    struct bert_layer *layers; /* [n_layers] */
    struct affine pooler;      /* [dim, dim]; NULL where n_labels is 0, as the next */
    struct affine classifier;  /* [n_labels, dim] */
};

/* Upload all of a model. On failure *weights is empty; the message names the file within a folder,
 * tensor and reason: STATUS_CONFIG if one is missing, has another shape, a type we cannot compute
 * with or a value that is no number, or if a decoder's file has one that its model does not. The
 * files may be closed afterwards. */
bool weights_load_llama(struct llama_weights *weights, const struct model_files *files,
                        const struct backend *backend, struct device *device,
                        struct status *status) MUST_CHECK;
/* Bytes that they take on the device, from the files' headers alone; errors as above. */
bool weights_size_llama(size_t *size, const struct model_files *files,
                        const struct backend *backend, struct device *device,
                        struct status *status) MUST_CHECK;
void weights_release_llama(struct llama_weights *weights, int n_layers,
                           const struct backend *backend, struct device *device);

bool weights_load_bert(struct bert_weights *weights, const struct model_files *files,
                       const struct backend *backend, struct device *device,
                       struct status *status) MUST_CHECK;
void weights_release_bert(struct bert_weights *weights, int n_layers, const struct backend *backend,
                          struct device *device);

#endif
