#include "formats/json_file.h"

#include <inttypes.h>
#include <string.h>

#include "base/mapped_file.h"
#include "formats/foreign_file.h"
#include "formats/json_kind.h"
#include "formats/tensor_file.h"

/* Levels of brackets outside strings, ahead of jansson's own parse, which recurses. */
static size_t depth_of(struct text bytes)
{
    size_t depth = 0, deepest = 0;
    bool in_string = false;

    for (size_t i = 0; i < bytes.len; i++) {
        const char c = bytes.ptr[i];

        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '[' || c == '{'))
            depth++;
        else if (!in_string && (c == ']' || c == '}') && depth > 0)
            depth--;
        if (depth > deepest)
            deepest = depth;
    }
    return deepest;
}

json_t *json_file_parse(struct text bytes, unsigned flags, struct status *status)
{
    const size_t max_size = flags & JSON_FILE_LARGE ? JSON_FILE_MAX_LARGE : JSON_FILE_MAX_SIZE;
    size_t load_flags = JSON_REJECT_DUPLICATES;
    json_error_t error;
    json_t *value;
    char *near;

    if (bytes.len > max_size) {
        status_set(status, STATUS_CONFIG, "%zu bytes, at most %zu are read", bytes.len, max_size);
        return NULL;
    }
    if (depth_of(bytes) > JSON_FILE_MAX_DEPTH) {
        status_set(status, STATUS_CONFIG, "nested deeper than %d levels", JSON_FILE_MAX_DEPTH);
        return NULL;
    }
    if (flags & JSON_FILE_INTEGERS_AS_REALS)
        load_flags |= JSON_DECODE_INT_AS_REAL;
    value = json_loadb(bytes.len > 0 ? bytes.ptr : "", bytes.len, load_flags, &error);
    if (value)
        return value;
    near = strstr(error.text, " near '"); /* what follows are the file's own bytes */
    if (near)
        *near = '\0';
    if (json_error_code(&error) == json_error_out_of_memory)
        status_set(status, STATUS_MEMORY, "no memory for %zu bytes of JSON", bytes.len);
    else
        status_set(status, STATUS_CONFIG, "line %d, column %d: %s", error.line, error.column,
                   error.text);
    return NULL;
}

json_t *json_file_read(const char *path, unsigned flags, struct status *status)
{
    struct mapped_file map;
    json_t *value;

    if (!mapped_file_open(&map, path, status))
        return NULL;
    value = json_file_parse((struct text){(const char *)map.data, map.size}, flags, status);
    mapped_file_close(&map);
    if (!value) {
        status_prefix(status, "%s", path);
        foreign_file_explain(path, FOREIGN_FILE_JSON, status);
    }
    return value;
}

/* The member, or NULL: then *ok says whether it may be absent. */
static const json_t *member(const json_t *object, const char *key, bool *found, bool *ok,
                            struct status *status)
{
    const json_t *value = json_object_get(object, key);
    const bool there = value && !json_is_null(value);

    *ok = true;
    if (found)
        *found = there;
    else if (!there)
        *ok = status_fail(status, STATUS_CONFIG, "%s: missing", key);
    return there ? value : NULL;
}

bool json_file_int(const json_t *object, const char *key, int64_t min, int64_t max, int64_t *value,
                   bool *found, struct status *status)
{
    bool ok;
    const json_t *item = member(object, key, found, &ok, status);
    int64_t number;

    if (!item)
        return ok;
    if (!json_is_integer(item))
        return status_fail(status, STATUS_CONFIG,
                           "%s: must be an integer from %" PRId64 " to %" PRId64 ", is %s", key,
                           min, max, json_kind(item));
    number = json_integer_value(item);
    if (number < min || number > max)
        return status_fail(status, STATUS_CONFIG,
                           "%s: must be an integer from %" PRId64 " to %" PRId64 ", is %" PRId64,
                           key, min, max, number);
    *value = number;
    return true;
}

bool json_file_number(const json_t *object, const char *key, double min, double max, double *value,
                      bool *found, struct status *status)
{
    bool ok;
    const json_t *item = member(object, key, found, &ok, status);
    double number;

    if (!item)
        return ok;
    if (!json_is_number(item))
        return status_fail(status, STATUS_CONFIG, "%s: must be a number from %g to %g, is %s", key,
                           min, max, json_kind(item));
    number = json_number_value(item);
    if (!(number >= min && number <= max))
        return status_fail(status, STATUS_CONFIG, "%s: must be a number from %g to %g, is %g", key,
                           min, max, number);
    *value = number;
    return true;
}

bool json_file_bool(const json_t *object, const char *key, bool *value, bool *found,
                    struct status *status)
{
    bool ok;
    const json_t *item = member(object, key, found, &ok, status);

    if (!item)
        return ok;
    if (!json_is_boolean(item))
        return status_fail(status, STATUS_CONFIG, "%s: must be true or false, is %s", key,
                           json_kind(item));
    *value = json_is_true(item);
    return true;
}

bool json_file_string(const json_t *object, const char *key, const char **value, bool *found,
                      struct status *status)
{
    bool ok;
    const json_t *item = member(object, key, found, &ok, status);

    if (!item)
        return ok;
    if (!json_is_string(item))
        return status_fail(status, STATUS_CONFIG, "%s: must be a string, is %s", key,
                           json_kind(item));
    *value = json_string_value(item);
    return true;
}

bool json_file_size(const json_t *object, const char *key, int max, int *value, bool *found,
                    struct status *status)
{
    int64_t number = *value;

    if (!json_file_int(object, key, 1, max, &number, found, status))
        return false;
    *value = (int)number;
    return true;
}

const char *json_file_shown(const char *name)
{
    return tensor_file_name_ok(text_of(name)) ? name : "?";
}

bool json_file_must_be_false(const json_t *object, const char *key, struct status *status)
{
    bool value = false, found;

    if (!json_file_bool(object, key, &value, &found, status))
        return false;
    return !value || status_fail(status, STATUS_CONFIG, "%s: true is not supported", key);
}

bool json_file_must_be(const json_t *object, const char *key, const char *wanted,
                       struct status *status)
{
    const char *value = wanted;
    bool found;

    if (!json_file_string(object, key, &value, &found, status))
        return false;
    return strcmp(value, wanted) == 0 ||
           status_fail(status, STATUS_CONFIG, "%s: '%s' is not supported, only '%s'", key,
                       json_file_shown(value), wanted);
}
