#include "formats/bert_config.h"

#include <string.h>

#include "formats/json_file.h"

enum {
    MAX_TYPES = 1 << 10,
    MAX_LABELS = 1 << 16,
    DEFAULT_LABELS = 2, /* what transformers takes where the file names none */
};

#define MIN_EPS 1e-30
#define MAX_EPS 1.0

/* transformers has several names for one function (activations.py). */
static const struct {
    const char *name;
    enum activation activation;
} activations[] = {
    {"gelu", ACTIVATION_GELU},
    {"gelu_python", ACTIVATION_GELU},
    {"gelu_new", ACTIVATION_GELU_TANH},
    {"gelu_fast", ACTIVATION_GELU_TANH},
    {"gelu_pytorch_tanh", ACTIVATION_GELU_TANH},
    {"relu", ACTIVATION_RELU},
};

static bool read_activation(struct model_config *c, const json_t *root, struct status *status)
{
    const char *name = "gelu";
    bool found;

    if (!json_file_string(root, "hidden_act", &name, &found, status))
        return false;
    for (size_t i = 0; i < sizeof(activations) / sizeof(activations[0]); i++) {
        if (strcmp(name, activations[i].name) == 0) {
            c->activation = activations[i].activation;
            return true;
        }
    }
    return status_fail(status, STATUS_CONFIG,
                       "hidden_act: '%s' is not supported, only 'gelu', 'gelu_new', "
                       "'gelu_pytorch_tanh' and 'relu'",
                       json_file_shown(name));
}

/* As many as id2label names; the classifier's tensors must agree. */
static bool read_labels(struct model_config *c, const json_t *root, struct status *status)
{
    const json_t *names = json_object_get(root, "id2label");
    bool found;

    if (names && !json_is_null(names)) {
        if (!json_is_object(names) || json_object_size(names) < 1 ||
            json_object_size(names) > MAX_LABELS)
            return status_fail(status, STATUS_CONFIG,
                               "id2label: must be an object of 1 to %d names", MAX_LABELS);
        c->n_labels = (int)json_object_size(names);
        return true;
    }
    c->n_labels = DEFAULT_LABELS;
    return json_file_size(root, "num_labels", MAX_LABELS, &c->n_labels, &found, status);
}

/* What follows from the width and the number of heads. */
static bool set_heads(struct model_config *c, const char *dim_key, const char *heads_key,
                      struct status *status)
{
    c->n_kv_heads = c->n_heads;
    c->bos_id = -1;
    c->tied_embeddings = true; /* no output matrix */
    return model_config_derive_head_dim(c, dim_key, heads_key, status);
}

bool bert_config_read(struct model_config *c, const json_t *root, struct status *status)
{
    double eps;

    if (!set_heads(c, "hidden_size", "num_attention_heads", status) ||
        !json_file_size(root, "type_vocab_size", MAX_TYPES, &c->type_vocab_size, NULL, status) ||
        !json_file_number(root, "layer_norm_eps", MIN_EPS, MAX_EPS, &eps, NULL, status))
        return false;
    c->norm_eps = (float)eps;
    return read_activation(c, root, status) &&
           json_file_must_be(root, "position_embedding_type", "absolute", status) &&
           json_file_must_be_false(root, "is_decoder", status) &&
           json_file_must_be_false(root, "add_cross_attention", status) &&
           (c->n_labels == 0 || read_labels(c, root, status));
}

/* Rows of the embedding: as many as tokens. */
static bool read_gguf_vocab(struct model_config *c, const struct gguf *gguf, struct status *status)
{
    const struct text *tokens;
    size_t n = 0;

    if (!gguf_string_array(gguf, "tokenizer.ggml.tokens", &tokens, &n, NULL, status))
        return false;
    if (n < 1 || n > MODEL_CONFIG_MAX_VOCAB)
        return status_fail(status, STATUS_CONFIG, "tokenizer.ggml.tokens: %zu tokens", n);
    c->vocab_size = (int)n;
    return true;
}

bool bert_config_read_gguf(struct model_config *c, const struct gguf *gguf, struct status *status)
{
    static const char causal_key[] = "bert.attention.causal";
    double eps = 0;
    bool causal = false, found;

    if (!gguf_size(gguf, "bert.embedding_length", MODEL_CONFIG_MAX_DIM, &c->dim, NULL, status) ||
        !gguf_size(gguf, "bert.block_count", MODEL_CONFIG_MAX_LAYERS, &c->n_layers, NULL, status) ||
        !gguf_size(gguf, "bert.attention.head_count", MODEL_CONFIG_MAX_HEADS, &c->n_heads, NULL,
                   status) ||
        !gguf_size(gguf, "bert.feed_forward_length", MODEL_CONFIG_MAX_FFN_DIM, &c->ffn_dim, NULL,
                   status) ||
        !gguf_size(gguf, "bert.context_length", MODEL_CONFIG_MAX_POSITIONS, &c->max_seq_len, NULL,
                   status) ||
        !gguf_size(gguf, "tokenizer.ggml.token_type_count", MAX_TYPES, &c->type_vocab_size, NULL,
                   status) ||
        !gguf_number(gguf, "bert.attention.layer_norm_epsilon", MIN_EPS, MAX_EPS, &eps, NULL,
                     status) ||
        !gguf_bool(gguf, causal_key, &causal, &found, status))
        return false;
    if (causal)
        return status_fail(status, STATUS_CONFIG, "%s: true is not supported", causal_key);
    c->norm_eps = (float)eps;
    c->activation = ACTIVATION_GELU; /* what BERTs are trained with: the file does not say */
    return read_gguf_vocab(c, gguf, status) &&
           set_heads(c, "bert.embedding_length", "bert.attention.head_count", status);
}
