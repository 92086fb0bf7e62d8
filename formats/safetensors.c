/* 0        8            8 + N                  size
 * | N: u64 | header: N  | data                 |
 *
 * header: {"__metadata__": {"key": "string", ...},
 *          "name": {"dtype": "F32", "shape": [rows, cols], "data_offsets": [begin, end]}, ...}
 *
 * Offsets count from the start of the data. Ordered by them, each tensor begins where the one
 * before ends, the first at 0, and the last ends where the file does: no byte belongs to none or
 * to two. (github.com/huggingface/safetensors, README.md)
 */
#include "formats/safetensors.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/memory.h"
#include "formats/byte_cursor.h"
#include "formats/foreign_file.h"
#include "formats/json_file.h"

#define LENGTH_SIZE 8

static const struct {
    const char *name;
    unsigned bits;
    enum dtype dtype;
} types[] = {
    {"F32", 32, DTYPE_F32},         {"F16", 16, DTYPE_F16},     {"BF16", 16, DTYPE_BF16},
    {"BOOL", 8, DTYPE_NONE},        {"U8", 8, DTYPE_NONE},      {"I8", 8, DTYPE_NONE},
    {"I16", 16, DTYPE_NONE},        {"U16", 16, DTYPE_NONE},    {"I32", 32, DTYPE_NONE},
    {"U32", 32, DTYPE_NONE},        {"I64", 64, DTYPE_NONE},    {"U64", 64, DTYPE_NONE},
    {"F64", 64, DTYPE_NONE},        {"C64", 64, DTYPE_NONE},    {"F8_E5M2", 8, DTYPE_NONE},
    {"F8_E4M3", 8, DTYPE_NONE},     {"F8_E8M0", 8, DTYPE_NONE}, {"F8_E4M3FNUZ", 8, DTYPE_NONE},
    {"F8_E5M2FNUZ", 8, DTYPE_NONE}, {"F4", 4, DTYPE_NONE},      {"F6_E2M3", 6, DTYPE_NONE},
    {"F6_E3M2", 6, DTYPE_NONE},
};

#define N_TYPES (sizeof(types) / sizeof(types[0]))

struct header {
    struct text json;
    const uint8_t *data;
    size_t data_size;
};

static bool find_header(struct header *header, const uint8_t *bytes, size_t size,
                        struct status *status)
{
    uint64_t n;

    if (size < LENGTH_SIZE)
        return status_fail(status, STATUS_CONFIG, "%zu bytes, a header length needs %d", size,
                           LENGTH_SIZE);
    n = byte_cursor_le64(bytes);
    if (n > size - LENGTH_SIZE)
        return status_fail(status, STATUS_CONFIG,
                           "header length %" PRIu64
                           ", but %zu bytes follow: is the file cut short?",
                           n, size - LENGTH_SIZE);
    if (n > SAFETENSORS_MAX_HEADER)
        return status_fail(status, STATUS_CONFIG, "header length %" PRIu64 ", at most %zu is read",
                           n, SAFETENSORS_MAX_HEADER);
    header->json = (struct text){(const char *)bytes + LENGTH_SIZE, (size_t)n};
    header->data = bytes + LENGTH_SIZE + n;
    header->data_size = size - LENGTH_SIZE - (size_t)n;
    if (n == 0 || header->json.ptr[0] != '{')
        return status_fail(status, STATUS_CONFIG, "header does not begin with '{'");
    return true;
}

static bool check_metadata(const json_t *metadata, struct status *status)
{
    const char *key;
    json_t *value;

    if (!json_is_object(metadata))
        return status_fail(status, STATUS_CONFIG, "__metadata__: must be an object");
    json_object_foreach((json_t *)(uintptr_t)metadata, key, value)
    {
        if (!json_is_string(value))
            return status_fail(status, STATUS_CONFIG, "__metadata__: '%s' must be a string",
                               tensor_file_name_ok(text_of(key)) ? key : "?");
    }
    return true;
}

static bool read_dtype(struct tensor_entry *entry, unsigned *bits, const json_t *value,
                       struct status *status)
{
    const char *name = json_string_value(value);

