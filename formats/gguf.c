/* "GGUF" | version: u32 | n_tensors: u64 | n_pairs: u64 | pairs | tensor infos | padding | data
 *
 * string: length: u64, bytes (no zero behind them)
 * pair:   key: string, type: u32, value; an array is element type: u32, n: u64, elements
 * info:   name: string, n_dims: u32, ne: u64[n_dims], type: u32, offset: u64
 *
 * ne[0] counts along a row, so the shape of numpy and torch is ne reversed. Offsets count from the
 * start of the data, which is the next multiple of general.alignment (32) after the infos. In the
 * order of the infos, each tensor begins where the padded one before ends.
 * (github.com/ggml-org/ggml, docs/gguf.md)
 */
#include "formats/gguf.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/checked.h"
#include "formats/foreign_file.h"
#include "formats/gguf_pairs.h"

#define MAX_TENSOR_NAME 63 /* GGML_MAX_NAME, less the zero */
#define MAX_ALIGNMENT 65536
#define DEFAULT_ALIGNMENT 32
/* The least that a pair and a tensor info take; their counts are held against the file by it. */
#define MIN_PAIR_SIZE (8 + 4 + 1)
#define MIN_INFO_SIZE (8 + 4 + 4 + 8)

/* ggml's tensor types by their number: elements and bytes of a block (ggml-common.h). */
static const struct {
    const char *name;
    size_t elements, bytes;
    enum dtype dtype;
} types[] = {
    [0] = {"F32", 1, 4, DTYPE_F32},          [1] = {"F16", 1, 2, DTYPE_F16},
    [2] = {"Q4_0", 32, 18, DTYPE_Q4_0},      [3] = {"Q4_1", 32, 20, DTYPE_Q4_1},
    [6] = {"Q5_0", 32, 22, DTYPE_Q5_0},      [7] = {"Q5_1", 32, 24, DTYPE_Q5_1},
    [8] = {"Q8_0", 32, 34, DTYPE_Q8_0},      [9] = {"Q8_1", 32, 40, DTYPE_NONE},
    [10] = {"Q2_K", 256, 84, DTYPE_Q2_K},    [11] = {"Q3_K", 256, 110, DTYPE_Q3_K},
    [12] = {"Q4_K", 256, 144, DTYPE_Q4_K},   [13] = {"Q5_K", 256, 176, DTYPE_Q5_K},
    [14] = {"Q6_K", 256, 210, DTYPE_Q6_K},   [15] = {"Q8_K", 256, 292, DTYPE_NONE},
    [16] = {"IQ2_XXS", 256, 66, DTYPE_NONE}, [17] = {"IQ2_XS", 256, 74, DTYPE_NONE},
    [18] = {"IQ3_XXS", 256, 98, DTYPE_NONE}, [19] = {"IQ1_S", 256, 50, DTYPE_NONE},
    [20] = {"IQ4_NL", 32, 18, DTYPE_IQ4_NL}, [21] = {"IQ3_S", 256, 110, DTYPE_NONE},
    [22] = {"IQ2_S", 256, 82, DTYPE_NONE},   [23] = {"IQ4_XS", 256, 136, DTYPE_NONE},
    [24] = {"I8", 1, 1, DTYPE_NONE},         [25] = {"I16", 1, 2, DTYPE_NONE},
    [26] = {"I32", 1, 4, DTYPE_NONE},        [27] = {"I64", 1, 8, DTYPE_NONE},
    [28] = {"F64", 1, 8, DTYPE_NONE},        [29] = {"IQ1_M", 256, 56, DTYPE_NONE},
    [30] = {"BF16", 1, 2, DTYPE_BF16},       [34] = {"TQ1_0", 256, 54, DTYPE_NONE},
    [35] = {"TQ2_0", 256, 66, DTYPE_NONE},   [39] = {"MXFP4", 32, 17, DTYPE_NONE},
    [40] = {"NVFP4", 64, 36, DTYPE_NONE},    [41] = {"Q1_0", 128, 18, DTYPE_NONE},
};

#define N_TYPES (sizeof(types) / sizeof(types[0]))

bool gguf_is(const uint8_t *data, size_t size)
{
    return size >= 4 && memcmp(data, "GGUF", 4) == 0;
}

static bool read_version(struct gguf *gguf, struct byte_cursor *cursor, struct status *status)
{
    if (!gguf_is(cursor->data, cursor->size))
        return status_fail(status, STATUS_CONFIG, "does not begin with 'GGUF'");
    cursor->at = 4;
    if (!byte_cursor_u32(cursor, &gguf->version, status))
        return status_context(status, "version");
    if ((gguf->version & 0xFFFF) == 0 && gguf->version != 0)
        return status_fail(status, STATUS_CONFIG, "big-endian file; only little-endian is read");
    if (gguf->version != 2 && gguf->version != 3)
        return status_fail(status, STATUS_CONFIG, "GGUF version %" PRIu32 "; 2 and 3 are read",
                           gguf->version);
    return true;
}

