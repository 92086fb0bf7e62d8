#include "formats/peft_config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "formats/json_file.h"
#include "formats/json_kind.h"

/* What PEFT takes when a file leaves the key out. */
#define DEFAULT_RANK 8
#define DEFAULT_ALPHA 8

#define MAX_ALPHA 1e9

/* Null, false or empty: what every version of PEFT writes for "not used". */
static bool is_idle(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_NULL:
    case JSON_FALSE:
        return true;
    case JSON_STRING:
        return json_string_length(value) == 0;
    case JSON_ARRAY:
        return json_array_size(value) == 0;
    case JSON_OBJECT:
        return json_object_size(value) == 0;
    default:
        return false;
    }
}

/* Keys that are read below. */
static const char *const used_keys[] = {
    "peft_type",       "r",
    "lora_alpha",      "use_rslora",
    "fan_in_fan_out",  "target_modules",
    "exclude_modules", "layers_to_transform",
    "layers_pattern",  "rank_pattern",
    "alpha_pattern",   "bias",
    "lora_dropout",    "init_lora_weights",
    "task_type",       "base_model_name_or_path",
    "revision",        "peft_version",
};

/* Keys that matter while training, or to Python alone. loftq, corda, eva and lora_ga prepare what
 * is trained: init_lora_weights says which of them was, and is judged there. */
static const char *const unused_keys[] = {
    "auto_mapping", "inference_mode", "loftq_config",
    "corda_config", "eva_config",     "lora_ga_config",
};

/* Keys that change what is computed. */
static const struct {
    const char *key, *what;
} refused_keys[] = {
    {"use_dora", "DoRA"},
    {"lora_bias", "biases of lora_B"},
    {"modules_to_save", "modules that are saved whole"},
    {"trainable_token_indices", "embeddings of single tokens"},
    {"target_parameters", "parameters that are no modules"},
    {"layer_replication", "layers used several times"},
    {"alora_invocation_tokens", "aLoRA"},
    {"arrow_config", "Arrow"},
    {"kasa_config", "KaSA"},
    {"velora_config", "VeLoRA"},
    {"monteclora_config", "MonteCLoRA"},
    {"megatron_config", "Megatron"},
    {"use_qalora", "QALoRA"},
    {"use_bdlora", "BD-LoRA"},
    {"ensure_weight_tying", "adapters of tied weights"},
};

/* Keys with a value that says "not used", as it depends on another one that is refused. */
static bool is_documented_idle(const char *key, const json_t *value)
{
    if (strcmp(key, "qalora_group_size") == 0)
        return json_is_integer(value) && json_integer_value(value) == 16;
    if (strcmp(key, "megatron_core") == 0)
        return json_is_string(value) && strcmp(json_string_value(value), "megatron.core") == 0;
    return false;
}

static bool is_in(const char *key, const char *const *keys, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(key, keys[i]) == 0)
            return true;
    }
    return false;
}

static bool check_keys(json_t *root, struct status *status)
{
    const char *key;
    json_t *value;

    json_object_foreach(root, key, value)
    {
        if (is_idle(value) || is_documented_idle(key, value) ||
            is_in(key, used_keys, sizeof(used_keys) / sizeof(used_keys[0])) ||
            is_in(key, unused_keys, sizeof(unused_keys) / sizeof(unused_keys[0])))
            continue;
        for (size_t i = 0; i < sizeof(refused_keys) / sizeof(refused_keys[0]); i++) {
            if (strcmp(key, refused_keys[i].key) == 0)
                return status_fail(status, STATUS_CONFIG, "%s: %s: not supported", key,
                                   refused_keys[i].what);
        }
        return status_fail(status, STATUS_CONFIG,
                           "%s: not known, and its value is not null, false or empty",
                           json_file_shown(key));
    }
    return true;
}

static bool check_type(const json_t *root, struct status *status)
{
    const char *type;

    if (!json_file_string(root, "peft_type", &type, NULL, status))
        return false;
    if (strcmp(type, "LORA") == 0)
        return true;
    return status_fail(status, STATUS_CONFIG, "peft_type: '%s' is not supported, only 'LORA'",
                       json_file_shown(type));
}

