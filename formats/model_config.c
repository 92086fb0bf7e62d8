#include "formats/model_config.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "formats/bert_config.h"
#include "formats/bnb_state.h"
#include "formats/json_file.h"
#include "formats/llama_config.h"

static const struct {
    const char *class_name; /* in "architectures" */
    const char *model_type;
    enum architecture architecture;
    bool classifies;
} models[] = {
    {"LlamaForCausalLM", "llama", ARCH_LLAMA, false},
    {"MistralForCausalLM", "mistral", ARCH_LLAMA, false},
    {"BertModel", "bert", ARCH_BERT, false},
    {"BertForSequenceClassification", "bert", ARCH_BERT, true},
};

#define N_MODELS (sizeof(models) / sizeof(models[0]))

bool model_config_derive_head_dim(struct model_config *c, const char *dim_key,
                                  const char *heads_key, struct status *status)
{
    if (c->dim % c->n_heads != 0)
        return status_fail(status, STATUS_CONFIG, "%s: must be a multiple of %s %d, is %d", dim_key,
                           heads_key, c->n_heads, c->dim);
    c->head_dim = c->dim / c->n_heads;
    if (c->head_dim > MODEL_CONFIG_MAX_HEAD_DIM)
        return status_fail(status, STATUS_CONFIG, "%s: heads of %d, at most %d are computed",
                           dim_key, c->head_dim, MODEL_CONFIG_MAX_HEAD_DIM);
    return true;
}

/* ---- config.json ------------------------------------------------------------------------- */

static bool find_class(const json_t *root, const char **name, struct status *status)
{
    const json_t *list = json_object_get(root, "architectures");

    *name = NULL;
    if (!list || json_is_null(list))
        return true;
    if (!json_is_array(list) || json_array_size(list) != 1 ||
        !json_is_string(json_array_get(list, 0)))
        return status_fail(status, STATUS_CONFIG, "architectures: must be an array of one string");
    *name = json_string_value(json_array_get(list, 0));
    return true;
}

/* By the class that made the checkpoint, or where none is named, by model_type, as transformers'
 * AutoModel does. */
static bool read_architecture(struct model_config *c, const json_t *root, struct status *status)
{
    const char *class_name, *model_type = NULL;
    bool found;
    size_t i;

    if (!find_class(root, &class_name, status) ||
        !json_file_string(root, "model_type", &model_type, &found, status))
        return false;
    if (!class_name && !model_type)
        return status_fail(status, STATUS_CONFIG, "architectures: missing");
    for (i = 0; i < N_MODELS; i++) {
        if (strcmp(class_name ? class_name : model_type,
                   class_name ? models[i].class_name : models[i].model_type) == 0)
            break;
    }
    if (i == N_MODELS && class_name)
        return status_fail(status, STATUS_CONFIG, "architectures: '%s' is not supported",
                           json_file_shown(class_name));
    if (i == N_MODELS || (model_type && strcmp(model_type, models[i].model_type) != 0))
        return status_fail(status, STATUS_CONFIG, "model_type: '%s' is not supported%s%s",
                           json_file_shown(model_type), class_name ? " with " : "",
                           class_name ? class_name : "");
    c->architecture = models[i].architecture;
    c->n_labels = models[i].classifies; /* how many, bert_config_read says */
    snprintf(c->model_type, sizeof(c->model_type), "%s", models[i].model_type);
    return true;
}

static bool read_sizes(struct model_config *c, const json_t *root, struct status *status)
{
    return json_file_size(root, "hidden_size", MODEL_CONFIG_MAX_DIM, &c->dim, NULL, status) &&
           json_file_size(root, "num_hidden_layers", MODEL_CONFIG_MAX_LAYERS, &c->n_layers, NULL,
                          status) &&
           json_file_size(root, "num_attention_heads", MODEL_CONFIG_MAX_HEADS, &c->n_heads, NULL,
                          status) &&
           json_file_size(root, "intermediate_size", MODEL_CONFIG_MAX_FFN_DIM, &c->ffn_dim, NULL,
                          status) &&
           json_file_size(root, "vocab_size", MODEL_CONFIG_MAX_VOCAB, &c->vocab_size, NULL,
                          status) &&
           json_file_size(root, "max_position_embeddings", MODEL_CONFIG_MAX_POSITIONS,
                          &c->max_seq_len, NULL, status);
}

