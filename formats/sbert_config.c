#include "formats/sbert_config.h"

#include <float.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/memory.h"
#include "formats/json_file.h"
#include "formats/tensor_file.h"

#define MIN_SEQ_LENGTH 3 /* [CLS], one token, [SEP] */

#define MODULES "modules.json"
#define TRANSFORMER "sentence_bert_config.json"
#define TOKENIZER "tokenizer_config.json"
#define SETTINGS "config_sentence_transformers.json"

/* What the reading of one folder needs in every part. */
struct folder {
    struct sbert_config *config;
    enum sbert_kind kind;
    sbert_reader *reader;
    void *context;
    int dim, max_positions;
    const char *path; /* for messages; NULL: none */
    struct status *status;
};

/* Puts the file in front of a message, and is false. */
static bool in_file(const struct folder *f, const char *name)
{
    return status_context(f->status, "%s%s%s", f->path ? f->path : "", f->path ? "/" : "", name);
}

/* The JSON object or array of a file; NULL with *absent set if there is no such file. */
static json_t *read_json(const struct folder *f, const char *name, bool *absent)
{
    json_t *root = f->reader(f->context, name, f->status);

    *absent = !root && f->status->code == STATUS_NO_INPUT;
    return root;
}

/* ---- the transformer and its limit ------------------------------------------------------- */

/* An older sentence_bert_config.json names the limit; without it, the tokenizer's own holds, where
 * the model has as many positions. */
static bool read_limit(const struct folder *f, const json_t *transformer, const json_t *tokenizer)
{
    double limit = f->max_positions;
    bool found = false;

    if (!json_file_number(transformer, "max_seq_length", MIN_SEQ_LENGTH, f->max_positions, &limit,
                          &found, f->status))
        return in_file(f, TRANSFORMER);
    if (!found && !json_file_number(tokenizer, "model_max_length", MIN_SEQ_LENGTH, DBL_MAX, &limit,
                                    &found, f->status))
        return in_file(f, TOKENIZER);
    f->config->max_seq_length = limit < f->max_positions ? (int)limit : f->max_positions;
    return true;
}

/* Text goes in as it is; out come token vectors of the last layer, or the head's scores. */
static bool check_transformer(const struct folder *f, const json_t *transformer,
                              const json_t *tokenizer)
{
    static const struct {
        const char *key, *wanted[2]; /* by kind */
        bool of_text;                /* in modality_config.text */
    } known[] = {
        {"transformer_task", {"feature-extraction", "sequence-classification"}, false},
        {"module_output_name", {"token_embeddings", "scores"}, false},
        {"method", {"forward", "forward"}, true},
        {"method_output_name", {"last_hidden_state", "logits"}, true},
    };
    const json_t *text = json_object_get(json_object_get(transformer, "modality_config"), "text");
    bool lower = false, tokenizer_lower = true, found;

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (!json_file_must_be(known[i].of_text ? text : transformer, known[i].key,
                               known[i].wanted[f->kind], f->status))
            return false;
    }
    if (!json_file_bool(transformer, "do_lower_case", &lower, &found, f->status) ||
        !json_file_bool(tokenizer, "do_lower_case", &tokenizer_lower, &found, f->status))
        return false;
    if (lower && !tokenizer_lower)
        return status_fail(f->status, STATUS_CONFIG,
                           "do_lower_case: true is not supported with a tokenizer that keeps case");
    return true;
}

static bool read_transformer(const struct folder *f)
{
    json_t *transformer, *tokenizer = NULL;
    bool absent, ok;

    transformer = read_json(f, TRANSFORMER, &absent);
    ok = transformer || absent;
    if (ok) {
        tokenizer = read_json(f, TOKENIZER, &absent);
        ok = tokenizer || absent;
    }
    ok = ok && (check_transformer(f, transformer, tokenizer) || in_file(f, TRANSFORMER)) &&
         read_limit(f, transformer, tokenizer);
    json_decref(transformer);
    json_decref(tokenizer);
    return ok;
}

/* ---- pooling ----------------------------------------------------------------------------- */

static const struct {
    const char *name, *flag; /* from sentence-transformers 6 on, and before */
    enum sbert_pooling pooling;
} poolings[] = {
    {"mean", "pooling_mode_mean_tokens", SBERT_MEAN},
    {"cls", "pooling_mode_cls_token", SBERT_CLS},
    {"max", "pooling_mode_max_tokens", SBERT_MAX},
};

#define N_POOLINGS (sizeof(poolings) / sizeof(poolings[0]))