/* A count of things that take at least min_size bytes each. */
static bool read_count(size_t *n, struct byte_cursor *cursor, const char *what, size_t min_size,
                       size_t max, struct status *status)
{
    uint64_t count;

    if (!byte_cursor_u64(cursor, &count, status))
        return status_context(status, "number of %s", what);
    if (count > max)
        return status_fail(status, STATUS_CONFIG, "%" PRIu64 " %s, at most %zu are read", count,
                           what, max);
    if (count > (cursor->size - cursor->at) / min_size)
        return status_fail(status, STATUS_CONFIG,
                           "%" PRIu64 " %s, but %zu bytes follow: is the file cut short?", count,
                           what, cursor->size - cursor->at);
    *n = (size_t)count;
    return true;
}

static bool read_alignment(const struct gguf *gguf, size_t *alignment, struct status *status)
{
    uint64_t value = DEFAULT_ALIGNMENT;
    bool found;

    if (!gguf_uint(gguf, "general.alignment", &value, &found, status))
        return false;
    if (value == 0 || value > MAX_ALIGNMENT || (value & (value - 1)) != 0)
        return status_fail(status, STATUS_CONFIG,
                           "general.alignment: must be a power of two up to %d, is %" PRIu64,
                           MAX_ALIGNMENT, value);
    *alignment = (size_t)value;
    return true;
}

/* The dimensions, turned round: ne[0], the length of a row, comes last. */
static bool read_shape(struct tensor_entry *entry, struct byte_cursor *cursor,
                       struct status *status)
{
    uint32_t n_dims;

    if (!byte_cursor_u32(cursor, &n_dims, status))
        return false;
    if (n_dims < 1 || n_dims > TENSOR_FILE_MAX_DIMS)
        return status_fail(status, STATUS_CONFIG, "%" PRIu32 " dimensions, must be 1 to %d", n_dims,
                           TENSOR_FILE_MAX_DIMS);
    entry->n_dims = (int)n_dims;
    for (size_t i = 0; i < TENSOR_FILE_MAX_DIMS; i++)
        entry->shape[i] = 1;
    for (uint32_t i = 0; i < n_dims; i++) {
        uint64_t ne;

        if (!byte_cursor_u64(cursor, &ne, status))
            return false;
        if (ne > INT64_MAX)
            return status_fail(status, STATUS_CONFIG, "shape overflows");
        entry->shape[n_dims - 1 - i] = (size_t)ne;
    }
    return true;
}

static bool read_type(struct tensor_entry *entry, struct byte_cursor *cursor, struct status *status)
{
    const size_t row = entry->shape[entry->n_dims - 1];
    uint32_t type;
    size_t n;

    if (!byte_cursor_u32(cursor, &type, status))
        return false;
    if (type >= N_TYPES || !types[type].name)
        return status_fail(status, STATUS_CONFIG, "unknown type %" PRIu32, type);
    entry->type_name = types[type].name;
    entry->dtype = types[type].dtype;
    if (row % types[type].elements != 0)
        return status_fail(status, STATUS_CONFIG, "rows of %zu, but %s has blocks of %zu", row,
                           types[type].name, types[type].elements);
    n = row / types[type].elements; /* blocks */
    for (int i = 0; i < entry->n_dims - 1; i++) {
        if (!checked_mul(n, entry->shape[i], &n))
            return status_fail(status, STATUS_CONFIG, "shape overflows");
    }
    if (!checked_mul(n, types[type].bytes, &entry->size))
        return status_fail(status, STATUS_CONFIG, "shape overflows");
    return true;
}

/* Where the padded tensors so far end; the next one must begin there. */
static bool read_offset(const struct tensor_entry *entry, size_t *end, size_t alignment,
                        struct byte_cursor *cursor, struct status *status)
{
    uint64_t offset;
    size_t padded;

    if (!byte_cursor_u64(cursor, &offset, status))
        return false;
    if (offset != *end)
        return status_fail(status, STATUS_CONFIG, "offset %" PRIu64 ", must be %zu", offset, *end);
    if (!checked_add(entry->size, alignment - 1, &padded) ||
        !checked_add(*end, padded & ~(alignment - 1), end))
        return status_fail(status, STATUS_CONFIG, "offset and size overflow");
    return true;
}

static bool read_name(char *name, struct byte_cursor *cursor, struct status *status)
{
    struct text text;

    if (!byte_cursor_string(cursor, MAX_TENSOR_NAME, &text, status))
        return status_context(status, "name");
    if (!tensor_file_name_ok(text))
        return status_fail(status, STATUS_CONFIG, "name is empty or has control characters");
    memcpy(name, text.ptr, text.len);
    name[text.len] = '\0';
    return true;
}

