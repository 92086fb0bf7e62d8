/* Weights in several safetensors files, and the index that says which tensor lies where:
 *
 * {"metadata": {"total_size": bytes, ...}, "weight_map": {"tensor": "file in the same folder"}}
 *
 * Index and files must agree: each mapped tensor lies in its file and no file has others.
 */
#ifndef FORMATS_SAFETENSORS_INDEX_H
#define FORMATS_SAFETENSORS_INDEX_H

#include <jansson.h>

#include "formats/tensor_file.h"

#define SAFETENSORS_INDEX_MAX_SHARDS ((size_t)4096)

struct safetensors_index {
    const json_t *weight_map; /* tensor -> file: the root's */
    const char **shards;      /* ours; the files' names, each once, sorted: the root's */
    size_t n_shards;
    uint64_t total_size; /* bytes of all tensors */
    bool has_total_size;
};

/* The index of a parsed file, which must outlive it. Names of files are plain: no '/', no "..".
 * STATUS_CONFIG and a message that begins with the member; *index is empty then. */
bool safetensors_index_read(struct safetensors_index *index, const json_t *root,
                            struct status *status) MUST_CHECK;
void safetensors_index_release(struct safetensors_index *index);

/* Do these files, [n_shards] in the order of index->shards, hold what the index says? The message
 * names tensor and file. */
bool safetensors_index_check(const struct safetensors_index *index, const struct tensor_file *files,
                             struct status *status) MUST_CHECK;

/* All tensors of the files that model.safetensors.index.json at `path` names, as one tensor_file.
 * On failure *file is empty and the message names the file. */
bool safetensors_index_open(struct tensor_file *file, const char *path,
                            struct status *status) MUST_CHECK;

#endif
