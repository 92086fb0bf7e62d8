#include "model/model.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "model/rope.h"

/* A model without a tokenizer still serves records that bring their tokens. */
static void open_tokenizer(struct model *model, const struct model_files *files, const char *path)
{
    model->tokenizer = files->is_gguf
                           ? tokenizer_open_gguf(&files->gguf, path, &model->tokenizer_status)
                           : tokenizer_open_folder(path, &model->tokenizer_status);
}

/* Files name one end token; chat models of the ChatML family end in either of two. */
static void add_end_tokens(struct model *model)
{
    static const char *const pieces[] = {"<|im_end|>", "<|endoftext|>"};
    struct model_config *c = &model->config;

    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        const int32_t id = tokenizer_find(model->tokenizer, pieces[i]);
        bool known = id < 0 || !tokenizer_is_control(model->tokenizer, id);

        for (int e = 0; e < c->n_eos_ids; e++)
            known = known || c->eos_ids[e] == id;
        if (!known && c->n_eos_ids < MODEL_CONFIG_MAX_EOS_IDS)
            c->eos_ids[c->n_eos_ids++] = id;
    }
}

static bool check(const struct model *model, struct status *status)
{
    const int vocab_size = model->config.vocab_size;

    if (model->tokenizer && tokenizer_vocab_size(model->tokenizer) > vocab_size)
        return status_fail(status, STATUS_CONFIG,
                           "the tokenizer has %d tokens, the embedding only %d rows",
                           tokenizer_vocab_size(model->tokenizer), vocab_size);
    return true;
}

static bool compute_frequencies(struct model *model, const struct model_files *files,
                                struct status *status)
{
    const struct tensor_entry *divisors =
        files->is_gguf ? tensor_file_find(&files->gguf.tensors, ROPE_FREQS) : NULL;

    model->inv_freq = rope_frequencies(&model->config, divisors, status);
    return model->inv_freq != NULL;
}

/* Other weights have another name. */
static void name_model(struct model *model, const struct model_files *files, const char *path)
{
    static const char *const suffixes[] = {
        [QUANTIZE_NF4] = ", to nf4", [QUANTIZE_NF4_DQ] = ", to nf4 with double quantisation"};
    const char *suffix = files->quantize ? suffixes[files->quantize] : "";

    identity_of(model_files_tensors(files), IDENTITY_SAMPLE,
                hash_more(HASH_START, suffix, strlen(suffix)), path, model->name);
    model_files_describe(files, &model->weights_source);
    buf_append_string(&model->weights_source, suffix);
}

struct model *model_open(const char *path, const struct backend *backend, struct device *device,
                         struct status *status)
{
    return model_open_quantised(path, QUANTIZE_OFF, backend, device, status);
}

/* The weights, or a look at them. */
static bool take_weights(struct model *model, const struct model_files *files, bool headers,
                         struct status *status)
{
    size_t size;

    return headers
               ? weights_size_llama(&size, files, model->backend, model->device, status)
               : weights_load_llama(&model->weights, files, model->backend, model->device, status);
}

static struct model *open_model(const char *path, enum quantize quantize, bool headers,
                                const struct backend *backend, struct device *device,
                                struct status *status)
{
    struct model_files files;
    struct model *model;
    bool ok;

    if (!model_files_open(&files, path, status))
        return NULL;
    model = memory_zeroed(1, sizeof(*model));
    model->backend = backend;
    model->device = device;
    model->config = files.config;
    files.quantize = quantize;
    name_model(model, &files, path);
    if (files.config.architecture != ARCH_LLAMA)
        ok = status_fail(status, STATUS_CONFIG, "is an encoder ('%s'), not a language model",
                         files.config.model_type);
    else if (quantize && files.is_gguf)
        ok = status_fail(status, STATUS_CONFIG, "is GGUF, --quantize takes safetensors");
    else
        ok = take_weights(model, &files, headers, status) &&
             compute_frequencies(model, &files, status);
    if (ok) {
        open_tokenizer(model, &files, path);
        ok = check(model, status);
        if (model->tokenizer)
            add_end_tokens(model);
    }
    model_files_close(&files);
    if (!ok) {
        status_prefix(status, "%s", path);
        model_close(model);
        return NULL;
    }
    return model;
}

struct model *model_open_quantised(const char *path, enum quantize quantize,
                                   const struct backend *backend, struct device *device,
                                   struct status *status)
{
    return open_model(path, quantize, false, backend, device, status);
}

struct model *model_open_headers(const char *path, enum quantize quantize,
                                 const struct backend *backend, struct device *device,
                                 struct status *status)
{
    return open_model(path, quantize, true, backend, device, status);
}

bool model_has_weights(const struct model *model)
{
    return model->weights.layers != NULL;
}

void model_close(struct model *model)
{
    if (!model)
        return;
    weights_release_llama(&model->weights, model->config.n_layers, model->backend, model->device);
    tokenizer_close(model->tokenizer);
    free(model->inv_freq);
    buf_release(&model->weights_source);
    free(model);
}

bool model_need_tokenizer(const struct model *model, struct status *status)
{
    if (model->tokenizer)
        return true;
    *status = model->tokenizer_status;
    status->code = STATUS_CONFIG;
    return false;
}