/* PiSSA and its like train the rest of a base whose main part they took out first. */
static bool check_init(const json_t *root, struct status *status)
{
    static const char *const harmless[] = {"gaussian", "eva", "orthogonal", "mica"};
    const json_t *value = json_object_get(root, "init_lora_weights");

    if (!value || json_is_null(value) || json_is_boolean(value))
        return true;
    if (!json_is_string(value))
        return status_fail(status, STATUS_CONFIG,
                           "init_lora_weights: must be a boolean or a string, is %s",
                           json_kind(value));
    if (is_in(json_string_value(value), harmless, sizeof(harmless) / sizeof(harmless[0])))
        return true;
    return status_fail(status, STATUS_CONFIG,
                       "init_lora_weights: '%s' is not supported: it changes the base model too",
                       json_file_shown(json_string_value(value)));
}

/* A string or a list of strings; null is neither. */
static bool read_names(const json_t *root, const char *key, struct peft_names *names,
                       struct status *status)
{
    const json_t *value = json_object_get(root, key), *item;
    size_t i;

    if (!value || json_is_null(value))
        return true;
    names->given = true;
    if (json_is_string(value)) {
        names->pattern = json_string_value(value);
        return true;
    }
    if (!json_is_array(value))
        return status_fail(status, STATUS_CONFIG, "%s: must be a string or a list, is %s", key,
                           json_kind(value));
    if (json_array_size(value) > PEFT_CONFIG_MAX_NAMES)
        return status_fail(status, STATUS_CONFIG, "%s: %zu names, at most %zu are read", key,
                           json_array_size(value), PEFT_CONFIG_MAX_NAMES);
    names->names = memory_zeroed(json_array_size(value) + 1, sizeof(*names->names));
    json_array_foreach(value, i, item)
    {
        if (!json_is_string(item))
            return status_fail(status, STATUS_CONFIG, "%s[%zu]: must be a string, is %s", key, i,
                               json_kind(item));
        names->names[names->n_names++] = json_string_value(item);
    }
    return true;
}

/* One number or a list of them. */
static bool read_layers(struct peft_config *c, const json_t *root, struct status *status)
{
    static const char key[] = "layers_to_transform";
    const json_t *value = json_object_get(root, key);
    const size_t n = json_is_array(value) ? json_array_size(value) : 1;

    if (!value || json_is_null(value))
        return true;
    if (n > PEFT_CONFIG_MAX_NAMES)
        return status_fail(status, STATUS_CONFIG, "%s: %zu numbers, at most %zu are read", key, n,
                           PEFT_CONFIG_MAX_NAMES);
    c->layers = memory_zeroed(n + 1, sizeof(*c->layers));
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_is_array(value) ? json_array_get(value, i) : value;

        if (!json_is_integer(item))
            return status_fail(status, STATUS_CONFIG,
                               "%s: must be an integer or a list of them, has %s", key,
                               json_kind(item));
        c->layers[c->n_layers++] = (int64_t)json_integer_value(item);
    }
    return true;
}

/* {"pattern": number}; ranks are integers from 1 on. */
static bool read_patterns(const json_t *root, const char *key, bool are_ranks,
                          struct peft_pattern **patterns, size_t *n, struct status *status)
{
    json_t *object = json_object_get(root, key), *value;
    const char *pattern;

    if (!object || json_is_null(object))
        return true;
    if (!json_is_object(object))
        return status_fail(status, STATUS_CONFIG, "%s: must be an object, is %s", key,
                           json_kind(object));
    if (json_object_size(object) > PEFT_CONFIG_MAX_PATTERNS)
        return status_fail(status, STATUS_CONFIG, "%s: %zu patterns, at most %zu are read", key,
                           json_object_size(object), PEFT_CONFIG_MAX_PATTERNS);
    *patterns = memory_zeroed(json_object_size(object) + 1, sizeof(**patterns));
    json_object_foreach(object, pattern, value)
    {
        const double number = json_number_value(value); /* 0 where it is none */

        if (are_ranks && (!json_is_integer(value) || number < 1 || number > PEFT_CONFIG_MAX_RANK))
            return status_fail(status, STATUS_CONFIG,
                               "%s['%s']: a rank must be an integer from 1 to %d", key,
                               json_file_shown(pattern), PEFT_CONFIG_MAX_RANK);
        if (!json_is_number(value) || fabs(number) > MAX_ALPHA)
            return status_fail(status, STATUS_CONFIG,
                               "%s['%s']: an alpha must be a number from %g to %g", key,
                               json_file_shown(pattern), -MAX_ALPHA, MAX_ALPHA);
        (*patterns)[(*n)++] = (struct peft_pattern){pattern, number};
    }
    return true;
}

