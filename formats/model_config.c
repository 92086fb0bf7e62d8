#include "formats/model_config.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "formats/bert_config.h"
#include "formats/json_file.h"

/* Far above every model that we know, far below what could overflow a product of two in size_t. */
enum {
    MAX_DIM = 1 << 16,
    MAX_LAYERS = 1 << 10,
    MAX_HEADS = 1 << 10,
    MAX_HEAD_DIM = MODEL_CONFIG_MAX_HEAD_DIM,
    MAX_FFN_DIM = 1 << 20,
    MAX_VOCAB = 1 << 22,
    MAX_POSITIONS = 1 << 24,
};

/* What transformers takes when a Llama or Mistral config.json leaves the member out. */
#define DEFAULT_ROPE_THETA 10000.0
#define DEFAULT_SLIDING_WINDOW 4096 /* Mistral's */
#define DEFAULT_BOS_ID 1
#define DEFAULT_EOS_ID 2

#define MIN_EPS 1e-30
#define MAX_EPS 1.0
#define MIN_THETA 1.0
#define MAX_THETA 1e12

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

/* ---- what both sources share ------------------------------------------------------------- */

static bool check_heads(const struct model_config *c, const char *heads_key, const char *kv_key,
                        const char *head_dim_key, struct status *status)
{
    if (c->n_kv_heads > c->n_heads || c->n_heads % c->n_kv_heads != 0)
        return status_fail(status, STATUS_CONFIG, "%s: must divide %s %d, is %d", kv_key, heads_key,
                           c->n_heads, c->n_kv_heads);
    if (c->architecture == ARCH_LLAMA && c->head_dim % 2 != 0)
        return status_fail(status, STATUS_CONFIG, "%s: must be even for rotary positions, is %d",
                           head_dim_key, c->head_dim);
    return true;
}

/* The width of a head where the file does not say it. */
static bool derive_head_dim(struct model_config *c, const char *dim_key, const char *heads_key,
                            struct status *status)
{
    if (c->dim % c->n_heads != 0)
        return status_fail(status, STATUS_CONFIG, "%s: must be a multiple of %s %d, is %d", dim_key,
                           heads_key, c->n_heads, c->dim);
    c->head_dim = c->dim / c->n_heads;
    if (c->head_dim > MAX_HEAD_DIM)
        return status_fail(status, STATUS_CONFIG, "%s: heads of %d, at most %d are computed",
                           dim_key, c->head_dim, MAX_HEAD_DIM);
    return true;
}

static bool add_eos(struct model_config *c, int64_t id, const char *key, struct status *status)
{
    if (id < 0 || id >= c->vocab_size)
        return status_fail(status, STATUS_CONFIG, "%s: %" PRId64 " is no token of %d", key, id,
                           c->vocab_size);
    for (int i = 0; i < c->n_eos_ids; i++) {
        if (c->eos_ids[i] == id)
            return true;
    }
    if (c->n_eos_ids == MODEL_CONFIG_MAX_EOS_IDS)
        return status_fail(status, STATUS_CONFIG, "%s: more than %d end tokens", key,
                           MODEL_CONFIG_MAX_EOS_IDS);
    c->eos_ids[c->n_eos_ids++] = (int32_t)id;
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
    return json_file_size(root, "hidden_size", MAX_DIM, &c->dim, NULL, status) &&
           json_file_size(root, "num_hidden_layers", MAX_LAYERS, &c->n_layers, NULL, status) &&
           json_file_size(root, "num_attention_heads", MAX_HEADS, &c->n_heads, NULL, status) &&
           json_file_size(root, "intermediate_size", MAX_FFN_DIM, &c->ffn_dim, NULL, status) &&
           json_file_size(root, "vocab_size", MAX_VOCAB, &c->vocab_size, NULL, status) &&
           json_file_size(root, "max_position_embeddings", MAX_POSITIONS, &c->max_seq_len, NULL,
                          status);
}

/* One object of rope settings: transformers 4 has rope_scaling beside rope_theta, 5 has all in
 * rope_parameters. The kind is "rope_type", or "type" in old files. */
static bool read_rope_object(struct model_config *c, const json_t *root, const char *key,
                             struct status *status)
{
    const json_t *rope = json_object_get(root, key);
    bool found;

    if (!rope || json_is_null(rope))
        return true;
    if (!json_is_object(rope))
        return status_fail(status, STATUS_CONFIG, "%s: must be an object", key);
    if (!json_file_must_be(rope, "rope_type", "default", status) ||
        !json_file_must_be(rope, "type", "default", status) ||
        !json_file_number(rope, "rope_theta", MIN_THETA, MAX_THETA, &c->rope_theta, &found, status))
        return status_context(status, "%s", key);
    return true;
}

