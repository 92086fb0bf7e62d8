#include "formats/gguf_pairs.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/float16.h"

static const struct {
    size_t size;
    const char *name;
} types[GGUF_TYPE_COUNT] = {
    [GGUF_TYPE_U8] = {1, "an integer"},   [GGUF_TYPE_I8] = {1, "an integer"},
    [GGUF_TYPE_U16] = {2, "an integer"},  [GGUF_TYPE_I16] = {2, "an integer"},
    [GGUF_TYPE_U32] = {4, "an integer"},  [GGUF_TYPE_I32] = {4, "an integer"},
    [GGUF_TYPE_F32] = {4, "a float"},     [GGUF_TYPE_BOOL] = {1, "a boolean"},
    [GGUF_TYPE_STRING] = {0, "a string"}, [GGUF_TYPE_ARRAY] = {0, "an array"},
    [GGUF_TYPE_U64] = {8, "an integer"},  [GGUF_TYPE_I64] = {8, "an integer"},
    [GGUF_TYPE_F64] = {8, "a float"},
};

size_t gguf_pairs_type_size(enum gguf_type type)
{
    return types[type].size;
}

const char *gguf_pairs_type_name(enum gguf_type type)
{
    return types[type].name;
}

bool gguf_pairs_is_float(enum gguf_type type)
{
    return type == GGUF_TYPE_F32 || type == GGUF_TYPE_F64;
}

bool gguf_pairs_is_int(enum gguf_type type)
{
    return types[type].size > 0 && type != GGUF_TYPE_BOOL && !gguf_pairs_is_float(type);
}

bool gguf_pairs_int(enum gguf_type type, const uint8_t *bytes, int64_t *value)
{
    switch (type) {
    case GGUF_TYPE_U8:
        *value = bytes[0];
        return true;
    case GGUF_TYPE_I8:
        *value = (int8_t)bytes[0];
        return true;
    case GGUF_TYPE_U16:
        *value = bytes[0] | bytes[1] << 8;
        return true;
    case GGUF_TYPE_I16:
        *value = (int16_t)(bytes[0] | bytes[1] << 8);
        return true;
    case GGUF_TYPE_U32:
        *value = byte_cursor_le32(bytes);
        return true;
    case GGUF_TYPE_I32:
        *value = (int32_t)byte_cursor_le32(bytes);
        return true;
    case GGUF_TYPE_U64:
        *value = (int64_t)byte_cursor_le64(bytes);
        return *value >= 0;
    case GGUF_TYPE_I64:
        *value = (int64_t)byte_cursor_le64(bytes);
        return true;
    default:
        return false;
    }
}

