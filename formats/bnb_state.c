#include "formats/bnb_state.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "formats/byte_cursor.h"
#include "formats/json_file.h"

enum { MIN_BLOCK = 32, MAX_BLOCK = 1 << 20, MAX_SIDE = 1 << 28, MAX_STATE = 4096 };

/* What may stand beside a weight. */
enum part { ABSMAX, QUANT_MAP, NESTED_ABSMAX, NESTED_QUANT_MAP, STATE_NF4, STATE_FP4, N_PARTS };

static const char *const part_names[N_PARTS] = {
    [ABSMAX] = "absmax",
    [QUANT_MAP] = "quant_map",
    [NESTED_ABSMAX] = "nested_absmax",
    [NESTED_QUANT_MAP] = "nested_quant_map",
    [STATE_NF4] = "quant_state.bitsandbytes__nf4",
    [STATE_FP4] = "quant_state.bitsandbytes__fp4",
};

static const char *const state_keys[] = {
    "quant_type",       "blocksize",    "dtype",         "shape",
    "nested_blocksize", "nested_dtype", "nested_offset",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct parts {
    const struct tensor_entry *entries[N_PARTS]; /* NULL: not there */
};

static float float_at(const uint8_t *floats, size_t i)
{
    const uint32_t bits = byte_cursor_le32(floats + 4 * i);
    float f;

    memcpy(&f, &bits, sizeof(f));
    return f;
}

static bool is_bytes(const struct tensor_entry *t)
{
    return strcmp(t->type_name, "U8") == 0;
}

/* "P.SCB" beside "P.weight" is what llm.int8() leaves. */
static bool has_scb(const struct tensor_file *file, const char *weight)
{
    static const char end[] = "weight";
    const size_t len = strlen(weight), n = sizeof(end) - 1;
    char name[TENSOR_FILE_MAX_NAME + 1];

    return len > n && strcmp(weight + len - n, end) == 0 &&
           snprintf(name, sizeof(name), "%.*sSCB", (int)(len - n), weight) < (int)sizeof(name) &&
           tensor_file_find(file, name) != NULL;
}

bool bnb_state_is(const struct tensor_file *file, const struct tensor_entry *weight)
{
    return is_bytes(weight) || has_scb(file, weight->name);
}

/* Everything whose name goes on where the weight's ends. */
static bool find_parts(struct parts *parts, const struct tensor_file *file, const char *weight,
                       bool *used, struct status *status)
{
    const size_t len = strlen(weight);

    *parts = (struct parts){0};
    for (size_t i = 0; i < file->n_entries; i++) {
        const struct tensor_entry *t = &file->entries[i];
        size_t part = 0;

        if (strncmp(t->name, weight, len) != 0 || t->name[len] != '.')
            continue;
        while (part < N_PARTS && strcmp(t->name + len + 1, part_names[part]) != 0)
            part++;
        if (part == N_PARTS)
            return status_fail(status, STATUS_CONFIG, "%s: is no part of a quantised weight",
                               t->name + len + 1);
        parts->entries[part] = t;
        if (used)
            used[i] = true;
    }
    if (parts->entries[STATE_NF4] && parts->entries[STATE_FP4])
        return status_fail(status, STATUS_CONFIG, "has two quant_states, of nf4 and of fp4");
    if (parts->entries[STATE_FP4])
        return status_fail(status, STATUS_CONFIG, "quantised to fp4, only nf4 is supported");
    if (!parts->entries[STATE_NF4])
        return status_fail(status, STATUS_CONFIG, "%s: missing", part_names[STATE_NF4]);
    return true;
}

static bool is_float(const struct tensor_entry *t)
{
    return t->dtype == DTYPE_F32;
}

/* A part with n elements; n_dims is 1 in every file, but a map might be saved as a row. */
static bool need(const struct parts *parts, enum part part, bool floats, size_t n,
                 const uint8_t **data, struct status *status)
{
    const struct tensor_entry *t = parts->entries[part];

    if (!t)
        return status_fail(status, STATUS_CONFIG, "%s: missing", part_names[part]);
    if (floats ? !is_float(t) : !is_bytes(t))
        return status_fail(status, STATUS_CONFIG, "%s: type %s, must be %s", part_names[part],
                           t->type_name, floats ? "F32" : "U8");
    if (t->size / (floats ? 4 : 1) != n)
        return status_fail(status, STATUS_CONFIG, "%s: %zu elements, must be %zu", part_names[part],
                           t->size / (floats ? 4 : 1), n);
    *data = t->data;
    return true;
}

/* ---- the JSON ---------------------------------------------------------------------------- */

static bool refuse_unknown(const json_t *root, struct status *status)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)root, key, value)
    {
        size_t i = 0;

        while (i < COUNT(state_keys) && strcmp(key, state_keys[i]) != 0)
            i++;
        if (i == COUNT(state_keys))
            return status_fail(status, STATUS_CONFIG, "%s: unknown key", json_file_shown(key));
    }
    return true;
}