/* sentence-transformers up to 5: one boolean a mode; without any, the mean. */
static bool read_pooling_flags(const struct folder *f, const json_t *pooling)
{
    static const char prefix[] = "pooling_mode_";
    const char *key, *first = NULL;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)pooling, key, value)
    {
        size_t i;

        if (strncmp(key, prefix, sizeof(prefix) - 1) != 0 || json_is_false(value))
            continue;
        if (!json_is_true(value))
            return status_fail(f->status, STATUS_CONFIG, "%s: must be true or false",
                               json_file_shown(key));
        for (i = 0; i < N_POOLINGS && strcmp(key, poolings[i].flag) != 0; i++)
            ;
        if (i == N_POOLINGS)
            return status_fail(f->status, STATUS_CONFIG,
                               "%s: true is not supported, only pooling by mean, cls or max",
                               json_file_shown(key));
        if (first)
            return status_fail(f->status, STATUS_CONFIG, "%s: true is not supported beside %s", key,
                               first);
        first = key;
        f->config->pooling = poolings[i].pooling;
    }
    return true;
}

/* From 6 on: the name of the mode, or a list of names. */
static bool read_pooling_mode(const struct folder *f, const json_t *pooling)
{
    const json_t *mode = json_object_get(pooling, "pooling_mode");

    if (!mode)
        return read_pooling_flags(f, pooling);
    if (json_is_array(mode) && json_array_size(mode) > 1)
        return status_fail(f->status, STATUS_CONFIG,
                           "pooling_mode: %zu modes together are not supported, only one",
                           json_array_size(mode));
    if (json_is_array(mode))
        mode = json_array_get(mode, 0);
    for (size_t i = 0; json_is_string(mode) && i < N_POOLINGS; i++) {
        if (strcmp(json_string_value(mode), poolings[i].name) == 0) {
            f->config->pooling = poolings[i].pooling;
            return true;
        }
    }
    return status_fail(f->status, STATUS_CONFIG,
                       "pooling_mode: '%s' is not supported, only 'mean', 'cls' and 'max'",
                       json_is_string(mode) ? json_file_shown(json_string_value(mode)) : "?");
}

static bool check_pooling(const struct folder *f, const json_t *pooling)
{
    static const char *const keys[] = {"word_embedding_dimension", "embedding_dimension"};
    bool found;

    if (!json_is_object(pooling))
        return status_fail(f->status, STATUS_CONFIG, "must be an object");
    for (int i = 0; i < 2; i++) {
        double width = f->dim;

        if (!json_file_number(pooling, keys[i], f->dim, f->dim, &width, &found, f->status))
            return false;
    }
    return json_file_bool(pooling, "include_prompt", &f->config->pools_prompt, &found, f->status) &&
           read_pooling_mode(f, pooling);
}

static bool read_pooling(const struct folder *f, const char *name)
{
    bool absent, ok;
    json_t *root = read_json(f, name, &absent);

    if (!root)
        return false;
    ok = check_pooling(f, root) || in_file(f, name);
    json_decref(root);
    return ok;
}

/* Normalize has a file from sentence-transformers 6 on only. */
static bool read_normalize(const struct folder *f, const char *name)
{
    static const char *const keys[] = {"module_input_name", "module_output_name"};
    bool absent, ok = true;
    json_t *root = read_json(f, name, &absent);

    f->config->normalize = true;
    if (!root)
        return absent;
    for (int i = 0; ok && i < 2; i++)
        ok = json_file_must_be(root, keys[i], "sentence_embedding", f->status);
    json_decref(root);
    return ok || in_file(f, name);
}

/* ---- modules.json ------------------------------------------------------------------------ */

enum { MODULE_POOLING = 1, MODULE_NORMALIZE, MAX_MODULES };

static const char *const module_names[MAX_MODULES] = {"Transformer", "Pooling", "Normalize"};

static const char *const chains[] = {
    [SBERT_ENCODER] = "Transformer, Pooling, Normalize in this order",
    [SBERT_CROSS_ENCODER] = "a Transformer alone",
};

/* A folder inside ours: no way up, no way out. */
static bool safe_path(const char *path)
{
    return path[0] != '/' && !strstr(path, "..") &&
           (!path[0] || tensor_file_name_ok(text_of(path)));
}

