#include "formats/llama_config.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "formats/json_file.h"

/* What transformers takes when a config.json leaves the member out. */
#define DEFAULT_MISTRAL_WINDOW 4096
#define DEFAULT_MISTRAL_KV_HEADS 8
#define DEFAULT_BOS_ID 1
#define DEFAULT_EOS_ID 2

#define MIN_EPS 1e-30
#define MAX_EPS 1.0

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

static bool is_mistral(const struct model_config *c)
{
    return strcmp(c->model_type, "mistral") == 0;
}

static bool read_heads(struct model_config *c, const json_t *root, struct status *status)
{
    const bool absent = !json_object_get(root, "num_key_value_heads"); /* null: as many as heads */
    bool found;

    c->n_kv_heads = absent && is_mistral(c) ? DEFAULT_MISTRAL_KV_HEADS : c->n_heads;
    return json_file_size(root, "num_key_value_heads", MODEL_CONFIG_MAX_HEADS, &c->n_kv_heads,
                          &found, status) &&
           json_file_size(root, "head_dim", MODEL_CONFIG_MAX_HEAD_DIM, &c->head_dim, &found,
                          status) &&
           (found ||
            model_config_derive_head_dim(c, "hidden_size", "num_attention_heads", status)) &&
           check_heads(c, "num_attention_heads", "num_key_value_heads", "head_dim", status);
}

/* transformers' Mistral has no biases whatever the file says, so such a file means another model.
 */
static bool read_biases(struct model_config *c, const json_t *root, struct status *status)
{
    bool found;

    if (is_mistral(c))
        return json_file_must_be_false(root, "attention_bias", status) &&
               json_file_must_be_false(root, "mlp_bias", status);
    return json_file_bool(root, "attention_bias", &c->attention_bias, &found, status) &&
           json_file_bool(root, "mlp_bias", &c->mlp_bias, &found, status);
}

/* The type that all layers have, NULL where the file does not say. */
static bool read_layer_type(const struct model_config *c, const json_t *root, const char **type,
                            struct status *status)
{
    const json_t *list = json_object_get(root, "layer_types"), *item;
    size_t i;

    *type = NULL;
    if (!list || json_is_null(list))
        return true;
    if (!json_is_array(list) || json_array_size(list) != (size_t)c->n_layers)
        return status_fail(status, STATUS_CONFIG, "layer_types: must be an array of %d names",
                           c->n_layers);
    json_array_foreach(list, i, item)
    {
        const char *name = json_string_value(item);

        if (!name ||
            (strcmp(name, "full_attention") != 0 && strcmp(name, "sliding_attention") != 0))
            return status_fail(status, STATUS_CONFIG,
                               "layer_types: '%s' is not supported, only 'full_attention' and "
                               "'sliding_attention'",
                               name ? json_file_shown(name) : "?");
        if (*type && strcmp(*type, name) != 0)
            return status_fail(status, STATUS_CONFIG,
                               "layer_types: layers of several types are not supported");
        *type = name;
    }
    return true;
}

/* A window as long as the context never bites; only Mistral's layers compute one. */
static bool read_sliding_window(struct model_config *c, const json_t *root, const char *layer_type,
                                struct status *status)
{
    const bool slides = layer_type && strcmp(layer_type, "sliding_attention") == 0;
    bool found;

    if (is_mistral(c) && !json_object_get(root, "sliding_window"))
        c->sliding_window = DEFAULT_MISTRAL_WINDOW;
    if (!json_file_size(root, "sliding_window", INT_MAX, &c->sliding_window, &found, status))
        return false;
    if (c->sliding_window == 0 && slides)
        return status_fail(status, STATUS_CONFIG,
                           "layer_types: 'sliding_attention', but sliding_window is null");
    if (c->sliding_window == 0 || c->sliding_window >= c->max_seq_len)
        return true;
    if (!is_mistral(c))
        return status_fail(status, STATUS_CONFIG,
                           "sliding_window: %d of %d positions is not supported with model_type "
                           "'%s'",
                           c->sliding_window, c->max_seq_len, c->model_type);
    if (layer_type && !slides)
        return status_fail(status, STATUS_CONFIG,
                           "sliding_window: %d of %d positions, but layer_types has '%s'",
                           c->sliding_window, c->max_seq_len, layer_type);
    return true;
}

bool llama_config_add_eos_ids(struct model_config *c, const json_t *root, bool *found,
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
        !llama_config_add_eos_ids(c, root, &found, status))
        return false;
    c->bos_id = bos < c->vocab_size ? (int32_t)bos : -1;
    if (!found && DEFAULT_EOS_ID < c->vocab_size)
        return add_eos(c, DEFAULT_EOS_ID, "eos_token_id", status);
    return true;
}

