#include "formats/safetensors_index.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/checked.h"
#include "base/memory.h"
#include "formats/json_file.h"
#include "formats/safetensors.h"

/* 2^53: up to here a float names an integer exactly. transformers 4 writes the size as either. */
#define MAX_EXACT 9007199254740992.0

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_plain(const char *name)
{
    return tensor_file_name_ok(text_of(name)) && !strchr(name, '/') && !strstr(name, "..") &&
           strcmp(name, ".") != 0;
}

/* The files' names, each as often as it is named. */
static bool gather_shards(struct safetensors_index *index, struct status *status)
{
    const char *tensor;
    json_t *value;

    index->shards = memory_zeroed(json_object_size(index->weight_map), sizeof(*index->shards));
    json_object_foreach((json_t *)(uintptr_t)index->weight_map, tensor, value)
    {
        const char *shard = json_string_value(value);

        if (!tensor_file_name_ok(text_of(tensor)))
            return status_fail(status, STATUS_CONFIG,
                               "weight_map: the name of a tensor is empty, longer than %d bytes or "
                               "has control characters",
                               TENSOR_FILE_MAX_NAME);
        if (!shard)
            return status_fail(status, STATUS_CONFIG, "weight_map: '%s': must be a string", tensor);
        if (!is_plain(shard))
            return status_fail(status, STATUS_CONFIG,
                               "weight_map: '%s': '%s' is no name of a file in the same folder",
                               tensor, json_file_shown(shard));
        index->shards[index->n_shards++] = shard;
    }
    return true;
}

static bool read_shards(struct safetensors_index *index, struct status *status)
{
    size_t n = 0;

    if (!gather_shards(index, status))
        return false;
    qsort(index->shards, index->n_shards, sizeof(*index->shards), compare_strings);
    for (size_t i = 0; i < index->n_shards; i++) {
        if (n == 0 || strcmp(index->shards[i], index->shards[n - 1]) != 0)
            index->shards[n++] = index->shards[i];
    }
    index->n_shards = n;
    if (n > SAFETENSORS_INDEX_MAX_SHARDS)
        return status_fail(status, STATUS_CONFIG, "weight_map: %zu files, at most %zu are read", n,
                           SAFETENSORS_INDEX_MAX_SHARDS);
    return true;
}

static bool read_total_size(struct safetensors_index *index, const json_t *root,
                            struct status *status)
{
    const json_t *metadata = json_object_get(root, "metadata");
    const json_t *size = json_object_get(metadata, "total_size");
    double number;

    if (metadata && !json_is_null(metadata) && !json_is_object(metadata))
        return status_fail(status, STATUS_CONFIG, "metadata: must be an object");
    if (!size || json_is_null(size))
        return true;
    number = json_number_value(size);
    if (!json_is_number(size) || !(number >= 0 && number <= MAX_EXACT) ||
        (double)(uint64_t)number < number)
        return status_fail(status, STATUS_CONFIG,
                           "metadata: total_size: must be a number of bytes from 0 up");
    index->total_size = (uint64_t)number;
    index->has_total_size = true;
    return true;
}

bool safetensors_index_read(struct safetensors_index *index, const json_t *root,
                            struct status *status)
{
    const json_t *map = json_object_get(root, "weight_map");

    *index = (struct safetensors_index){.weight_map = map};
    if (!json_is_object(root))
        return status_fail(status, STATUS_CONFIG, "must be an object");
    if (!json_is_object(map) || json_object_size(map) == 0)
        return status_fail(status, STATUS_CONFIG,
                           "weight_map: must be an object of tensors and their files");
    if (json_object_size(map) > TENSOR_FILE_MAX_TENSORS)
        return status_fail(status, STATUS_CONFIG, "weight_map: %zu tensors, at most %zu are read",
                           json_object_size(map), TENSOR_FILE_MAX_TENSORS);
    if (read_shards(index, status) && read_total_size(index, root, status))
        return true;
    safetensors_index_release(index);
    return false;
}

void safetensors_index_release(struct safetensors_index *index)
{
    free(index->shards);
    *index = (struct safetensors_index){0};
}