static bool read_infos(struct gguf *gguf, size_t n, size_t alignment, struct byte_cursor *cursor,
                       struct status *status)
{
    struct tensor_file *file = &gguf->tensors;
    size_t end = 0;
    char *at;

    if (!tensor_file_reserve(file, n, n * (MAX_TENSOR_NAME + 1), status))
        return false;
    at = file->names;
    for (size_t i = 0; i < n; i++) {
        struct tensor_entry *entry = &file->entries[i];

        if (!read_name(at, cursor, status))
            return status_context(status, "tensor %zu", i + 1);
        if (!read_shape(entry, cursor, status) || !read_type(entry, cursor, status) ||
            !read_offset(entry, &end, alignment, cursor, status))
            return status_context(status, "tensor '%s'", at);
        entry->name = at;
        at += strlen(at) + 1;
        file->n_entries++;
    }
    return true;
}

/* Point the entries into the data; the file must end with the last, or with its padding. */
static bool place_data(struct tensor_file *file, size_t alignment, struct byte_cursor *cursor,
                       struct status *status)
{
    const size_t over = cursor->at % alignment;
    const size_t padding = over > 0 ? alignment - over : 0;
    size_t left = cursor->size - cursor->at;

    left -= padding < left ? padding : left;
    cursor->at = cursor->size - left;
    for (size_t i = 0; i < file->n_entries; i++) {
        struct tensor_entry *entry = &file->entries[i];
        const size_t tail = (alignment - entry->size % alignment) % alignment;

        if (entry->size > left)
            return status_fail(
                status, STATUS_CONFIG,
                "tensor '%s': needs %zu bytes, but %zu are left in the file: is it cut short?",
                entry->name, entry->size, left);
        entry->data = cursor->data + (cursor->size - left);
        left -= entry->size;
        if (i + 1 < file->n_entries && tail > left)
            return status_fail(status, STATUS_CONFIG, "tensor '%s': begins behind the end",
                               file->entries[i + 1].name);
        left -= tail < left ? tail : left;
    }
    if (left > 0)
        return status_fail(status, STATUS_CONFIG, "%zu bytes that belong to no tensor at the end",
                           left);
    return true;
}

bool gguf_read(struct gguf *gguf, const uint8_t *data, size_t size, struct status *status)
{
    struct byte_cursor cursor = {data, size, 0};
    size_t n_tensors, n_pairs, alignment;
    bool ok;

    *gguf = (struct gguf){0};
    ok = read_version(gguf, &cursor, status) &&
         read_count(&n_tensors, &cursor, "tensors", MIN_INFO_SIZE, TENSOR_FILE_MAX_TENSORS,
                    status) &&
         read_count(&n_pairs, &cursor, "keys", MIN_PAIR_SIZE, GGUF_MAX_PAIRS, status) &&
         gguf_pairs_read(gguf, n_pairs, &cursor, status) &&
         read_alignment(gguf, &alignment, status) &&
         read_infos(gguf, n_tensors, alignment, &cursor, status) &&
         place_data(&gguf->tensors, alignment, &cursor, status) &&
         tensor_file_sort(&gguf->tensors, status);
    if (!ok)
        gguf_close(gguf);
    return ok;
}

bool gguf_open(struct gguf *gguf, const char *path, struct status *status)
{
    struct mapped_file map;

    *gguf = (struct gguf){0};
    if (!mapped_file_open(&map, path, status))
        return false;
    if (!gguf_read(gguf, map.data, map.size, status)) {
        mapped_file_close(&map);
        status_prefix(status, "%s", path);
        return foreign_file_explain(path, FOREIGN_FILE_GGUF, status);
    }
    gguf->tensors.map = map;
    return true;
}

void gguf_close(struct gguf *gguf)
{
    gguf_pairs_release(gguf);
    tensor_file_close(&gguf->tensors);
    *gguf = (struct gguf){0};
}

/* The pair of a key, or NULL: then *ok says whether it may be absent. */
static const struct gguf_pair *lookup(const struct gguf *gguf, const char *key, bool *found,
                                      bool *ok, struct status *status)
{
    const struct gguf_pair *pair = gguf_pairs_find(gguf, key);

    *ok = true;
    if (found)
        *found = pair != NULL;
    else if (!pair)
        *ok = status_fail(status, STATUS_CONFIG, "%s: missing", key);
    return pair;
}

static bool wrong_type(const char *key, const struct gguf_pair *pair, const char *wanted,
                       struct status *status)
{
    const bool array = pair->type == GGUF_TYPE_ARRAY;

