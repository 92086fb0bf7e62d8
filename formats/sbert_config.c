#include "formats/sbert_config.h"

#include <float.h>
#include <string.h>

#include "base/buf.h"
#include "formats/json_file.h"
#include "formats/tensor_file.h"

#define MIN_SEQ_LENGTH 3 /* [CLS], one token, [SEP] */

/* The JSON object or array in folder/sub/name. NULL with *absent set if there is no such file. */
static json_t *read_json(const char *folder, const char *sub, const char *name, struct buf *path,
                         bool *absent, struct status *status)
{
    unsigned flags = JSON_FILE_INTEGERS_AS_REALS; /* model_max_length may have 31 digits */
    json_t *root;

    buf_reset(path);
    buf_printf(path, "%s/%s%s%s", folder, sub, sub[0] ? "/" : "", name);
    root = json_file_read(path->data, flags, status);
    *absent = !root && status->code == STATUS_NO_INPUT;
    return root;
}

/* ---- the token limit --------------------------------------------------------------------- */

/* An older sentence_bert_config.json names the limit; without it, the tokenizer's own holds, where
 * the model has as many positions. */
static bool read_limit(struct sbert_config *config, const json_t *transformer,
                       const json_t *tokenizer, int max_positions, struct status *status)
{
    double limit = max_positions;
    bool found = false;

    if (!json_file_number(transformer, "max_seq_length", MIN_SEQ_LENGTH, max_positions, &limit,
                          &found, status))
        return status_context(status, "sentence_bert_config.json");
    if (!found && !json_file_number(tokenizer, "model_max_length", MIN_SEQ_LENGTH, DBL_MAX, &limit,
                                    &found, status))
        return status_context(status, "tokenizer_config.json");
    config->max_seq_length = limit < max_positions ? (int)limit : max_positions;
    return true;
}

/* Text goes in as it is, token vectors come out of the last layer. */
static bool check_transformer(const json_t *transformer, const json_t *tokenizer,
                              struct status *status)
{
    const json_t *text = json_object_get(json_object_get(transformer, "modality_config"), "text");
    static const struct {
        const char *key, *wanted;
    } known[] = {
        {"transformer_task", "feature-extraction"},
        {"module_output_name", "token_embeddings"},
        {"method", "forward"},
        {"method_output_name", "last_hidden_state"},
    };
    bool lower = false, tokenizer_lower = true, found;

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        const char *value = known[i].wanted;

        if (!json_file_string(i < 2 ? transformer : text, known[i].key, &value, &found, status))
            return false;
        if (strcmp(value, known[i].wanted) != 0)
            return status_fail(status, STATUS_CONFIG, "%s: '%s' is not supported, only '%s'",
                               known[i].key, json_file_shown(value), known[i].wanted);
    }
    if (!json_file_bool(transformer, "do_lower_case", &lower, &found, status) ||
        !json_file_bool(tokenizer, "do_lower_case", &tokenizer_lower, &found, status))
        return false;
    if (lower && !tokenizer_lower)
        return status_fail(status, STATUS_CONFIG,
                           "do_lower_case: true is not supported with a tokenizer that keeps case");
    return true;
}

static bool read_transformer(struct sbert_config *config, const char *folder, int max_positions,
                             struct buf *path, struct status *status)
{
    json_t *transformer, *tokenizer = NULL;
    bool absent, ok;

    transformer = read_json(folder, "", "sentence_bert_config.json", path, &absent, status);
    ok = transformer || absent;
    if (ok) {
        tokenizer = read_json(folder, "", "tokenizer_config.json", path, &absent, status);
        ok = tokenizer || absent;
    }
    if (ok) {
        ok = (check_transformer(transformer, tokenizer, status) ||
              status_context(status, "sentence_bert_config.json")) &&
             read_limit(config, transformer, tokenizer, max_positions, status);
        if (!ok)
            status_prefix(status, "%s", folder);
    }
    json_decref(transformer);
    json_decref(tokenizer);
    return ok;
}

/* ---- pooling ----------------------------------------------------------------------------- */

/* sentence-transformers up to 5: one boolean a mode. */
static bool check_pooling_flags(const json_t *pooling, struct status *status)
{
    static const char prefix[] = "pooling_mode_";
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)pooling, key, value)
    {
        if (strncmp(key, prefix, sizeof(prefix) - 1) != 0 ||
            strcmp(key, "pooling_mode_mean_tokens") == 0)
            continue;
        if (!json_is_false(value))
            return status_fail(status, STATUS_CONFIG,
                               "%s: must be false, only pooling by mean is supported",
                               json_file_shown(key));
    }
    return true;
}

/* From 6 on: the name of the mode, or a list of names. */
static bool check_pooling_mode(const json_t *pooling, struct status *status)
{
    const json_t *mode = json_object_get(pooling, "pooling_mode");

    if (!mode)
        return check_pooling_flags(pooling, status);
    if (json_is_array(mode) && json_array_size(mode) == 1)
        mode = json_array_get(mode, 0);
    if (!json_is_string(mode) || strcmp(json_string_value(mode), "mean") != 0)
        return status_fail(status, STATUS_CONFIG,
                           "pooling_mode: '%s' is not supported, only 'mean'",
                           json_is_string(mode) ? json_file_shown(json_string_value(mode)) : "?");
    return true;
}

static bool check_pooling(const json_t *pooling, int dim, struct status *status)
{
    static const char *const keys[] = {"word_embedding_dimension", "embedding_dimension"};

    if (!json_is_object(pooling))
        return status_fail(status, STATUS_CONFIG, "must be an object");
    for (int i = 0; i < 2; i++) {
        double width = dim;
        bool found;

        if (!json_file_number(pooling, keys[i], dim, dim, &width, &found, status))
            return false;
    }
    return check_pooling_mode(pooling, status);
}