static bool read_rope(struct model_config *c, const json_t *root, struct status *status)
{
    double rotated = 1.0; /* the part of a head that is rotated */
    const json_t *rope = json_object_get(root, "rope_parameters");
    bool found;

    c->rope_theta = DEFAULT_ROPE_THETA;
    if (!json_file_number(root, "rope_theta", MIN_THETA, MAX_THETA, &c->rope_theta, &found,
                          status) ||
        !read_rope_object(c, root, "rope_scaling", status) ||
        !read_rope_object(c, root, "rope_parameters", status) ||
        !json_file_number(root, "partial_rotary_factor", 0, 1, &rotated, &found, status) ||
        !json_file_number(rope, "partial_rotary_factor", 0, 1, &rotated, &found, status))
        return false;
    if (rotated < 1.0)
        return status_fail(status, STATUS_CONFIG, "partial_rotary_factor: %g is not supported",
                           rotated);
    return true;
}

/* A window as long as the context never bites. */
static bool read_sliding_window(const struct model_config *c, const json_t *root,
                                struct status *status)
{
    int window = c->max_seq_len;
    bool found;

    if (strcmp(c->model_type, "mistral") == 0 && !json_object_get(root, "sliding_window"))
        window = DEFAULT_SLIDING_WINDOW;
    if (!json_file_size(root, "sliding_window", INT_MAX, &window, &found, status))
        return false;
    if (window < c->max_seq_len)
        return status_fail(status, STATUS_CONFIG,
                           "sliding_window: %d of %d positions is not supported; null, or no less "
                           "than max_position_embeddings, is",
                           window, c->max_seq_len);
    return true;
}

/* eos_token_id: an integer or a list of them. */
static bool read_eos_ids(struct model_config *c, const json_t *root, bool *found,
                         struct status *status)
{
    const json_t *eos = json_object_get(root, "eos_token_id");
    const size_t n = json_is_array(eos) ? json_array_size(eos) : 1;

    *found = eos != NULL;
    if (!eos || json_is_null(eos))
        return true;
    for (size_t i = 0; i < n; i++) {
        const json_t *id = json_is_array(eos) ? json_array_get(eos, i) : eos;

        if (!json_is_integer(id))
            return status_fail(status, STATUS_CONFIG,
                               "eos_token_id: must be an integer or an array of integers");
        if (!add_eos(c, json_integer_value(id), "eos_token_id", status))
            return false;
    }
    return true;
}

static bool read_special_ids(struct model_config *c, const json_t *root, struct status *status)
{
    int64_t bos = json_object_get(root, "bos_token_id") ? -1 : DEFAULT_BOS_ID;
    bool found;

    if (!json_file_int(root, "bos_token_id", 0, c->vocab_size - 1, &bos, &found, status) ||
        !read_eos_ids(c, root, &found, status))
        return false;
    c->bos_id = bos < c->vocab_size ? (int32_t)bos : -1;
    if (!found && DEFAULT_EOS_ID < c->vocab_size)
        return add_eos(c, DEFAULT_EOS_ID, "eos_token_id", status);
    return true;
}

static bool read_llama(struct model_config *c, const json_t *root, struct status *status)
{
    double eps;
    bool found;

    c->n_kv_heads = c->n_heads;
    if (!json_file_size(root, "num_key_value_heads", MAX_HEADS, &c->n_kv_heads, &found, status) ||
        !json_file_size(root, "head_dim", MAX_HEAD_DIM, &c->head_dim, &found, status) ||
        (!found && !derive_head_dim(c, "hidden_size", "num_attention_heads", status)) ||
        !check_heads(c, "num_attention_heads", "num_key_value_heads", "head_dim", status))
        return false;
    if (!json_file_number(root, "rms_norm_eps", MIN_EPS, MAX_EPS, &eps, NULL, status) ||
        !json_file_bool(root, "tie_word_embeddings", &c->tied_embeddings, &found, status))
        return false;
    c->norm_eps = (float)eps;
    return json_file_must_be(root, "hidden_act", "silu", status) &&
           json_file_must_be_false(root, "attention_bias", status) &&
           json_file_must_be_false(root, "mlp_bias", status) && read_rope(c, root, status) &&
           read_sliding_window(c, root, status) && read_special_ids(c, root, status);
}

static bool refuse_quantized(const json_t *root, struct status *status)
{
    const json_t *quantization = json_object_get(root, "quantization_config");
    const char *method = json_string_value(json_object_get(quantization, "quant_method"));

    if (!quantization || json_is_null(quantization))
        return true;
    return status_fail(status, STATUS_CONFIG,
                       "quantization_config: checkpoints quantised by '%s' are not supported",
                       method ? json_file_shown(method) : "?");
}