    if (!name)
        return status_fail(status, STATUS_CONFIG, "dtype must be a string");
    for (size_t i = 0; i < N_TYPES; i++) {
        if (strcmp(name, types[i].name) != 0)
            continue;
        entry->type_name = types[i].name;
        entry->dtype = types[i].dtype;
        *bits = types[i].bits;
        return true;
    }
    return status_fail(status, STATUS_CONFIG, "unknown dtype '%s'",
                       tensor_file_name_ok(text_of(name)) ? name : "?");
}

/* An integer from 0 up, that is what shapes and offsets are made of. */
static bool read_size(const json_t *value, const char *what, size_t *size, struct status *status)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return status_fail(status, STATUS_CONFIG, "%s must hold integers from 0 up", what);
    *size = (size_t)json_integer_value(value);
    return true;
}

static bool read_shape(struct tensor_entry *entry, const json_t *value, struct status *status)
{
    const size_t n = json_array_size(value);

    if (!json_is_array(value))
        return status_fail(status, STATUS_CONFIG, "shape must be an array");
    if (n > TENSOR_FILE_MAX_DIMS)
        return status_fail(status, STATUS_CONFIG, "%zu dimensions, at most %d are read", n,
                           TENSOR_FILE_MAX_DIMS);
    entry->n_dims = (int)n;
    for (size_t i = 0; i < TENSOR_FILE_MAX_DIMS; i++)
        entry->shape[i] = 1;
    for (size_t i = 0; i < n; i++) {
        if (!read_size(json_array_get(value, i), "shape", &entry->shape[i], status))
            return false;
    }
    return true;
}

static bool read_offsets(struct tensor_entry *entry, const json_t *value,
                         const struct header *header, struct status *status)
{
    size_t begin, end;

    if (!json_is_array(value) || json_array_size(value) != 2)
        return status_fail(status, STATUS_CONFIG, "data_offsets must be [begin, end]");
    if (!read_size(json_array_get(value, 0), "data_offsets", &begin, status) ||
        !read_size(json_array_get(value, 1), "data_offsets", &end, status))
        return false;
    if (begin > end)
        return status_fail(status, STATUS_CONFIG, "begins at %zu, but ends at %zu", begin, end);
    if (end > header->data_size)
        return status_fail(status, STATUS_CONFIG,
                           "ends at %zu, but the data has %zu bytes: is the file cut short?", end,
                           header->data_size);
    entry->data = header->data + begin;
    entry->size = end - begin;
    return true;
}

/* The bytes that shape and type need are those between the offsets. */
static bool check_size(const struct tensor_entry *entry, unsigned bits, struct status *status)
{
    size_t n_bits = bits;

    for (int i = 0; i < entry->n_dims; i++) {
        if (!checked_mul(n_bits, entry->shape[i], &n_bits))
            return status_fail(status, STATUS_CONFIG, "shape overflows");
    }
    if (n_bits % 8 != 0)
        return status_fail(status, STATUS_CONFIG, "%zu bits are no whole bytes", n_bits);
    if (n_bits / 8 != entry->size)
        return status_fail(status, STATUS_CONFIG, "shape needs %zu bytes, has %zu", n_bits / 8,
                           entry->size);
    return true;
}

static bool read_entry(struct tensor_entry *entry, const json_t *value, const struct header *header,
                       struct status *status)
{
    enum { DTYPE, SHAPE, DATA_OFFSETS, N_MEMBERS };
    static const char *const names[N_MEMBERS] = {"dtype", "shape", "data_offsets"};
    const json_t *members[N_MEMBERS];
    unsigned bits;

    if (!json_is_object(value))
        return status_fail(status, STATUS_CONFIG, "must be an object");
    for (int i = 0; i < N_MEMBERS; i++) {
        members[i] = json_object_get(value, names[i]);
        if (!members[i])
            return status_fail(status, STATUS_CONFIG, "no %s", names[i]);
    }
    if (json_object_size(value) != N_MEMBERS)
        return status_fail(status, STATUS_CONFIG,
                           "has members beside dtype, shape and data_offsets");
    return read_dtype(entry, &bits, members[DTYPE], status) &&
           read_shape(entry, members[SHAPE], status) &&
           read_offsets(entry, members[DATA_OFFSETS], header, status) &&
           check_size(entry, bits, status);
}

