#include "formats/tokenizer_config.h"

#include <string.h>
#include <unistd.h>

#include "base/mapped_file.h"
#include "formats/json_file.h"

enum { MAX_TEMPLATE = 1 << 20 };

static const char *const special_keys[N_SPECIAL] = {
    "unk_token", "cls_token", "sep_token", "pad_token", "mask_token", "bos_token", "eos_token"};

/* A special token is a string or an object with its "content". */
static bool read_specials(struct tokenizer_config *config, struct status *status)
{
    for (size_t i = 0; i < N_SPECIAL; i++) {
        const json_t *value = json_object_get(config->root, special_keys[i]);

        if (!value || json_is_null(value))
            continue;
        config->special[i] =
            json_string_value(json_is_object(value) ? json_object_get(value, "content") : value);
        if (!config->special[i])
            return status_fail(status, STATUS_CONFIG, "%s: must be a string or a token",
                               special_keys[i]);
    }
    return true;
}

static bool read_bool(const struct tokenizer_config *config, const char *key,
                      struct tokenizer_config_bool *option, struct status *status)
{
    return json_file_bool(config->root, key, &option->value, &option->found, status);
}

/* One template as a string, or several by their names, of which "default" is meant. */
static void read_template(struct tokenizer_config *config)
{
    const json_t *value = json_object_get(config->root, "chat_template"), *item;
    size_t i;

    json_array_foreach(value, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));

        if (name && strcmp(name, "default") == 0) {
            value = json_object_get(item, "template");
            break;
        }
    }
    if (json_is_string(value))
        buf_append_string(&config->chat_template, json_string_value(value));
}

static bool read_members(struct tokenizer_config *config, struct status *status)
{
    bool found;

    if (!json_is_object(config->root))
        return status_fail(status, STATUS_CONFIG, "must be an object");
    if (!json_file_string(config->root, "tokenizer_class", &config->class, &found, status) ||
        !read_specials(config, status) ||
        !read_bool(config, "do_lower_case", &config->do_lower_case, status) ||
        !read_bool(config, "tokenize_chinese_chars", &config->tokenize_chinese_chars, status) ||
        !read_bool(config, "strip_accents", &config->strip_accents, status) ||
        !read_bool(config, "add_bos_token", &config->add_bos_token, status) ||
        !read_bool(config, "add_eos_token", &config->add_eos_token, status) ||
        !read_bool(config, "add_prefix_space", &config->add_prefix_space, status))
        return false;
    read_template(config);
    return true;
}

/* The file wins over the member, as in transformers. */
static bool read_template_file(struct tokenizer_config *config, const char *path,
                               struct status *status)
{
    struct mapped_file map;
    bool ok;

    if (access(path, F_OK) != 0)
        return true;
    if (!mapped_file_open(&map, path, status))
        return false;
    ok = map.size <= MAX_TEMPLATE ||
         status_fail(status, STATUS_CONFIG, "%s: %zu bytes, at most %d are read", path, map.size,
                     MAX_TEMPLATE);
    if (ok) {
        buf_reset(&config->chat_template);
        buf_append(&config->chat_template, map.data, map.size);
    }
    mapped_file_close(&map);
    return ok;
}

bool tokenizer_config_read(struct tokenizer_config *config, const char *folder,
                           struct status *status)
{
    struct buf path = {0};
    bool ok = true;

    *config = (struct tokenizer_config){0};
    buf_printf(&path, "%s/tokenizer_config.json", folder);
    if (access(path.data, F_OK) == 0) {
        config->root = json_file_read(path.data, JSON_FILE_INTEGERS_AS_REALS, status);
        ok = config->root &&
             (read_members(config, status) || status_context(status, "%s", path.data));
    }
    buf_reset(&path);
    buf_printf(&path, "%s/chat_template.jinja", folder);
    ok = ok && read_template_file(config, path.data, status);
    buf_release(&path);
    if (!ok)
        tokenizer_config_release(config);
    return ok;
}

void tokenizer_config_release(struct tokenizer_config *config)
{
    json_decref(config->root);
    buf_release(&config->chat_template);
    *config = (struct tokenizer_config){0};
}

/* The class, with or without "Fast" behind it. */
static bool is_class(const struct tokenizer_config *config, const char *name)
{
    const size_t n = strlen(name);

    return config->class && strncmp(config->class, name, n) == 0 &&
           (config->class[n] == '\0' || strcmp(config->class + n, "Fast") == 0);
}

bool tokenizer_config_is_bert(const struct tokenizer_config *config)
{
    return is_class(config, "BertTokenizer") || is_class(config, "DistilBertTokenizer");
}

bool tokenizer_config_is_gpt2(const struct tokenizer_config *config)
{
    return is_class(config, "GPT2Tokenizer");
}

bool tokenizer_config_is_roberta(const struct tokenizer_config *config)
{
    return is_class(config, "RobertaTokenizer");
}