static bool read_dtype(struct bnb_state *s, const json_t *root, struct status *status)
{
    static const struct {
        const char *name;
        enum dtype dtype;
    } dtypes[] = {{"float16", DTYPE_F16}, {"bfloat16", DTYPE_BF16}, {"float32", DTYPE_F32}};
    const char *name;

    if (!json_file_string(root, "dtype", &name, NULL, status))
        return false;
    for (size_t i = 0; i < COUNT(dtypes); i++) {
        if (strcmp(name, dtypes[i].name) == 0) {
            s->dtype = dtypes[i].dtype;
            return true;
        }
    }
    return status_fail(status, STATUS_CONFIG,
                       "dtype: '%s' is not supported, only float16, bfloat16 and float32",
                       json_file_shown(name));
}

static bool read_shape(struct bnb_state *s, const json_t *root, struct status *status)
{
    const json_t *shape = json_object_get(root, "shape");
    json_int_t sides[2] = {0, 0};

    for (size_t i = 0; i < 2 && json_is_array(shape) && json_array_size(shape) == 2; i++)
        sides[i] = json_integer_value(json_array_get(shape, i));
    if (sides[0] < 1 || sides[1] < 1 || sides[0] > MAX_SIDE || sides[1] > MAX_SIDE)
        return status_fail(status, STATUS_CONFIG, "shape: must be [rows, columns]");
    s->rows = (size_t)sides[0];
    s->cols = (size_t)sides[1];
    if (s->cols % MIN_BLOCK != 0)
        return status_fail(status, STATUS_CONFIG,
                           "shape: rows of %zu columns are not supported, only of multiples of %d",
                           s->cols, MIN_BLOCK);
    return true;
}

static bool read_nested(struct bnb_state *s, const json_t *root, bool *nested,
                        struct status *status)
{
    int64_t block = 0;
    double offset = 0;

    *nested = json_object_get(root, "nested_blocksize") || json_object_get(root, "nested_offset") ||
              json_object_get(root, "nested_dtype");
    if (!*nested)
        return true;
    if (!json_file_int(root, "nested_blocksize", 1, MAX_BLOCK, &block, NULL, status) ||
        !json_file_must_be(root, "nested_dtype", "float32", status) ||
        !json_file_number(root, "nested_offset", -1e30, 1e30, &offset, NULL, status))
        return false;
    s->nested_block = (size_t)block;
    s->offset = (float)offset;
    return true;
}

static bool read_members(struct bnb_state *s, const json_t *root, bool *nested,
                         struct status *status)
{
    int64_t block = 0;

