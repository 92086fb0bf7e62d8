#include "formats/rope_config.h"

#include <string.h>

#include "formats/json_file.h"

enum { MAX_POSITIONS = 1 << 24 };

static const struct {
    const char *name;
    enum rope_scaling scaling;
} kinds[] = {
    {"default", ROPE_PLAIN},
    {"linear", ROPE_LINEAR},
    {"llama3", ROPE_LLAMA3},
};

/* "rope_type", or "type" in old files; where there are both, the versions of transformers differ in
 * which they take. */
static bool read_kind(struct rope_config *rope, const json_t *object, struct status *status)
{
    const char *name = NULL, *old = NULL;
    bool found;

    if (!json_file_string(object, "rope_type", &name, &found, status) ||
        !json_file_string(object, "type", &old, &found, status))
        return false;
    if (name && old && strcmp(name, old) != 0)
        return status_fail(status, STATUS_CONFIG, "rope_type: '%s', but type is '%s'",
                           json_file_shown(name), json_file_shown(old));
    if (!name)
        name = old ? old : "default";
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(name, kinds[i].name) == 0) {
            rope->scaling = kinds[i].scaling;
            return true;
        }
    }
    return status_fail(status, STATUS_CONFIG,
                       "rope_type: '%s' is not supported, only 'default', 'linear' and 'llama3'",
                       json_file_shown(name));
}

static bool read_factor(const json_t *object, const char *key, double *value, struct status *status)
{
    return json_file_number(object, key, ROPE_CONFIG_MIN_FACTOR, ROPE_CONFIG_MAX_FACTOR, value,
                            NULL, status);
}

/* What a kind has beside theta. `outer`: original_max_position_embeddings of the file itself. */
static bool read_scaling(struct rope_config *rope, const json_t *object, int outer,
                         struct status *status)
{
    static const char original[] = "original_max_position_embeddings";
    bool found;

    if (rope->scaling == ROPE_PLAIN)
        return true;
    if (!read_factor(object, "factor", &rope->factor, status))
        return false;
    if (rope->scaling == ROPE_LINEAR)
        return true;
    if (!read_factor(object, "low_freq_factor", &rope->low_freq_factor, status) ||
        !read_factor(object, "high_freq_factor", &rope->high_freq_factor, status) ||
        !json_file_size(object, original, MAX_POSITIONS, &rope->original_positions, &found, status))
        return false;
    if (!(rope->low_freq_factor < rope->high_freq_factor))
        return status_fail(status, STATUS_CONFIG,
                           "high_freq_factor: must be more than low_freq_factor %g, is %g",
                           rope->low_freq_factor, rope->high_freq_factor);
    if (found && outer > 0 && outer != rope->original_positions)
        return status_fail(status, STATUS_CONFIG, "%s: %d, but %d outside of it", original,
                           rope->original_positions, outer);
    if (outer > 0)
        rope->original_positions = outer;
    if (rope->original_positions == 0)
        return status_fail(status, STATUS_CONFIG, "%s: missing", original);
    return true;
}

static bool refuse_partial(const json_t *object, struct status *status)
{
    double rotated = 1.0; /* the part of a head that is rotated */
    bool found;

    if (!json_file_number(object, "partial_rotary_factor", 0, 1, &rotated, &found, status))
        return false;
    if (rotated < 1.0)
        return status_fail(status, STATUS_CONFIG, "partial_rotary_factor: %g is not supported",
                           rotated);
    return true;
}

/* The settings themselves, where rope_parameters has an object for each type of layers. */
static bool enter_layer_type(const json_t **object, const char *layer_type, struct status *status)
{
    const json_t *object_of_type, *value;
    const char *key;

    json_object_foreach((json_t *)(uintptr_t)*object, key, value)
    {
        if (!json_is_object(value))
            continue;
        object_of_type = layer_type ? json_object_get(*object, layer_type) : NULL;
        if (!json_is_object(object_of_type))
            return status_fail(status, STATUS_CONFIG,
                               "'%s': settings by type of layer are not supported, but where "
                               "layer_types has one type",
                               json_file_shown(key));
        *object = object_of_type;
        return true;
    }
    return true;
}

/* One object of settings counts: rope_scaling if it has any, as in transformers 5. */
static bool read_object(struct rope_config *rope, const json_t *root, const char *key,
                        const char *layer_type, int outer, struct status *status)
{
    const json_t *object = json_object_get(root, key);
    bool found;

    if (!enter_layer_type(&object, layer_type, status) || !read_kind(rope, object, status) ||
        !json_file_number(object, "rope_theta", ROPE_CONFIG_MIN_THETA, ROPE_CONFIG_MAX_THETA,
                          &rope->theta, &found, status) ||
        !read_scaling(rope, object, outer, status) || !refuse_partial(object, status))
        return status_context(status, "%s", key);
    return true;
}

bool rope_config_read(struct rope_config *rope, const json_t *root, const char *layer_type,
                      struct status *status)
{
    static const char *const keys[] = {"rope_scaling", "rope_parameters"};
    int outer = 0;
    bool found;

    *rope = (struct rope_config){.theta = ROPE_CONFIG_DEFAULT_THETA};
    if (!json_file_number(root, "rope_theta", ROPE_CONFIG_MIN_THETA, ROPE_CONFIG_MAX_THETA,
                          &rope->theta, &found, status) ||
        !json_file_size(root, "original_max_position_embeddings", MAX_POSITIONS, &outer, &found,
                        status) ||
        !refuse_partial(root, status))
        return false;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const json_t *object = json_object_get(root, keys[i]);

        if (!object || json_is_null(object))
            continue;
        if (!json_is_object(object))
            return status_fail(status, STATUS_CONFIG, "%s: must be an object", keys[i]);
        if (json_object_size(object) > 0)
            return read_object(rope, root, keys[i], layer_type, outer, status);
    }
    return true;
}
