#include "model/bert_folder.h"

#include "base/hash.h"
#include "model/model_files.h"

static bool check_encoder(const struct model_config *c, struct status *status)
{
    if (c->architecture != ARCH_BERT)
        return status_fail(status, STATUS_CONFIG, "is a language model ('%s'), not an encoder",
                           c->model_type);
    if (c->n_labels > 0)
        return status_fail(status, STATUS_CONFIG,
                           "is a cross-encoder (BertForSequenceClassification), not an encoder");
    return true;
}

static bool check_cross_encoder(const struct model_config *c, struct status *status)
{
    if (c->architecture != ARCH_BERT)
        return status_fail(status, STATUS_CONFIG, "is a language model ('%s'), not a cross-encoder",
                           c->model_type);
    if (c->n_labels == 0)
        return status_fail(
            status, STATUS_CONFIG,
            "is an encoder (BertModel), not a cross-encoder (BertForSequenceClassification)");
    if (c->type_vocab_size < 2)
        return status_fail(status, STATUS_CONFIG,
                           "config.json: type_vocab_size: must be at least 2 for pairs, is %d",
                           c->type_vocab_size);
    return true;
}

static bool check_tokenizer(const struct bert_folder *f, enum sbert_kind kind,
                            struct status *status)
{
    if (tokenizer_vocab_size(f->tokenizer) > f->config.vocab_size)
        return status_fail(status, STATUS_CONFIG,
                           "the tokenizer has %d tokens, the embedding only %d rows",
                           tokenizer_vocab_size(f->tokenizer), f->config.vocab_size);
    if (kind == SBERT_CROSS_ENCODER && !tokenizer_has_pairs(f->tokenizer))
        return status_fail(status, STATUS_CONFIG, "the tokenizer takes no pairs");
    return true;
}

static bool read_settings(struct bert_folder *f, enum sbert_kind kind,
                          const struct model_files *files, struct status *status)
{
    const struct model_config *c = &files->config;

    if (!files->is_gguf)
        return sbert_config_read(&f->settings, kind, files->path, c->dim, c->max_seq_len, status);
    return sbert_config_read_gguf(&f->settings, &files->gguf, c->max_seq_len, status) ||
           status_context(status, "%s", files->path);
}

static bool load(struct bert_folder *f, enum sbert_kind kind, const struct model_files *files,
                 const struct backend *backend, struct device *device, struct status *status)
{
    const struct model_config *c = &files->config;
    const char *path = files->path;

    if (!(kind == SBERT_ENCODER ? check_encoder(c, status) : check_cross_encoder(c, status)))
        return status_context(status, "%s", path);
    f->config = *c;
    if (!read_settings(f, kind, files, status))
        return false;
    bert_pass_init(&f->pass, f->settings.max_seq_length);
    f->bert = bert_open(files, backend, device, f->pass.max_rows, BERT_PASS_TEXTS, status);
    if (!f->bert)
        return status_context(status, "%s", path);
    f->tokenizer = files->is_gguf ? tokenizer_open_gguf(&files->gguf, path, status)
                                  : tokenizer_open_folder(path, status);
    return f->tokenizer && (check_tokenizer(f, kind, status) || status_context(status, "%s", path));
}

bool bert_folder_open(struct bert_folder *folder, enum sbert_kind kind, const char *path,
                      const struct backend *backend, struct device *device, struct status *status)
{
    struct model_files files;
    bool ok;

    *folder = (struct bert_folder){0};
    if (!model_files_open(&files, path, status))
        return false;
    identity_of(model_files_tensors(&files), IDENTITY_SAMPLE, HASH_START, path, folder->name);
    ok = load(folder, kind, &files, backend, device, status);
    model_files_close(&files);
    if (!ok)
        bert_folder_close(folder);
    return ok;
}

void bert_folder_close(struct bert_folder *folder)
{
    bert_close(folder->bert);
    tokenizer_close(folder->tokenizer);
    sbert_config_release(&folder->settings);
    bert_pass_release(&folder->pass);
    *folder = (struct bert_folder){0};
}
