#include "formats/tensor_file.h"

#include <stdlib.h>
#include <string.h>

static int compare_names(const void *a, const void *b)
{
    const struct tensor_entry *x = a, *y = b;

    return strcmp(x->name, y->name);
}

const struct tensor_entry *tensor_file_find(const struct tensor_file *file, const char *name)
{
    const struct tensor_entry key = {.name = name};

    if (file->n_entries == 0)
        return NULL;
    return bsearch(&key, file->entries, file->n_entries, sizeof(key), compare_names);
}

static bool holds(const struct tensor_file *file, const struct tensor_entry *entry)
{
    const uintptr_t begin = (uintptr_t)file->map.data, at = (uintptr_t)entry->data;

    return file->path && at >= begin && at - begin <= file->map.size;
}

const char *tensor_file_name_of(const struct tensor_file *file, const struct tensor_entry *entry)
{
    const struct tensor_file *in = file;
    const char *slash;

    for (size_t i = 0; i < file->n_parts; i++) {
        if (holds(&file->parts[i], entry))
            in = &file->parts[i];
    }
    if (!holds(in, entry))
        return NULL;
    slash = strrchr(in->path, '/');
    return slash ? slash + 1 : in->path;
}

void tensor_file_drop(const struct tensor_file *file, const uint8_t *data, size_t size)
{
    mapped_file_drop(&file->map, data, size);
    for (size_t i = 0; i < file->n_parts; i++)
        tensor_file_drop(&file->parts[i], data, size);
}

void tensor_file_close(struct tensor_file *file)
{
    free(file->entries);
    free(file->names);
    free(file->path);
    mapped_file_close(&file->map);
    for (size_t i = 0; i < file->n_parts; i++)
        tensor_file_close(&file->parts[i]);
    free(file->parts);
    *file = (struct tensor_file){0};
}

bool tensor_file_name_ok(struct text name)
{
    if (name.len == 0 || name.len > TENSOR_FILE_MAX_NAME)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        const unsigned char c = (unsigned char)name.ptr[i];

        if (c < 0x20 || c == 0x7F)
            return false;
    }
    return true;
}

bool tensor_file_reserve(struct tensor_file *file, size_t n, size_t n_name_bytes,
                         struct status *status)
{
    file->entries = calloc(n > 0 ? n : 1, sizeof(*file->entries));
    file->names = malloc(n_name_bytes > 0 ? n_name_bytes : 1);
    if (!file->entries || !file->names)
        return status_fail(status, STATUS_MEMORY, "no memory for the names of %zu tensors", n);
    return true;
}

bool tensor_file_sort(struct tensor_file *file, struct status *status)
{
    if (file->n_entries == 0)
        return true;
    qsort(file->entries, file->n_entries, sizeof(*file->entries), compare_names);
    for (size_t i = 1; i < file->n_entries; i++) {
        if (strcmp(file->entries[i - 1].name, file->entries[i].name) == 0)
            return status_fail(status, STATUS_CONFIG, "tensor '%s': is there twice",
                               file->entries[i].name);
    }
    return true;
}