/* Module i must be the i-th of module_names; *sub is its folder, into the array. */
static bool check_module(const struct folder *f, const json_t *modules, size_t i, const char **sub)
{
    static const char prefix[] = "sentence_transformers.";
    const size_t most = f->kind == SBERT_ENCODER ? MAX_MODULES : 1;
    const json_t *module = json_array_get(modules, i);
    const char *type, *last;

    if (!json_is_object(module))
        return status_fail(f->status, STATUS_CONFIG, "module %zu: must be an object", i);
    if (!json_file_string(module, "type", &type, NULL, f->status) ||
        !json_file_string(module, "path", sub, NULL, f->status))
        return status_context(f->status, "module %zu", i);
    last = strrchr(type, '.');
    last = last ? last + 1 : type;
    if (i >= most || strncmp(type, prefix, sizeof(prefix) - 1) != 0 ||
        strcmp(last, module_names[i]) != 0)
        return status_fail(f->status, STATUS_CONFIG, "module %zu: '%s' is not supported, only %s",
                           i, json_file_shown(type), chains[f->kind]);
    if (!safe_path(*sub))
        return status_fail(f->status, STATUS_CONFIG,
                           "module %zu: path '%s' leads out of the folder", i,
                           json_file_shown(*sub));
    if (i == 0 && (*sub)[0])
        return status_fail(f->status, STATUS_CONFIG,
                           "module 0: a transformer in the folder '%s' is not supported", *sub);
    return true;
}

static char *module_file(const char *sub)
{
    struct buf path = {0};

    buf_printf(&path, "%s%sconfig.json", sub, sub[0] ? "/" : "");
    return path.data;
}

static bool read_parts(const struct folder *f, const char *const subs[MAX_MODULES])
{
    char *pooling = module_file(subs[MODULE_POOLING]);
    char *normalize = subs[MODULE_NORMALIZE] ? module_file(subs[MODULE_NORMALIZE]) : NULL;
    const bool ok = read_pooling(f, pooling) && (!normalize || read_normalize(f, normalize));

    free(pooling);
    free(normalize);
    return ok;
}

static bool read_modules(const struct folder *f, const json_t *modules)
{
    const bool cross = f->kind == SBERT_CROSS_ENCODER;
    const size_t n = json_array_size(modules);
    const char *subs[MAX_MODULES] = {0};

    for (size_t i = 0; i < n; i++) {
        const char *sub;

        if (!check_module(f, modules, i, &sub))
            return in_file(f, MODULES);
        subs[i] = sub;
    }
    f->config->has_modules = true;
    if (n < (size_t)(cross ? 1 : 2)) {
        status_set(f->status, STATUS_CONFIG, "must list a Transformer%s",
                   cross ? "" : " and a Pooling");
        return in_file(f, MODULES);
    }
    return cross || read_parts(f, subs);
}

/* ---- config_sentence_transformers.json --------------------------------------------------- */

/* The prompt's text; NULL: the folder does not have it. */
static const char *find_prompt(const json_t *prompts, const char *name)
{
    const json_t *prompt = json_object_get(prompts, name);

    if (!prompt)
        return NULL;
    return json_is_null(prompt) ? "" : json_string_value(prompt);
}

static char *copy(const char *prompt)
{
    return prompt ? memory_string(prompt, strlen(prompt)) : memory_string("", 0);
}

static bool check_prompts(const struct folder *f, const json_t *prompts)
{
    const char *name;
    json_t *prompt;

    if (prompts && !json_is_null(prompts) && !json_is_object(prompts))
        return status_fail(f->status, STATUS_CONFIG, "prompts: must be an object");
    json_object_foreach((json_t *)(uintptr_t)prompts, name, prompt)
    {
        if (!json_is_string(prompt) && !json_is_null(prompt))
            return status_fail(f->status, STATUS_CONFIG, "prompts: '%s' must be a string",
                               json_file_shown(name));
    }
    return true;
}

/* As encode_query and encode_document choose: the default prompt is for neither of them, and a
 * folder has an empty "query" and "document" even where it does not name them. */
static bool read_prompts(const struct folder *f, const json_t *root)
{
    static const char *const documents[] = {"document", "passage", "corpus"};
    const json_t *prompts = json_object_get(root, "prompts");
    const char *name = NULL, *query, *document = NULL;
    bool found;

    if (!check_prompts(f, prompts) ||
        !json_file_string(root, "default_prompt_name", &name, &found, f->status))
        return false;
    if (name && !find_prompt(prompts, name) &&
        (f->kind == SBERT_CROSS_ENCODER ||
         (strcmp(name, "query") != 0 && strcmp(name, "document") != 0)))
        return status_fail(f->status, STATUS_CONFIG,
                           "default_prompt_name: no prompt is called '%s'", json_file_shown(name));
    if (f->kind == SBERT_CROSS_ENCODER) {
        query = name ? find_prompt(prompts, name) : "";
    } else {
        query = find_prompt(prompts, "query");
        for (int i = 0; !document && i < 3; i++)
            document = find_prompt(prompts, documents[i]);
    }
    f->config->query_prompt = copy(query);
    f->config->document_prompt = copy(document);
    return true;
}