static bool refuse_layer_configs(const json_t *root, struct status *status)
{
    const json_t *value = json_object_get(root, "per_layer_config");

    if (!value || json_is_null(value))
        return true;
    return status_fail(status, STATUS_CONFIG,
                       "per_layer_config: layers that differ are not supported");
}

bool llama_config_read(struct model_config *c, const json_t *root, struct status *status)
{
    const char *layer_type;
    double eps;
    bool found;

    if (!read_heads(c, root, status) ||
        !json_file_number(root, "rms_norm_eps", MIN_EPS, MAX_EPS, &eps, NULL, status) ||
        !json_file_bool(root, "tie_word_embeddings", &c->tied_embeddings, &found, status))
        return false;
    c->norm_eps = (float)eps;
    return json_file_must_be(root, "hidden_act", "silu", status) && read_biases(c, root, status) &&
           refuse_layer_configs(root, status) && read_layer_type(c, root, &layer_type, status) &&
           rope_config_read(&c->rope, root, layer_type, status) &&
           read_sliding_window(c, root, layer_type, status) && read_special_ids(c, root, status);
}

/* ---- GGUF -------------------------------------------------------------------------------- */

static bool fail_unsupported(const char *key, struct text value, const char *wanted,
                             struct status *status)
{
    const bool ok = tensor_file_name_ok(value);

    return status_fail(status, STATUS_CONFIG, "%s: '%.*s' is not supported, only %s", key,
                       ok ? (int)value.len : 1, ok ? value.ptr : "?", wanted);
}

/* An integer or a float as a number; left alone where it is absent. */
static bool number_of(const struct gguf *gguf, const char *key, double *value,
                      struct status *status)
{
    struct status other = {0};
    uint64_t whole = 0;
    bool found;

    if (gguf_float(gguf, key, value, &found, &other))
        return true;
    if (!gguf_uint(gguf, key, &whole, &found, status))
        return false;
    *value = (double)whole;
    return true;
}

/* Without llama.vocab_size, the tokens are counted. */
static bool read_gguf_vocab(struct model_config *c, const struct gguf *gguf, struct status *status)
{
    const struct text *tokens;
    size_t n = 0;
    bool found;

    if (!gguf_size(gguf, "llama.vocab_size", MODEL_CONFIG_MAX_VOCAB, &c->vocab_size, &found,
                   status) ||
        (!found && !gguf_string_array(gguf, "tokenizer.ggml.tokens", &tokens, &n, &found, status)))
        return false;
    if (c->vocab_size > 0)
        return true;
    if (n < 1 || n > MODEL_CONFIG_MAX_VOCAB)
        return status_fail(status, STATUS_CONFIG, "llama.vocab_size: missing");
    c->vocab_size = (int)n;
    return true;
}

static bool read_gguf_heads(struct model_config *c, const struct gguf *gguf, struct status *status)
{
    int value_dim, rotated;
    bool found;

    c->n_kv_heads = c->n_heads;
    if (!gguf_size(gguf, "llama.attention.head_count_kv", MODEL_CONFIG_MAX_HEADS, &c->n_kv_heads,
                   &found, status) ||
        !gguf_size(gguf, "llama.attention.key_length", MODEL_CONFIG_MAX_HEAD_DIM, &c->head_dim,
                   &found, status) ||
        (!found && !model_config_derive_head_dim(c, "llama.embedding_length",
                                                 "llama.attention.head_count", status)) ||
        !check_heads(c, "llama.attention.head_count", "llama.attention.head_count_kv",
                     "llama.attention.key_length", status))
        return false;
    value_dim = c->head_dim;
    rotated = c->head_dim;
    if (!gguf_size(gguf, "llama.attention.value_length", MODEL_CONFIG_MAX_HEAD_DIM, &value_dim,
                   &found, status) ||
        !gguf_size(gguf, "llama.rope.dimension_count", MODEL_CONFIG_MAX_HEAD_DIM, &rotated, &found,
                   status))
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

/* As llama.cpp: no type means linear, whose factor is 1 unless the file says one. The factors of
 * Llama 3 lie in the tensor rope_freqs.weight, which model/rope.h reads. */
static bool read_gguf_rope(struct rope_config *rope, const struct gguf *gguf, struct status *status)
{
    static const char type_key[] = "llama.rope.scaling.type";
    static const char *const keys[] = {"llama.rope.scaling.factor", "llama.rope.scale_linear"};
    struct text type = text_of("linear");
    double factor = 0; /* 0: none */
    bool found;

    rope->theta = ROPE_CONFIG_DEFAULT_THETA;
    if (!gguf_number(gguf, "llama.rope.freq_base", ROPE_CONFIG_MIN_THETA, ROPE_CONFIG_MAX_THETA,
                     &rope->theta, &found, status) ||
        !gguf_string(gguf, type_key, &type, &found, status))
        return false;
    if (!text_is(type, "none") && !text_is(type, "linear"))
        return fail_unsupported(type_key, type, "'none' and 'linear'", status);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]) && factor == 0; i++) {
        if (!gguf_number(gguf, keys[i], 0, ROPE_CONFIG_MAX_FACTOR, &factor, &found, status))
            return false;
        if (factor > 0 && factor < ROPE_CONFIG_MIN_FACTOR)
            return status_fail(status, STATUS_CONFIG, "%s: must be 0 or no less than %g, is %g",
                               keys[i], ROPE_CONFIG_MIN_FACTOR, factor);
    }
    if (text_is(type, "linear") && factor > 0) {
        rope->scaling = ROPE_LINEAR;
        rope->factor = factor;
    }
    return true;
}