    if (!json_is_object(root))
        return status_fail(status, STATUS_CONFIG, "must be an object");
    if (!refuse_unknown(root, status) || !json_file_must_be(root, "quant_type", "nf4", status) ||
        !json_file_int(root, "blocksize", MIN_BLOCK, MAX_BLOCK, &block, NULL, status) ||
        !read_dtype(s, root, status) || !read_shape(s, root, status) ||
        !read_nested(s, root, nested, status))
        return false;
    if ((block & (block - 1)) != 0)
        return status_fail(status, STATUS_CONFIG, "blocksize: must be a power of two, is %d",
                           (int)block);
    s->block = (size_t)block;
    s->n_blocks = (s->rows * s->cols - 1) / s->block + 1;
    return true;
}

static bool read_state(struct bnb_state *s, const struct tensor_entry *t, bool *nested,
                       struct status *status)
{
    json_t *root;
    bool ok;

    if (!is_bytes(t) || t->size > MAX_STATE)
        return status_fail(status, STATUS_CONFIG, "%s: must be at most %d bytes of type U8",
                           part_names[STATE_NF4], MAX_STATE);
    root = json_file_parse((struct text){(const char *)t->data, t->size}, JSON_FILE_EXACT, status);
    ok = root && read_members(s, root, nested, status);
    json_decref(root);
    return ok || status_context(status, "%s", part_names[STATE_NF4]);
}

/* ---- all of it ---------------------------------------------------------------------------- */

/* A map's n floats. */
static bool check_map(const uint8_t *map, size_t n, enum part part, struct status *status)
{
    for (size_t i = 0; i < n; i++) {
        const float f = float_at(map, i);

        if (!(f >= -1 && f <= 1))
            return status_fail(status, STATUS_CONFIG, "%s: element %zu must be from -1 to 1, is %g",
                               part_names[part], i, (double)f);
    }
    return true;
}

static bool read_numbers(struct bnb_state *s, const struct parts *parts, bool nested,
                         struct status *status)
{
    const uint8_t *map;
    const size_t n_nested = nested ? (s->n_blocks - 1) / s->nested_block + 1 : 0;

    if (!need(parts, QUANT_MAP, true, NF4_CODES, &map, status) ||
        !check_map(map, NF4_CODES, QUANT_MAP, status) ||
        !need(parts, ABSMAX, !nested, s->n_blocks, &s->absmax, status))
        return false;
    for (size_t i = 0; i < NF4_CODES; i++)
        s->values[i] = float_at(map, i);
    if (nested)
        return need(parts, NESTED_ABSMAX, true, n_nested, &s->nested_absmax, status) &&
               need(parts, NESTED_QUANT_MAP, true, NF4_MAP, &s->nested_map, status) &&
               check_map(s->nested_map, NF4_MAP, NESTED_QUANT_MAP, status);
    for (enum part part = NESTED_ABSMAX; part <= NESTED_QUANT_MAP; part++) {
        if (parts->entries[part])
            return status_fail(status, STATUS_CONFIG, "%s: is there, but the quant_state has no %s",
                               part_names[part], "nested_blocksize");
    }
    return true;
}

bool bnb_state_read(struct bnb_state *state, const struct tensor_file *file,
                    const struct tensor_entry *weight, bool *used, struct status *status)
{
    struct parts parts;
    bool nested;

    *state = (struct bnb_state){0};
    if (has_scb(file, weight->name))
        return status_fail(status, STATUS_CONFIG,
                           "quantised by llm.int8() (it has an SCB), only nf4 is supported");
    if (!find_parts(&parts, file, weight->name, used, status) ||
        !read_state(state, parts.entries[STATE_NF4], &nested, status))
        return false;
    if (weight->size != state->rows * state->cols / 2)
        return status_fail(status, STATUS_CONFIG,
                           "%zu bytes, but its quant_state has shape [%zu, %zu]: %zu bytes",
                           weight->size, state->rows, state->cols, state->rows * state->cols / 2);
    state->codes = weight->data;
    return read_numbers(state, &parts, nested, status);
}