static bool read_pooling(struct sbert_config *config, const char *folder, const char *sub, int dim,
                         struct buf *path, struct status *status)
{
    bool absent, ok;
    json_t *root = read_json(folder, sub, "config.json", path, &absent, status);

    if (!root)
        return false;
    config->pooling = POOLING_MEAN;
    ok = check_pooling(root, dim, status) || status_context(status, "%s", path->data);
    json_decref(root);
    return ok;
}

/* Normalize has a file from sentence-transformers 6 on only. */
static bool read_normalize(struct sbert_config *config, const char *folder, const char *sub,
                           struct buf *path, struct status *status)
{
    static const char *const keys[] = {"module_input_name", "module_output_name"};
    bool absent, found, ok = true;
    json_t *root = read_json(folder, sub, "config.json", path, &absent, status);

    config->normalize = true;
    if (!root)
        return absent;
    for (int i = 0; ok && i < 2; i++) {
        const char *value = "sentence_embedding";

        ok = json_file_string(root, keys[i], &value, &found, status) &&
             (strcmp(value, "sentence_embedding") == 0 ||
              status_fail(status, STATUS_CONFIG, "%s: '%s' is not supported", keys[i],
                          json_file_shown(value)));
    }
    if (!ok)
        status_prefix(status, "%s", path->data);
    json_decref(root);
    return ok;
}

/* ---- modules.json ------------------------------------------------------------------------ */

enum { TRANSFORMER, POOLING, NORMALIZE, MAX_MODULES };

static const char *const module_names[MAX_MODULES] = {"Transformer", "Pooling", "Normalize"};

/* A folder inside ours: no way up, no way out. */
static bool safe_path(const char *path)
{
    return path[0] != '/' && !strstr(path, "..") &&
           (!path[0] || tensor_file_name_ok(text_of(path)));
}

/* Module i must be the i-th of module_names; *sub is its folder, into the array. */
static bool check_module(const json_t *modules, size_t i, const char **sub, struct status *status)
{
    const json_t *module = json_array_get(modules, i);
    const char *type, *last;

    if (!json_is_object(module))
        return status_fail(status, STATUS_CONFIG, "module %zu: must be an object", i);
    if (!json_file_string(module, "type", &type, NULL, status) ||
        !json_file_string(module, "path", sub, NULL, status))
        return status_context(status, "module %zu", i);
    last = strrchr(type, '.');
    last = last ? last + 1 : type;
    if (i >= MAX_MODULES || strncmp(type, "sentence_transformers.", 22) != 0 ||
        strcmp(last, module_names[i]) != 0)
        return status_fail(status, STATUS_CONFIG,
                           "module %zu: '%s' is not supported, only Transformer, Pooling, "
                           "Normalize in this order",
                           i, json_file_shown(type));
    if (!safe_path(*sub))
        return status_fail(status, STATUS_CONFIG, "module %zu: path '%s' leads out of the folder",
                           i, json_file_shown(*sub));
    if (i == TRANSFORMER && (*sub)[0])
        return status_fail(status, STATUS_CONFIG,
                           "module 0: a transformer in the folder '%s' is not supported", *sub);
    return true;
}

static bool read_modules(struct sbert_config *config, const json_t *modules, const char *folder,
                         int dim, struct buf *path, struct status *status)
{
    const size_t n = json_array_size(modules);
    const char *subs[MAX_MODULES] = {0};

    for (size_t i = 0; i < n; i++) {
        const char *sub;

        if (!check_module(modules, i, &sub, status))
            return status_context(status, "%s", path->data);
        subs[i] = sub;
    }
    if (!json_is_array(modules) || n < 2)
        return status_fail(status, STATUS_CONFIG, "%s: must list a Transformer and a Pooling",
                           path->data);
    return read_pooling(config, folder, subs[POOLING], dim, path, status) &&
           (n <= NORMALIZE || read_normalize(config, folder, subs[NORMALIZE], path, status));
}

/* Settings of the whole: a text before every text, or fewer dimensions, would change the result. */
static bool check_settings(const char *folder, int dim, struct buf *path, struct status *status)
{
    bool absent, ok, found;
    json_t *root =
        read_json(folder, "", "config_sentence_transformers.json", path, &absent, status);
    const char *name = NULL, *prompt;
    double truncate_dim = dim;

    if (!root)
        return absent;
    ok = json_file_number(root, "truncate_dim", dim, dim, &truncate_dim, &found, status) &&
         json_file_string(root, "default_prompt_name", &name, &found, status);
    if (ok && name) {
        prompt = json_string_value(json_object_get(json_object_get(root, "prompts"), name));
        if (!prompt || prompt[0])
            ok = status_fail(status, STATUS_CONFIG,
                             "default_prompt_name: prompts are not supported, found '%s'",
                             json_file_shown(name));
    }
    if (!ok)
        status_prefix(status, "%s", path->data);
    json_decref(root);
    return ok;
}

bool sbert_config_read(struct sbert_config *config, const char *folder, int dim, int max_positions,
                       struct status *status)
{
    struct buf path = {0};
    json_t *modules;
    bool absent, ok;

    *config = (struct sbert_config){.pooling = POOLING_MEAN};
    modules = read_json(folder, "", "modules.json", &path, &absent, status);
    ok = modules ? read_modules(config, modules, folder, dim, &path, status) : absent;
    ok = ok && check_settings(folder, dim, &path, status) &&
         read_transformer(config, folder, max_positions, &path, status);
    json_decref(modules);
    buf_release(&path);
    return ok;
}