double gguf_pairs_float(enum gguf_type type, const uint8_t *bytes)
{
    const uint64_t bits = type == GGUF_TYPE_F64 ? byte_cursor_le64(bytes) : 0;
    double value;

    if (type == GGUF_TYPE_F32)
        return (double)float_from_bits(byte_cursor_le32(bytes));
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static bool read_type(enum gguf_type *type, struct byte_cursor *cursor, struct status *status)
{
    uint32_t number;

    if (!byte_cursor_u32(cursor, &number, status))
        return false;
    if (number >= GGUF_TYPE_COUNT)
        return status_fail(status, STATUS_CONFIG, "unknown type %" PRIu32, number);
    *type = (enum gguf_type)number;
    return true;
}

/* n numbers of one type; booleans are 0 or 1. */
static bool read_numbers(struct gguf_pair *pair, enum gguf_type type, size_t n,
                         struct byte_cursor *cursor, struct status *status)
{
    if (!byte_cursor_take(cursor, n * types[type].size, &pair->bytes, status))
        return false;
    for (size_t i = 0; type == GGUF_TYPE_BOOL && i < n; i++) {
        if (pair->bytes[i] > 1)
            return status_fail(status, STATUS_CONFIG, "a boolean must be 0 or 1, is %d",
                               pair->bytes[i]);
    }
    return true;
}

static bool read_strings(struct gguf_pair *pair, struct byte_cursor *cursor, struct status *status)
{
    /* Each takes 8 bytes at least, so the file bounds what is allocated. */
    if (pair->n > (cursor->size - cursor->at) / 8)
        return status_fail(status, STATUS_CONFIG,
                           "%zu strings, but %zu bytes follow: is the file cut short?", pair->n,
                           cursor->size - cursor->at);
    if (pair->n == 0)
        return true;
    pair->strings = malloc(pair->n * sizeof(*pair->strings));
    if (!pair->strings)
        return status_fail(status, STATUS_MEMORY, "no memory for %zu strings", pair->n);
    for (size_t i = 0; i < pair->n; i++) {
        if (!byte_cursor_string(cursor, GGUF_MAX_STRING, &pair->strings[i], status))
            return status_context(status, "element %zu", i);
    }
    return true;
}

static bool read_array(struct gguf_pair *pair, struct byte_cursor *cursor, struct status *status)
{
    uint64_t n;

    if (!read_type(&pair->element, cursor, status) || !byte_cursor_u64(cursor, &n, status))
        return false;
    if (pair->element == GGUF_TYPE_ARRAY)
        return status_fail(status, STATUS_CONFIG, "an array of arrays is not read");
    if (n > GGUF_MAX_ELEMENTS)
        return status_fail(status, STATUS_CONFIG, "%" PRIu64 " elements, at most %zu are read", n,
                           GGUF_MAX_ELEMENTS);
    pair->n = (size_t)n;
    if (pair->element == GGUF_TYPE_STRING)
        return read_strings(pair, cursor, status);
    return read_numbers(pair, pair->element, pair->n, cursor, status);
}

static bool read_value(struct gguf_pair *pair, struct byte_cursor *cursor, struct status *status)
{
    if (!read_type(&pair->type, cursor, status))
        return false;
    if (pair->type == GGUF_TYPE_STRING)
        return byte_cursor_string(cursor, GGUF_MAX_STRING, &pair->string, status);
    if (pair->type == GGUF_TYPE_ARRAY)
        return read_array(pair, cursor, status);
    return read_numbers(pair, pair->type, 1, cursor, status);
}

static int compare_texts(struct text a, struct text b)
{
    const int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_keys(const void *a, const void *b)
{
    const struct gguf_pair *x = a, *y = b;

    return compare_texts(x->key, y->key);
}

bool gguf_pairs_read(struct gguf *gguf, size_t n, struct byte_cursor *cursor, struct status *status)
{
    if (n == 0)
        return true;
    gguf->pairs = calloc(n, sizeof(*gguf->pairs));
    if (!gguf->pairs)
        return status_fail(status, STATUS_MEMORY, "no memory for %zu keys", n);
    for (size_t i = 0; i < n; i++) {
        struct gguf_pair *pair = &gguf->pairs[i];

        if (!byte_cursor_string(cursor, GGUF_MAX_KEY, &pair->key, status))
            return status_context(status, "key %zu", i + 1);
        if (!tensor_file_name_ok(pair->key))
            return status_fail(status, STATUS_CONFIG, "key %zu: is empty or has control characters",
                               i + 1);
        gguf->n_pairs = i + 1;
        if (!read_value(pair, cursor, status))
            return status_context(status, "key '%.*s'", (int)pair->key.len, pair->key.ptr);
    }
    qsort(gguf->pairs, n, sizeof(*gguf->pairs), compare_keys);
    for (size_t i = 1; i < n; i++) {
        const struct text key = gguf->pairs[i].key;

        if (text_equals(gguf->pairs[i - 1].key, key))
            return status_fail(status, STATUS_CONFIG, "key '%.*s': is there twice", (int)key.len,
                               key.ptr);
    }
    return true;
}

void gguf_pairs_release(struct gguf *gguf)
{
    for (size_t i = 0; i < gguf->n_pairs; i++)
        free(gguf->pairs[i].strings);
    free(gguf->pairs);
    gguf->pairs = NULL;
    gguf->n_pairs = 0;
}

const struct gguf_pair *gguf_pairs_find(const struct gguf *gguf, const char *key)
{
    const struct gguf_pair wanted = {.key = text_of(key)};

    if (gguf->n_pairs == 0)
        return NULL;
    return bsearch(&wanted, gguf->pairs, gguf->n_pairs, sizeof(wanted), compare_keys);
}

bool gguf_size(const struct gguf *gguf, const char *key, int max, int *value, bool *found,
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

bool gguf_number(const struct gguf *gguf, const char *key, double min, double max, double *value,
                 bool *found, struct status *status)
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
