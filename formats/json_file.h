/* A small JSON file beside a model (config.json, modules.json, ...), parsed whole by jansson.
 *
 * Such files are hostile input: at most JSON_FILE_MAX_SIZE bytes and JSON_FILE_MAX_DEPTH levels,
 * valid UTF-8, no key twice, no raw NUL. Failures are STATUS_CONFIG, a missing file is
 * STATUS_NO_INPUT.
 */
#ifndef FORMATS_JSON_FILE_H
#define FORMATS_JSON_FILE_H

#include <jansson.h>
#include <stdint.h>

#include "base/status.h"
#include "base/text.h"

#define JSON_FILE_MAX_SIZE ((size_t)16 << 20)
#define JSON_FILE_MAX_LARGE ((size_t)64 << 20)
#define JSON_FILE_MAX_DEPTH 64

enum {
    JSON_FILE_EXACT = 0,
    /* Integers of any length, as doubles: tokenizer_config.json writes 31 digits for "no limit". */
    JSON_FILE_INTEGERS_AS_REALS = 1,
    /* A vocabulary: JSON_FILE_MAX_LARGE bytes at most. */
    JSON_FILE_LARGE = 2,
};

/* The value in the file, an object or an array; the caller drops it with json_decref. NULL and a
 * message that names the file, line and column if it cannot be had. */
json_t *json_file_read(const char *path, unsigned flags, struct status *status) MUST_CHECK;

/* The same from bytes in memory; the message has no file name. */
json_t *json_file_parse(struct text bytes, unsigned flags, struct status *status) MUST_CHECK;

/* Typed members of an object. A member that is absent or null sets *found to false and leaves
 * *value alone; with found == NULL it must be there. What is there must have the type and lie
 * within [min, max], else STATUS_CONFIG and a message "key: must be ...". */
bool json_file_int(const json_t *object, const char *key, int64_t min, int64_t max, int64_t *value,
                   bool *found, struct status *status) MUST_CHECK;
bool json_file_number(const json_t *object, const char *key, double min, double max, double *value,
                      bool *found, struct status *status) MUST_CHECK;
bool json_file_bool(const json_t *object, const char *key, bool *value, bool *found,
                    struct status *status) MUST_CHECK;
/* *value points into the object. */
bool json_file_string(const json_t *object, const char *key, const char **value, bool *found,
                      struct status *status) MUST_CHECK;
/* An integer from 1 to max, as an int. */
bool json_file_size(const json_t *object, const char *key, int max, int *value, bool *found,
                    struct status *status) MUST_CHECK;

/* Refuse by name a member that is there and not false, or not the string `wanted`. */
bool json_file_must_be_false(const json_t *object, const char *key,
                             struct status *status) MUST_CHECK;
bool json_file_must_be(const json_t *object, const char *key, const char *wanted,
                       struct status *status) MUST_CHECK;

/* A name out of a file as a message may show it: itself, or "?" if it has control characters or is
 * too long. */
const char *json_file_shown(const char *name);

#endif