bool bnb_state_absmax(const struct bnb_state *s, float *absmax, struct status *status)
{
    float map[NF4_MAP];

    for (size_t i = 0; s->nested_absmax && i < NF4_MAP; i++)
        map[i] = float_at(s->nested_map, i);
    for (size_t i = 0; i < s->n_blocks; i++) {
        const float nested = s->nested_absmax ? float_at(s->nested_absmax, i / s->nested_block) : 0;

        if (!isfinite(nested) || nested < 0)
            return status_fail(status, STATUS_CONFIG,
                               "nested_absmax: element %zu must be finite and 0 or more, is %g",
                               i / s->nested_block, (double)nested);
        absmax[i] = s->nested_absmax ? nf4_absmax(map, s->absmax[i], nested, s->offset)
                                     : float_at(s->absmax, i);
        if (!isfinite(absmax[i]) || (absmax[i] < 0 && !s->nested_absmax))
            return status_fail(status, STATUS_CONFIG,
                               "absmax: element %zu must be finite and 0 or more, is %g", i,
                               (double)absmax[i]);
    }
    return true;
}

/* ---- config.json -------------------------------------------------------------------------- */

/* What says nothing about 4-bit weights that are there: of the 8-bit ones, and of loading. */
static const char *const idle_keys[] = {
    "_load_in_4bit",
    "_load_in_8bit",
    "bnb_4bit_compute_dtype",
    "bnb_4bit_use_double_quant",
    "llm_int8_enable_fp32_cpu_offload",
    "llm_int8_has_fp16_weight",
    "llm_int8_skip_modules",
    "llm_int8_threshold",
};
static const char *const read_keys[] = {
    "quant_method", "load_in_4bit", "load_in_8bit", "bnb_4bit_quant_type", "bnb_4bit_quant_storage",
};

static bool is_among(const char *key, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(key, names[i]) == 0)
            return true;
    }
    return false;
}

static bool check_config(const json_t *q, struct status *status)
{
    bool in_8_bit = false, in_4_bit = false, found;
    const char *method = "?", *key;
    json_t *value;

    if (!json_file_string(q, "quant_method", &method, &found, status))
        return false;
    if (strcmp(method, "bitsandbytes") != 0)
        return status_fail(status, STATUS_CONFIG, "checkpoints quantised by '%s' are not supported",
                           json_file_shown(method));
    if (!json_file_bool(q, "load_in_8bit", &in_8_bit, &found, status) ||
        !json_file_bool(q, "load_in_4bit", &in_4_bit, &found, status))
        return false;
    if (in_8_bit || !in_4_bit)
        return status_fail(status, STATUS_CONFIG,
                           "load_in_%s: 8-bit weights (llm.int8()) are not supported, only nf4",
                           in_8_bit ? "8bit" : "4bit");
    json_object_foreach((json_t *)(uintptr_t)q, key, value)
    {
        if (!json_is_null(value) && !is_among(key, idle_keys, COUNT(idle_keys)) &&
            !is_among(key, read_keys, COUNT(read_keys)))
            return status_fail(status, STATUS_CONFIG, "%s: is not supported", json_file_shown(key));
    }
    return json_file_must_be(q, "bnb_4bit_quant_storage", "uint8", status);
}

bool bnb_state_check_config(const json_t *quantization, struct status *status)
{
    const char *type = "fp4"; /* what transformers takes where it is not said */
    bool found;

    if (!json_is_object(quantization))
        return status_fail(status, STATUS_CONFIG, "quantization_config: must be an object");
    if (check_config(quantization, status) &&
        json_file_string(quantization, "bnb_4bit_quant_type", &type, &found, status) &&
        (strcmp(type, "nf4") == 0 ||
         status_fail(status, STATUS_CONFIG,
                     "bnb_4bit_quant_type: '%s' is not supported, only 'nf4'",
                     json_file_shown(type))))
        return true;
    return status_context(status, "quantization_config");
}
