/* model.safetensors.index.json: whatever is accepted names plain files, each once, and files that
 * hold just what it says pass its check. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "formats/json_file.h"
#include "formats/safetensors_index.h"
#include "fuzz.h"

static size_t shard_of(const struct safetensors_index *index, const char *name)
{
    size_t i = 0;

    while (i < index->n_shards && strcmp(index->shards[i], name) != 0)
        i++;
    require(i < index->n_shards);
    return i;
}

/* Files of tensors of one byte, as the map has them. */
static struct tensor_file *make_files(const struct safetensors_index *index)
{
    const size_t n = json_object_size(index->weight_map);
    struct tensor_file *files = memory_zeroed(index->n_shards, sizeof(*files));
    struct status status;
    const char *tensor;
    json_t *value;

    for (size_t i = 0; i < index->n_shards; i++)
        require(tensor_file_reserve(&files[i], n, 0, &status));
    json_object_foreach((json_t *)(uintptr_t)index->weight_map, tensor, value)
    {
        struct tensor_file *file = &files[shard_of(index, json_string_value(value))];

        file->entries[file->n_entries++] = (struct tensor_entry){.name = tensor, .size = 1};
    }
    for (size_t i = 0; i < index->n_shards; i++)
        require(tensor_file_sort(&files[i], &status));
    return files;
}

static void check(struct safetensors_index *index)
{
    struct tensor_file *files = make_files(index);
    const size_t n = json_object_size(index->weight_map);
    struct status status;

    for (size_t i = 0; i < index->n_shards; i++) {
        require(!strchr(index->shards[i], '/') && !strstr(index->shards[i], ".."));
        require(i == 0 || strcmp(index->shards[i - 1], index->shards[i]) < 0);
    }
    require(safetensors_index_check(index, files, &status) ==
            (!index->has_total_size || index->total_size == n));
    index->has_total_size = false;
    files[0].n_entries--;
    require(!safetensors_index_check(index, files, &status));
    for (size_t i = 0; i < index->n_shards; i++)
        tensor_file_close(&files[i]);
    free(files);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct safetensors_index index;
    struct status status;
    json_t *root =
        json_file_parse((struct text){(const char *)data, size}, JSON_FILE_EXACT, &status);

    if (root && safetensors_index_read(&index, root, &status)) {
        check(&index);
        safetensors_index_release(&index);
    }
    json_decref(root);
    return 0;
}