/* Decoders may be as bitsandbytes saves them. */
static bool read_quantization(struct model_config *c, const json_t *root, struct status *status)
{
    const json_t *quantization = json_object_get(root, "quantization_config");
    const char *method = json_string_value(json_object_get(quantization, "quant_method"));

    c->quantized = quantization && !json_is_null(quantization);
    if (!c->quantized)
        return true;
    if (c->architecture == ARCH_LLAMA)
        return bnb_state_check_config(quantization, status);
    return status_fail(status, STATUS_CONFIG,
                       "quantization_config: checkpoints quantised by '%s' are not supported",
                       method ? json_file_shown(method) : "?");
}

bool model_config_from_json(struct model_config *config, const json_t *root, struct status *status)
{
    *config = (struct model_config){0};
    if (!json_is_object(root))
        return status_fail(status, STATUS_CONFIG, "must be an object");
    return read_architecture(config, root, status) && read_quantization(config, root, status) &&
           read_sizes(config, root, status) &&
           (config->architecture == ARCH_BERT ? bert_config_read(config, root, status)
                                              : llama_config_read(config, root, status));
}

/* generation_config.json is where instruct models name the end of a turn. */
static bool read_generation_config(struct model_config *c, const char *config_json_path,
                                   struct status *status)
{
    const char *slash = strrchr(config_json_path, '/');
    struct buf path = {0};
    json_t *root;
    bool ok, found;

    if (slash)
        buf_append(&path, config_json_path, (size_t)(slash - config_json_path) + 1);
    buf_append_string(&path, "generation_config.json");
    root = json_file_read(path.data, JSON_FILE_EXACT, status);
    ok = root ? llama_config_add_eos_ids(c, root, &found, status) ||
                    status_context(status, "%s", path.data)
              : status->code == STATUS_NO_INPUT;
    json_decref(root);
    buf_release(&path);
    return ok;
}

bool model_config_read_json(struct model_config *config, const char *config_json_path,
                            struct status *status)
{
    json_t *root = json_file_read(config_json_path, JSON_FILE_EXACT, status);
    bool ok;

    *config = (struct model_config){0};
    if (!root)
        return false;
    ok = model_config_from_json(config, root, status);
    json_decref(root);
    if (!ok)
        return status_context(status, "%s", config_json_path);
    return config->architecture == ARCH_BERT ||
           read_generation_config(config, config_json_path, status);
}

/* ---- GGUF -------------------------------------------------------------------------------- */

/* "not supported", with a name out of the file. */
static bool fail_name(const char *key, struct text value, const char *wanted, struct status *status)
{
    const bool ok = tensor_file_name_ok(value);

    return status_fail(status, STATUS_CONFIG, "%s: '%.*s' is not supported, only %s", key,
                       ok ? (int)value.len : 1, ok ? value.ptr : "?", wanted);
}

bool model_config_read_gguf(struct model_config *config, const struct gguf *gguf,
                            struct status *status)
{
    struct text architecture, type = text_of("model");
    bool found;

    *config = (struct model_config){0};
    if (!gguf_string(gguf, "general.architecture", &architecture, NULL, status) ||
        !gguf_string(gguf, "general.type", &type, &found, status))
        return false;
    if (!text_is(type, "model"))
        return fail_name("general.type", type, "'model'", status);
    if (text_is(architecture, "llama")) {
        *config = (struct model_config){.architecture = ARCH_LLAMA, .model_type = "llama"};
        return llama_config_read_gguf(config, gguf, status);
    }
    if (!text_is(architecture, "bert"))
        return fail_name("general.architecture", architecture, "'llama' and 'bert'", status);
    *config = (struct model_config){.architecture = ARCH_BERT, .model_type = "bert"};
    return bert_config_read_gguf(config, gguf, status);
}