static bool read_similarity(const struct folder *f, const json_t *root)
{
    const char *name = "cosine";
    bool found;

    if (!json_file_string(root, "similarity_fn_name", &name, &found, f->status))
        return false;
    if (strcmp(name, "cosine") != 0 && strcmp(name, "dot") != 0)
        return status_fail(f->status, STATUS_CONFIG,
                           "similarity_fn_name: '%s' is not supported, only 'cosine' and 'dot'",
                           json_file_shown(name));
    f->config->similarity = name[0] == 'd' ? SBERT_DOT : SBERT_COSINE;
    return true;
}

static bool read_settings(const struct folder *f)
{
    const bool cross = f->kind == SBERT_CROSS_ENCODER;
    bool absent, ok, found;
    json_t *root = read_json(f, SETTINGS, &absent);
    double truncate_dim = f->dim;

    if (!root && !absent)
        return false;
    ok = json_file_must_be(root, "model_type", cross ? "CrossEncoder" : "SentenceTransformer",
                           f->status) &&
         read_prompts(f, root) &&
         (cross || (json_file_number(root, "truncate_dim", f->dim, f->dim, &truncate_dim, &found,
                                     f->status) &&
                    read_similarity(f, root)));
    json_decref(root);
    return ok || in_file(f, SETTINGS);
}

/* ---- the folder -------------------------------------------------------------------------- */

static bool read_folder(const struct folder *f)
{
    json_t *modules;
    bool absent, ok;

    *f->config = (struct sbert_config){.pools_prompt = true};
    modules = read_json(f, MODULES, &absent);
    ok = modules ? read_modules(f, modules) : absent;
    ok = ok && read_settings(f) && read_transformer(f);
    json_decref(modules);
    if (!ok)
        sbert_config_release(f->config);
    return ok;
}

bool sbert_config_parse(struct sbert_config *config, enum sbert_kind kind, sbert_reader *reader,
                        void *context, int dim, int max_positions, struct status *status)
{
    const struct folder f = {config, kind, reader, context, dim, max_positions, NULL, status};

    return read_folder(&f);
}

static json_t *read_file(void *context, const char *name, struct status *status)
{
    const char *folder = context;
    struct buf path = {0};
    json_t *root;

    buf_printf(&path, "%s/%s", folder, name);
    /* model_max_length may have 31 digits */
    root = json_file_read(path.data, JSON_FILE_INTEGERS_AS_REALS, status);
    buf_release(&path);
    return root;
}

bool sbert_config_read(struct sbert_config *config, enum sbert_kind kind, const char *path, int dim,
                       int max_positions, struct status *status)
{
    const struct folder f = {
        config, kind, read_file, (void *)(uintptr_t)path, dim, max_positions, path, status,
    };

    return read_folder(&f);
}

bool sbert_config_read_gguf(struct sbert_config *config, const struct gguf *gguf, int max_positions,
                            struct status *status)
{
    static const char key[] = "bert.pooling_type";
    enum { UNSPECIFIED, MEAN, CLS }; /* llama.cpp's; also: 3 the last token, 4 a score */
    uint64_t type = MEAN;
    bool found;

    *config = (struct sbert_config){0};
    if (!gguf_uint(gguf, key, &type, &found, status))
        return false;
    if (type != MEAN && type != CLS && type != UNSPECIFIED)
        return status_fail(status, STATUS_CONFIG,
                           "%s: %" PRIu64 " is not supported, only 1 (mean) and 2 (cls)", key,
                           type);
    *config = (struct sbert_config){
        .has_modules = true,
        .max_seq_length = max_positions,
        .pooling = type == CLS ? SBERT_CLS : SBERT_MEAN,
        .pools_prompt = true,
        .query_prompt = copy(NULL),
        .document_prompt = copy(NULL),
    };
    return true;
}

void sbert_config_release(struct sbert_config *config)
{
    free(config->query_prompt);
    free(config->document_prompt);
    *config = (struct sbert_config){0};
}