static bool read_numbers(struct peft_config *c, const json_t *root, struct status *status)
{
    double dropout;
    bool found;

    c->r = DEFAULT_RANK;
    c->lora_alpha = DEFAULT_ALPHA;
    return json_file_size(root, "r", PEFT_CONFIG_MAX_RANK, &c->r, &found, status) &&
           json_file_number(root, "lora_alpha", -MAX_ALPHA, MAX_ALPHA, &c->lora_alpha, &found,
                            status) &&
           json_file_number(root, "lora_dropout", 0, 1, &dropout, &found, status) &&
           json_file_bool(root, "use_rslora", &c->use_rslora, &found, status) &&
           json_file_bool(root, "fan_in_fan_out", &c->fan_in_fan_out, &found, status);
}

static bool read_strings(struct peft_config *c, const json_t *root, struct status *status)
{
    bool found;

    return json_file_string(root, "base_model_name_or_path", &c->base_model, &found, status) &&
           json_file_string(root, "revision", &c->revision, &found, status) &&
           json_file_string(root, "task_type", &c->task_type, &found, status) &&
           json_file_string(root, "peft_version", &c->peft_version, &found, status);
}

/* What PEFT refuses too. */
static bool check_layers(const struct peft_config *c, struct status *status)
{
    const struct peft_names *pattern = &c->layers_pattern;

    if (c->layers && c->target_modules.pattern)
        return status_fail(status, STATUS_CONFIG,
                           "layers_to_transform: not with a string in target_modules");
    if (pattern->given && c->target_modules.pattern)
        return status_fail(status, STATUS_CONFIG,
                           "layers_pattern: not with a string in target_modules");
    if (!c->layers && (pattern->n_names > 0 || (pattern->pattern && pattern->pattern[0])))
        return status_fail(status, STATUS_CONFIG,
                           "layers_pattern: not without "
                           "layers_to_transform");
    return true;
}

static bool parse(struct peft_config *c, struct status *status)
{
    json_t *root = c->root;

    if (!json_is_object(root))
        return status_fail(status, STATUS_CONFIG, "must be an object, is %s", json_kind(root));
    return check_type(root, status) && read_numbers(c, root, status) &&
           json_file_must_be(root, "bias", "none", status) && check_init(root, status) &&
           read_names(root, "target_modules", &c->target_modules, status) &&
           read_names(root, "exclude_modules", &c->exclude_modules, status) &&
           read_layers(c, root, status) &&
           read_names(root, "layers_pattern", &c->layers_pattern, status) &&
           read_patterns(root, "rank_pattern", true, &c->ranks, &c->n_ranks, status) &&
           read_patterns(root, "alpha_pattern", false, &c->alphas, &c->n_alphas, status) &&
           read_strings(c, root, status) && check_layers(c, status) && check_keys(root, status);
}

bool peft_config_parse(struct peft_config *config, json_t *root, struct status *status)
{
    *config = (struct peft_config){.root = root};
    if (parse(config, status))
        return true;
    peft_config_release(config);
    return false;
}

bool peft_config_read(struct peft_config *config, const char *path, struct status *status)
{
    json_t *root = json_file_read(path, JSON_FILE_EXACT, status);

    *config = (struct peft_config){0};
    if (!root)
        return false;
    return peft_config_parse(config, root, status) || status_context(status, "%s", path);
}

void peft_config_release(struct peft_config *config)
{
    free(config->target_modules.names);
    free(config->exclude_modules.names);
    free(config->layers_pattern.names);
    free(config->layers);
    free(config->ranks);
    free(config->alphas);
    json_decref(config->root);
    *config = (struct peft_config){0};
}