bool model_config_from_json(struct model_config *config, const json_t *root, struct status *status)
{
    *config = (struct model_config){0};
    if (!json_is_object(root))
        return status_fail(status, STATUS_CONFIG, "must be an object");
    return read_architecture(config, root, status) && refuse_quantized(root, status) &&
           read_sizes(config, root, status) &&
           (config->architecture == ARCH_BERT ? bert_config_read(config, root, status)
                                              : read_llama(config, root, status));
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
    ok = root ? read_eos_ids(c, root, &found, status) || status_context(status, "%s", path.data)
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

/* An integer from 1 to max; found as in gguf_uint. */
static bool key_int(const struct gguf *gguf, const char *key, int max, int *value, bool *found,
                    struct status *status)
{
    uint64_t number = 0;

    if (!gguf_uint(gguf, key, &number, found, status))
        return false;
    if (found && !*found)
        return true;
    if (number < 1 || number > (uint64_t)max)
        return status_fail(status, STATUS_CONFIG,
                           "%s: must be an integer from 1 to %d, is %" PRIu64, key, max, number);
    *value = (int)number;
    return true;
}

static bool key_float(const struct gguf *gguf, const char *key, double min, double max,
                      double *value, bool *found, struct status *status)
{
    double number = *value;

    if (!gguf_float(gguf, key, &number, found, status))
        return false;
    if (!(number >= min && number <= max))
        return status_fail(status, STATUS_CONFIG, "%s: must be a number from %g to %g, is %g", key,
                           min, max, number);
    *value = number;
    return true;
}

/* A string that must be `wanted` where it is there. */
static bool key_must_be(const struct gguf *gguf, const char *key, const char *wanted,
                        struct status *status)
{
    struct text value = text_of(wanted);
    bool found;

    if (!gguf_string(gguf, key, &value, &found, status))
        return false;
    if (!text_is(value, wanted)) {
        const bool ok = tensor_file_name_ok(value);

        return status_fail(status, STATUS_CONFIG, "%s: '%.*s' is not supported, only '%s'", key,
                           ok ? (int)value.len : 1, ok ? value.ptr : "?", wanted);
    }
    return true;
}

/* Without llama.vocab_size, the tokens are counted. */
static bool read_gguf_vocab(struct model_config *c, const struct gguf *gguf, struct status *status)
{
    const struct text *tokens;
    size_t n = 0;
    bool found;

    if (!key_int(gguf, "llama.vocab_size", MAX_VOCAB, &c->vocab_size, &found, status) ||
        (!found && !gguf_string_array(gguf, "tokenizer.ggml.tokens", &tokens, &n, &found, status)))
        return false;
    if (c->vocab_size > 0)
        return true;
    if (n < 1 || n > MAX_VOCAB)
        return status_fail(status, STATUS_CONFIG, "llama.vocab_size: missing");
    c->vocab_size = (int)n;
    return true;
}

static bool read_gguf_heads(struct model_config *c, const struct gguf *gguf, struct status *status)
{
    int value_dim, rotated;
    bool found;

    c->n_kv_heads = c->n_heads;
    if (!key_int(gguf, "llama.attention.head_count_kv", MAX_HEADS, &c->n_kv_heads, &found,
                 status) ||
        !key_int(gguf, "llama.attention.key_length", MAX_HEAD_DIM, &c->head_dim, &found, status) ||
        (!found &&
         !derive_head_dim(c, "llama.embedding_length", "llama.attention.head_count", status)) ||
        !check_heads(c, "llama.attention.head_count", "llama.attention.head_count_kv",
                     "llama.attention.key_length", status))
        return false;
    value_dim = c->head_dim;
    rotated = c->head_dim;
    if (!key_int(gguf, "llama.attention.value_length", MAX_HEAD_DIM, &value_dim, &found, status) ||
        !key_int(gguf, "llama.rope.dimension_count", MAX_HEAD_DIM, &rotated, &found, status))
        return false;
    if (value_dim != c->head_dim)
        return status_fail(status, STATUS_CONFIG,
                           "llama.attention.value_length: %d is not supported with keys of %d",
                           value_dim, c->head_dim);
    if (rotated != c->head_dim)
        return status_fail(status, STATUS_CONFIG,
                           "llama.rope.dimension_count: %d is not supported with heads of %d",
                           rotated, c->head_dim);
    return true;
}

static bool read_gguf_rope(struct model_config *c, const struct gguf *gguf, struct status *status)
{
    static const char *const factors[] = {"llama.rope.scaling.factor", "llama.rope.scale_linear"};
    bool found;

    c->rope_theta = DEFAULT_ROPE_THETA;
    if (!key_float(gguf, "llama.rope.freq_base", MIN_THETA, MAX_THETA, &c->rope_theta, &found,
                   status) ||
        !key_must_be(gguf, "llama.rope.scaling.type", "none", status))
        return false;
    for (size_t i = 0; i < sizeof(factors) / sizeof(factors[0]); i++) {
        double factor = 1.0;

        if (!gguf_float(gguf, factors[i], &factor, &found, status))
            return false;
        if (factor < 1.0 || factor > 1.0)
            return status_fail(status, STATUS_CONFIG, "%s: %g is not supported", factors[i],
                               factor);
    }
    return true;
}

static bool refuse_gguf_extras(const struct model_config *c, const struct gguf *gguf,
                               struct status *status)
{
    uint64_t n_experts = 0, window = 0;
    bool found;

    if (!gguf_uint(gguf, "llama.expert_count", &n_experts, &found, status) ||
        !gguf_uint(gguf, "llama.attention.sliding_window", &window, &found, status))
        return false;
    if (n_experts > 0)
        return status_fail(status, STATUS_CONFIG,
                           "llama.expert_count: mixtures of experts are not supported");
    if (window > 0 && window < (uint64_t)c->max_seq_len)
        return status_fail(status, STATUS_CONFIG,
                           "llama.attention.sliding_window: %" PRIu64
                           " of %d positions is not supported",
                           window, c->max_seq_len);
    for (size_t i = 0; i < gguf->tensors.n_entries; i++) {
        const char *name = gguf->tensors.entries[i].name;
        const size_t len = strlen(name);

        if (strcmp(name, "rope_freqs.weight") == 0)
            return status_fail(status, STATUS_CONFIG, "tensor '%s': rope scaling is not supported",
                               name);
        if (len > 5 && strcmp(name + len - 5, ".bias") == 0)
            return status_fail(status, STATUS_CONFIG, "tensor '%s': biases are not supported",
                               name);
    }
    return true;
}

static bool read_gguf_ids(struct model_config *c, const struct gguf *gguf, struct status *status)
{
    static const char *const ends[] = {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                       "tokenizer.ggml.eom_token_id"};
    uint64_t id;
    bool found;

    c->bos_id = -1;
    if (!gguf_uint(gguf, "tokenizer.ggml.bos_token_id", &id, &found, status))
        return false;
    if (found && id >= (uint64_t)c->vocab_size)
        return status_fail(status, STATUS_CONFIG,
                           "tokenizer.ggml.bos_token_id: %" PRIu64 " is no token of %d", id,
                           c->vocab_size);
    if (found)
        c->bos_id = (int32_t)id;
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        if (!gguf_uint(gguf, ends[i], &id, &found, status) ||
            (found && !add_eos(c, (int64_t)id, ends[i], status)))
            return false;
    }
    return true;
}