/* Every tensor of a file is mapped to it. */
static bool check_shard(const struct safetensors_index *index, size_t shard,
                        const struct tensor_file *file, uint64_t *size, struct status *status)
{
    for (size_t i = 0; i < file->n_entries; i++) {
        const struct tensor_entry *entry = &file->entries[i];
        const char *mapped = json_string_value(json_object_get(index->weight_map, entry->name));

        if (!mapped)
            return status_fail(status, STATUS_CONFIG, "%s has tensor '%s', weight_map does not",
                               index->shards[shard], entry->name);
        if (strcmp(mapped, index->shards[shard]) != 0)
            return status_fail(status, STATUS_CONFIG,
                               "tensor '%s' is in %s, but weight_map has it in %s", entry->name,
                               index->shards[shard], mapped);
        *size += entry->size;
    }
    return true;
}

bool safetensors_index_check(const struct safetensors_index *index, const struct tensor_file *files,
                             struct status *status)
{
    uint64_t size = 0; /* cannot overflow: the files are mapped */
    const char *tensor;
    json_t *value;

    for (size_t i = 0; i < index->n_shards; i++) {
        if (!check_shard(index, i, &files[i], &size, status))
            return false;
    }
    json_object_foreach((json_t *)(uintptr_t)index->weight_map, tensor, value)
    {
        const char *name = json_string_value(value);
        const char **shard =
            bsearch(&name, index->shards, index->n_shards, sizeof(*index->shards), compare_strings);

        if (!tensor_file_find(&files[shard - index->shards], tensor))
            return status_fail(status, STATUS_CONFIG, "tensor '%s' is not in %s", tensor, name);
    }
    if (index->has_total_size && index->total_size != size)
        return status_fail(status, STATUS_CONFIG,
                           "metadata: total_size: %" PRIu64 ", but the tensors have %" PRIu64
                           " bytes",
                           index->total_size, size);
    return true;
}

static bool open_shards(struct tensor_file *file, const struct safetensors_index *index,
                        const char *path, struct status *status)
{
    const char *slash = strrchr(path, '/');
    struct buf shard = {0};
    bool ok = true;

    file->parts = memory_zeroed(index->n_shards, sizeof(*file->parts));
    while (ok && file->n_parts < index->n_shards) {
        buf_reset(&shard);
        if (slash)
            buf_append(&shard, path, (size_t)(slash - path) + 1);
        buf_append_string(&shard, index->shards[file->n_parts]);
        ok = safetensors_open(&file->parts[file->n_parts], shard.data, status);
        file->n_parts += ok;
    }
    buf_release(&shard);
    return ok;
}

/* The entries of all parts, sorted; their names and bytes stay the parts'. */
static bool join(struct tensor_file *file, struct status *status)
{
    size_t n = 0;

    for (size_t i = 0; i < file->n_parts; i++)
        n += file->parts[i].n_entries;
    if (!tensor_file_reserve(file, n, 0, status))
        return false;
    for (size_t i = 0; i < file->n_parts; i++) {
        const struct tensor_file *part = &file->parts[i];

        if (part->n_entries > 0)
            memcpy(file->entries + file->n_entries, part->entries,
                   part->n_entries * sizeof(*part->entries));
        file->n_entries += part->n_entries;
    }
    return tensor_file_sort(file, status);
}

bool safetensors_index_open(struct tensor_file *file, const char *path, struct status *status)
{
    struct safetensors_index index = {0};
    json_t *root = json_file_read(path, JSON_FILE_EXACT, status);
    bool ok = root != NULL;

    *file = (struct tensor_file){0};
    if (ok && !safetensors_index_read(&index, root, status))
        ok = status_context(status, "%s", path);
    ok = ok && open_shards(file, &index, path, status);
    if (ok && !(safetensors_index_check(&index, file->parts, status) && join(file, status)))
        ok = status_context(status, "%s", path);
    if (!ok)
        tensor_file_close(file);
    safetensors_index_release(&index);
    json_decref(root);
    return ok;
}