static bool count_entries(const json_t *root, size_t *n, size_t *n_name_bytes,
                          struct status *status)
{
    const char *name;
    json_t *value;

    *n = 0;
    *n_name_bytes = 0;
    json_object_foreach((json_t *)(uintptr_t)root, name, value)
    {
        if (strcmp(name, "__metadata__") == 0) {
            if (!check_metadata(value, status))
                return false;
            continue;
        }
        ++*n;
        if (!tensor_file_name_ok(text_of(name)))
            return status_fail(status, STATUS_CONFIG,
                               "tensor %zu: name is empty, longer than %d bytes or has control "
                               "characters",
                               *n, TENSOR_FILE_MAX_NAME);
        *n_name_bytes += strlen(name) + 1;
    }
    if (*n > TENSOR_FILE_MAX_TENSORS)
        return status_fail(status, STATUS_CONFIG, "%zu tensors, at most %zu are read", *n,
                           TENSOR_FILE_MAX_TENSORS);
    return true;
}

static bool read_entries(struct tensor_file *file, const json_t *root, const struct header *header,
                         struct status *status)
{
    size_t n, n_name_bytes;
    const char *name;
    json_t *value;
    char *at;

    if (!count_entries(root, &n, &n_name_bytes, status) ||
        !tensor_file_reserve(file, n, n_name_bytes, status))
        return false;
    at = file->names;
    json_object_foreach((json_t *)(uintptr_t)root, name, value)
    {
        struct tensor_entry *entry = &file->entries[file->n_entries];

        if (strcmp(name, "__metadata__") == 0)
            continue;
        if (!read_entry(entry, value, header, status))
            return status_context(status, "tensor '%s'", name);
        entry->name = at;
        at = (char *)memcpy(at, name, strlen(name) + 1) + strlen(name) + 1;
        file->n_entries++;
    }
    return true;
}

static int compare_places(const void *a, const void *b)
{
    const struct tensor_entry *x = a, *y = b;

    if (x->data != y->data)
        return x->data < y->data ? -1 : 1;
    return (x->size > y->size) - (x->size < y->size); /* empty tensors first */
}

/* No holes, no overlaps, nothing behind the last. */
static bool check_cover(struct tensor_file *file, const struct header *header,
                        struct status *status)
{
    const uint8_t *end = header->data;

    if (file->n_entries > 0)
        qsort(file->entries, file->n_entries, sizeof(*file->entries), compare_places);
    for (size_t i = 0; i < file->n_entries; i++) {
        const struct tensor_entry *entry = &file->entries[i];

        if (entry->data != end)
            return status_fail(
                status, STATUS_CONFIG, "tensor '%s': begins at %zu, but the one before ends at %zu",
                entry->name, (size_t)(entry->data - header->data), (size_t)(end - header->data));
        end += entry->size;
    }
    if ((size_t)(end - header->data) != header->data_size)
        return status_fail(status, STATUS_CONFIG, "tensors end at %zu, but the data has %zu bytes",
                           (size_t)(end - header->data), header->data_size);
    return true;
}

bool safetensors_read(struct tensor_file *file, const uint8_t *data, size_t size,
                      struct status *status)
{
    struct header header;
    json_t *root;
    bool ok;

    *file = (struct tensor_file){0};
    if (!find_header(&header, data, size, status))
        return false;
    root = json_file_parse(header.json, JSON_FILE_EXACT, status);
    if (!root)
        return status_context(status, "header");
    ok = read_entries(file, root, &header, status) && check_cover(file, &header, status) &&
         tensor_file_sort(file, status);
    json_decref(root);
    if (!ok)
        tensor_file_close(file);
    return ok;
}

bool safetensors_open(struct tensor_file *file, const char *path, struct status *status)
{
    struct mapped_file map;

    *file = (struct tensor_file){0};
    if (!mapped_file_open(&map, path, status))
        return false;
    if (!safetensors_read(file, map.data, map.size, status)) {
        mapped_file_close(&map);
        status_prefix(status, "%s", path);
        return foreign_file_explain(path, FOREIGN_FILE_SAFETENSORS, status);
    }
    file->map = map;
    file->path = memory_string(path, strlen(path));
    return true;
}