/* What llama.cpp computes for other models of this family: there, and not the value that changes
 * nothing, it is refused. */
static bool refuse_gguf_extras(const struct gguf *gguf, struct status *status)
{
    static const struct {
        const char *key;
        double neutral, also; /* values that change nothing */
    } extras[] = {
        {"llama.expert_count", 0, 0},
        {"llama.attention.scale", 0, 0},
        {"llama.attention.clamp_kqv", 0, 0},
        {"llama.attention.max_alibi_bias", 0, 0},
        {"llama.attention.sliding_window_pattern", 0, 1},
        {"llama.attention.temperature_length", 0, 0},
        {"llama.attention.temperature_scale", 0, 0},
        {"llama.attn_logit_softcapping", 0, 0},
        {"llama.final_logit_softcapping", 0, 0},
        {"llama.logit_scale", 0, 1},
        {"llama.embedding_scale", 0, 1},
        {"llama.residual_scale", 0, 1},
        {"llama.rope.scaling.attn_factor", 1, 1},
    };

    for (size_t i = 0; i < sizeof(extras) / sizeof(extras[0]); i++) {
        double value = extras[i].neutral;

        if (!number_of(gguf, extras[i].key, &value, status))
            return false;
        if (!(value >= extras[i].neutral && value <= extras[i].neutral) &&
            !(value >= extras[i].also && value <= extras[i].also))
            return status_fail(status, STATUS_CONFIG, "%s: %g is not supported", extras[i].key,
                               value);
    }
    return true;
}

/* Files of the architecture llama have a window only where somebody wrote one. */
static bool read_gguf_window(struct model_config *c, const struct gguf *gguf, struct status *status)
{
    static const char causal_key[] = "llama.attention.causal";
    uint64_t window = 0;
    bool found, causal = true;

    if (!gguf_uint(gguf, "llama.attention.sliding_window", &window, &found, status) ||
        !gguf_bool(gguf, causal_key, &causal, &found, status))
        return false;
    if (!causal)
        return status_fail(status, STATUS_CONFIG, "%s: false is not supported", causal_key);
    c->sliding_window = window < INT_MAX ? (int)window : INT_MAX;
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

bool llama_config_read_gguf(struct model_config *config, const struct gguf *gguf,
                            struct status *status)
{
    struct model_config *c = config;
    double eps = MIN_EPS;

    c->qk_interleaved = true;
    c->tied_embeddings = !tensor_file_find(&gguf->tensors, "output.weight");
    if (!gguf_size(gguf, "llama.embedding_length", MODEL_CONFIG_MAX_DIM, &c->dim, NULL, status) ||
        !gguf_size(gguf, "llama.block_count", MODEL_CONFIG_MAX_LAYERS, &c->n_layers, NULL,
                   status) ||
        !gguf_size(gguf, "llama.attention.head_count", MODEL_CONFIG_MAX_HEADS, &c->n_heads, NULL,
                   status) ||
        !gguf_size(gguf, "llama.feed_forward_length", MODEL_CONFIG_MAX_FFN_DIM, &c->ffn_dim, NULL,
                   status) ||
        !gguf_size(gguf, "llama.context_length", MODEL_CONFIG_MAX_POSITIONS, &c->max_seq_len, NULL,
                   status) ||
        !gguf_number(gguf, "llama.attention.layer_norm_rms_epsilon", MIN_EPS, MAX_EPS, &eps, NULL,
                     status))
        return false;
    c->norm_eps = (float)eps;
    return read_gguf_vocab(c, gguf, status) && read_gguf_heads(c, gguf, status) &&
           read_gguf_rope(&c->rope, gguf, status) && read_gguf_window(c, gguf, status) &&
           refuse_gguf_extras(gguf, status) && read_gguf_ids(c, gguf, status);
}
