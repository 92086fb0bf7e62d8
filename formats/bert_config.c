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

bool bert_config_read(struct model_config *c, const json_t *root, struct status *status)
{
    double eps;

    c->n_kv_heads = c->n_heads;
    c->bos_id = -1;
    c->tied_embeddings = true; /* no output matrix */
    if (c->dim % c->n_heads != 0)
        return status_fail(status, STATUS_CONFIG,
                           "hidden_size: must be a multiple of num_attention_heads %d, is %d",
                           c->n_heads, c->dim);
    c->head_dim = c->dim / c->n_heads;
    if (c->head_dim > MODEL_CONFIG_MAX_HEAD_DIM)
        return status_fail(status, STATUS_CONFIG,
                           "hidden_size: heads of %d, at most %d are computed", c->head_dim,
                           MODEL_CONFIG_MAX_HEAD_DIM);
    if (!json_file_size(root, "type_vocab_size", MAX_TYPES, &c->type_vocab_size, NULL, status) ||
        !json_file_number(root, "layer_norm_eps", MIN_EPS, MAX_EPS, &eps, NULL, status))
        return false;
    c->norm_eps = (float)eps;
    return read_activation(c, root, status) &&
           json_file_must_be(root, "position_embedding_type", "absolute", status) &&
           json_file_must_be_false(root, "is_decoder", status) &&
           json_file_must_be_false(root, "add_cross_attention", status) &&
           (c->n_labels == 0 || read_labels(c, root, status));
}
