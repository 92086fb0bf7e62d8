#include "model/model_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "formats/model_location.h"
#include "formats/safetensors.h"
#include "formats/safetensors_index.h"

#define MAX_NAME (TENSOR_FILE_MAX_NAME + 1)

/* Hugging Face's names and GGUF's, without ".weight" or ".bias" (gguf-py, constants.py). */
struct name_pair {
    const char *hf, *gguf;
};

static const struct name_pair global_names[] = {
    {"model.embed_tokens", "token_embd"},
    {"model.norm", "output_norm"},
    {"lm_head", "output"},
};

/* Behind "model.layers.N." and "blk.N.". */
static const struct name_pair layer_names[] = {
    {"input_layernorm", "attn_norm"},    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},      {"self_attn.v_proj", "attn_v"},
    {"self_attn.o_proj", "attn_output"}, {"post_attention_layernorm", "ffn_norm"},
    {"mlp.gate_proj", "ffn_gate"},       {"mlp.up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"},
};

static const struct name_pair bert_names[] = {
    {"embeddings.word_embeddings", "token_embd"},
    {"embeddings.position_embeddings", "position_embd"},
    {"embeddings.token_type_embeddings", "token_types"},
    {"embeddings.LayerNorm", "token_embd_norm"},
};

/* Behind "encoder.layer.N." and "blk.N.". */
static const struct name_pair bert_layer_names[] = {
    {"attention.self.query", "attn_q"},
    {"attention.self.key", "attn_k"},
    {"attention.self.value", "attn_v"},
    {"attention.output.dense", "attn_output"},
    {"attention.output.LayerNorm", "attn_output_norm"},
    {"intermediate.dense", "ffn_up"},
    {"output.dense", "ffn_down"},
    {"output.LayerNorm", "layer_output_norm"},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *gguf_of(const struct name_pair *names, size_t n, struct text hf)
{
    for (size_t i = 0; i < n; i++) {
        if (text_is(hf, names[i].hf))
            return names[i].gguf;
    }
    return NULL;
}

/* How an architecture's tensors are called in a GGUF file. */
struct names {
    const struct name_pair *global, *layer;
    size_t n_global, n_layer;
    const char *layers; /* what Hugging Face's names of a layer begin with */
};

static const struct names names_of[] = {
    [ARCH_LLAMA] = {global_names, layer_names, COUNT(global_names), COUNT(layer_names),
                    "model.layers."},
    [ARCH_BERT] = {bert_names, bert_layer_names, COUNT(bert_names), COUNT(bert_layer_names),
                   "encoder.layer."},
};

/* The GGUF name of a Hugging Face one; false if it has none. */
static bool to_gguf_name(char *out, const char *hf_name, const struct names *names)
{
    const char *suffix = strrchr(hf_name, '.'), *name, *end;
    const size_t n_layers = strlen(names->layers);
    struct text stem;

    if (!suffix || (strcmp(suffix, ".weight") != 0 && strcmp(suffix, ".bias") != 0))
        return false;
    stem = (struct text){hf_name, (size_t)(suffix - hf_name)};
    if (!text_starts_with(stem, text_of(names->layers))) {
        name = gguf_of(names->global, names->n_global, stem);
        return name && snprintf(out, MAX_NAME, "%s%s", name, suffix) < MAX_NAME;
    }
    stem.ptr += n_layers;
    stem.len -= n_layers;
    end = memchr(stem.ptr, '.', stem.len);
    if (!end)
        return false;
    name = gguf_of(names->layer, names->n_layer,
                   (struct text){end + 1, stem.len - (size_t)(end + 1 - stem.ptr)});
    return name && snprintf(out, MAX_NAME, "blk.%.*s.%s%s", (int)(end - stem.ptr), stem.ptr, name,
                            suffix) < MAX_NAME;
}

/* The spelling of checkpoints that came from TensorFlow: LayerNorm.gamma and .beta. */
static bool to_old_name(char *out, const char *name)
{
    static const char *const pairs[][2] = {
        {"LayerNorm.weight", "LayerNorm.gamma"},
        {"LayerNorm.bias", "LayerNorm.beta"},
    };
    const size_t len = strlen(name);

    for (size_t i = 0; i < COUNT(pairs); i++) {
        const size_t suffix = strlen(pairs[i][0]);

        if (len >= suffix && strcmp(name + len - suffix, pairs[i][0]) == 0)
            return snprintf(out, MAX_NAME, "%.*s%s", (int)(len - suffix), name, pairs[i][1]) <
                   MAX_NAME;
    }
    return false;
}

/* With and without the prefix of models that have a head, each in the new and the old spelling. */
static const struct tensor_entry *find_bert(const struct tensor_file *file, const char *name)
{
    const struct tensor_entry *entry = tensor_file_find(file, name);
    char prefixed[MAX_NAME], old[MAX_NAME];

    if (!entry && to_old_name(old, name))
        entry = tensor_file_find(file, old);
    if (!entry && snprintf(prefixed, MAX_NAME, "bert.%s", name) < MAX_NAME) {
        entry = tensor_file_find(file, prefixed);
        if (!entry && to_old_name(old, prefixed))
            entry = tensor_file_find(file, old);
    }
    return entry;
}

const struct tensor_file *model_files_tensors(const struct model_files *files)
{
    return files->is_gguf ? &files->gguf.tensors : &files->safetensors;
}

const struct tensor_entry *model_files_tensor(const struct model_files *files, const char *hf_name)
{
    char name[MAX_NAME];

    if (files->is_gguf)
        return to_gguf_name(name, hf_name, &names_of[files->config.architecture])
                   ? tensor_file_find(&files->gguf.tensors, name)
                   : NULL;
    return files->config.architecture == ARCH_BERT ? find_bert(&files->safetensors, hf_name)
                                                   : tensor_file_find(&files->safetensors, hf_name);
}

/* ---- opening ----------------------------------------------------------------------------- */

static const char *join(struct buf *path, const char *folder, const char *name)
{
    buf_reset(path);
    buf_printf(path, "%s/%s", folder, name);
    return path->data;
}

/* Weights in another shape than model.safetensors, whole or in parts: say what is there. */
static bool fail_without_weights(const char *folder, struct buf *path, struct status *status)
{
    static const struct {
        const char *name, *why;
    } others[] = {
        {"pytorch_model.bin", "pickled weights are never read; convert them to safetensors"},
        {"pytorch_model.bin.index.json",
         "pickled weights are never read; convert them to safetensors"},
        {"consolidated.safetensors", "only Hugging Face's tensor names are supported"},
        {"adapter_config.json", "this is an adapter, not a model"},
    };
    struct stat info;

    for (size_t i = 0; i < COUNT(others); i++) {
        if (stat(join(path, folder, others[i].name), &info) == 0)
            return status_fail(status, STATUS_CONFIG, "%s: no model.safetensors; found %s: %s",
                               folder, others[i].name, others[i].why);
    }
    return status_fail(status, STATUS_NO_INPUT, "%s: no model.safetensors", folder);
}

/* As transformers: a whole file comes before an index and its parts. */
static bool open_folder(struct model_files *files, struct status *status)
{
    struct buf path = {0};
    struct stat info;
    bool ok =
        model_config_read_json(&files->config, join(&path, files->path, "config.json"), status);

    if (ok && stat(join(&path, files->path, "model.safetensors"), &info) == 0)
        ok = safetensors_open(&files->safetensors, path.data, status);
    else if (ok && stat(join(&path, files->path, "model.safetensors.index.json"), &info) == 0)
        ok = safetensors_index_open(&files->safetensors, path.data, status);
    else if (ok)
        ok = fail_without_weights(files->path, &path, status);
    buf_release(&path);
    return ok;
}

static bool open_gguf(struct model_files *files, struct status *status)
{
    if (!gguf_open(&files->gguf, files->path, status))
        return false;
    if (!model_config_read_gguf(&files->config, &files->gguf, status))
        return status_context(status, "%s", files->path);
    return true;
}

bool model_files_open(struct model_files *files, const char *path, struct status *status)
{
    struct model_location location;

    *files = (struct model_files){0};
    if (!model_location_find(&location, path, status))
        return false;
    files->path = location.path;
    files->is_gguf = location.is_gguf;
    if (files->is_gguf ? open_gguf(files, status) : open_folder(files, status))
        return true;
    model_files_close(files);
    return false;
}

void model_files_describe(const struct model_files *files, struct buf *out)
{
    buf_append_string(out, files->path);
    if (files->safetensors.n_parts > 0)
        buf_printf(out, "/model.safetensors.index.json (%zu files)", files->safetensors.n_parts);
    else if (!files->is_gguf)
        buf_append_string(out, "/model.safetensors");
}

void model_files_close(struct model_files *files)
{
    gguf_close(&files->gguf);
    tensor_file_close(&files->safetensors);
    free(files->path);
    *files = (struct model_files){0};
}