    return status_fail(status, STATUS_CONFIG, "%s: must be %s, is %s%s", key, wanted,
                       array ? "an array of which each is " : "",
                       gguf_pairs_type_name(array ? pair->element : pair->type));
}

bool gguf_uint(const struct gguf *gguf, const char *key, uint64_t *value, bool *found,
               struct status *status)
{
    bool ok;
    const struct gguf_pair *pair = lookup(gguf, key, found, &ok, status);
    int64_t number;

    if (!pair)
        return ok;
    if (!gguf_pairs_is_int(pair->type))
        return wrong_type(key, pair, "an integer", status);
    if (!gguf_pairs_int(pair->type, pair->bytes, &number) || number < 0)
        return status_fail(status, STATUS_CONFIG, "%s: must be an integer from 0 to 2^63 - 1", key);
    *value = (uint64_t)number;
    return true;
}

bool gguf_float(const struct gguf *gguf, const char *key, double *value, bool *found,
                struct status *status)
{
    bool ok;
    const struct gguf_pair *pair = lookup(gguf, key, found, &ok, status);

    if (!pair)
        return ok;
    if (!gguf_pairs_is_float(pair->type))
        return wrong_type(key, pair, "a float", status);
    *value = gguf_pairs_float(pair->type, pair->bytes);
    return true;
}

bool gguf_bool(const struct gguf *gguf, const char *key, bool *value, bool *found,
               struct status *status)
{
    bool ok;
    const struct gguf_pair *pair = lookup(gguf, key, found, &ok, status);

    if (!pair)
        return ok;
    if (pair->type != GGUF_TYPE_BOOL)
        return wrong_type(key, pair, "a boolean", status);
    *value = pair->bytes[0] == 1;
    return true;
}

bool gguf_string(const struct gguf *gguf, const char *key, struct text *value, bool *found,
                 struct status *status)
{
    bool ok;
    const struct gguf_pair *pair = lookup(gguf, key, found, &ok, status);

    if (!pair)
        return ok;
    if (pair->type != GGUF_TYPE_STRING)
        return wrong_type(key, pair, "a string", status);
    *value = pair->string;
    return true;
}

bool gguf_string_array(const struct gguf *gguf, const char *key, const struct text **items,
                       size_t *n, bool *found, struct status *status)
{
    bool ok;
    const struct gguf_pair *pair = lookup(gguf, key, found, &ok, status);

    if (!pair)
        return ok;
    if (pair->type != GGUF_TYPE_ARRAY || pair->element != GGUF_TYPE_STRING)
        return wrong_type(key, pair, "an array of strings", status);
    *items = pair->strings;
    *n = pair->n;
    return true;
}

bool gguf_int_array(const struct gguf *gguf, const char *key, int32_t **values, size_t *n,
                    bool *found, struct status *status)
{
    bool ok;
    const struct gguf_pair *pair = lookup(gguf, key, found, &ok, status);
    int32_t *made;

    if (!pair)
        return ok;
    if (pair->type != GGUF_TYPE_ARRAY || !gguf_pairs_is_int(pair->element))
        return wrong_type(key, pair, "an array of integers", status);
    made = malloc((pair->n > 0 ? pair->n : 1) * sizeof(*made));
    if (!made)
        return status_fail(status, STATUS_MEMORY, "%s: no memory for %zu integers", key, pair->n);
    for (size_t i = 0; i < pair->n; i++) {
        const uint8_t *bytes = pair->bytes + i * gguf_pairs_type_size(pair->element);
        int64_t number;

        if (!gguf_pairs_int(pair->element, bytes, &number) || number < INT32_MIN ||
            number > INT32_MAX) {
            free(made);
            return status_fail(status, STATUS_CONFIG, "%s: element %zu does not fit 32 bits", key,
                               i);
        }
        made[i] = (int32_t)number;
    }
    *values = made;
    *n = pair->n;
    return true;
}

bool gguf_float_array(const struct gguf *gguf, const char *key, float **values, size_t *n,
                      bool *found, struct status *status)
{
    bool ok;
    const struct gguf_pair *pair = lookup(gguf, key, found, &ok, status);
    float *made;

    if (!pair)
        return ok;
    if (pair->type != GGUF_TYPE_ARRAY || !gguf_pairs_is_float(pair->element))
        return wrong_type(key, pair, "an array of floats", status);
    made = malloc((pair->n > 0 ? pair->n : 1) * sizeof(*made));
    if (!made)
        return status_fail(status, STATUS_MEMORY, "%s: no memory for %zu floats", key, pair->n);
    for (size_t i = 0; i < pair->n; i++)
        made[i] = (float)gguf_pairs_float(pair->element,
                                          pair->bytes + i * gguf_pairs_type_size(pair->element));
    *values = made;
    *n = pair->n;
    return true;
}