bool model_config_read_gguf(struct model_config *config, const struct gguf *gguf,
                            struct status *status)
{
    struct model_config *c = config;
    double eps = MIN_EPS;

    *c = (struct model_config){.architecture = ARCH_LLAMA, .model_type = "llama"};
    c->qk_interleaved = true;
    c->tied_embeddings = !tensor_file_find(&gguf->tensors, "output.weight");
    if (!gguf_string(gguf, "general.architecture", &(struct text){0}, NULL, status) ||
        !key_must_be(gguf, "general.architecture", "llama", status) ||
        !key_must_be(gguf, "general.type", "model", status) ||
        !key_int(gguf, "llama.embedding_length", MAX_DIM, &c->dim, NULL, status) ||
        !key_int(gguf, "llama.block_count", MAX_LAYERS, &c->n_layers, NULL, status) ||
        !key_int(gguf, "llama.attention.head_count", MAX_HEADS, &c->n_heads, NULL, status) ||
        !key_int(gguf, "llama.feed_forward_length", MAX_FFN_DIM, &c->ffn_dim, NULL, status) ||
        !key_int(gguf, "llama.context_length", MAX_POSITIONS, &c->max_seq_len, NULL, status) ||
        !key_float(gguf, "llama.attention.layer_norm_rms_epsilon", MIN_EPS, MAX_EPS, &eps, NULL,
                   status))
        return false;
    c->norm_eps = (float)eps;
    return read_gguf_vocab(c, gguf, status) && read_gguf_heads(c, gguf, status) &&
           read_gguf_rope(c, gguf, status) && refuse_gguf_extras(c, gguf, status) &&
           read_gguf_ids(c, gguf, status);
}
