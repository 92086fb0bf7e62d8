/* A tokenizer from a SentencePiece model file. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mapped_file.h"
#include "base/memory.h"
#include "formats/sentencepiece.h"
#include "text/tokenizer_parts.h"

static bool set_pieces(struct tokenizer *t, const struct sentencepiece *model,
                       struct status *status)
{
    struct text *pieces = memory_zeroed(model->n, sizeof(*pieces));
    bool ok;

    for (size_t i = 0; i < model->n; i++)
        pieces[i] = model->pieces[i].text;
    ok = tokenizer_set_vocab(t, pieces, model->n, status);
    free(pieces);
    for (size_t i = 0; ok && i < model->n; i++) {
        if (model->pieces[i].type == SENTENCEPIECE_CONTROL)
            t->roles[i] = TOKEN_CONTROL;
    }
    return ok;
}

static enum metaspace_role role_of(enum sentencepiece_type type)
{
    switch (type) {
    case SENTENCEPIECE_NORMAL:
        return METASPACE_MERGED;
    case SENTENCEPIECE_USER_DEFINED:
        return METASPACE_FROZEN;
    case SENTENCEPIECE_UNUSED:
        return METASPACE_UNUSED;
    default:
        return METASPACE_RESERVED;
    }
}

static bool set_merges(struct tokenizer *t, const struct sentencepiece *model,
                       struct status *status)
{
    const struct metaspace_options options = {
        .escape = model->escape_whitespaces,
        .collapse = model->remove_extra_whitespaces,
        .prefix = model->add_dummy_prefix ? METASPACE_PREFIX : METASPACE_NO_PREFIX,
        .byte_fallback = model->byte_fallback,
        .fuse_unknown = true,
        .unknown_id = model->unknown_id,
    };
    float *scores = memory_zeroed(model->n, sizeof(*scores));
    enum metaspace_role *roles = memory_zeroed(model->n, sizeof(*roles));
    bool ok;

    for (size_t i = 0; i < model->n; i++) {
        scores[i] = model->pieces[i].score;
        roles[i] = role_of(model->pieces[i].type);
    }
    ok = metaspace_bpe_init_scores(&t->metaspace, &t->vocab, scores, roles, &options, status);
    free(scores);
    free(roles);
    return ok;
}

static bool read_model(struct tokenizer *t, const struct sentencepiece *model,
                       struct status *status)
{
    if (!set_pieces(t, model, status) || !set_merges(t, model, status))
        return false;
    piece_bytes_init(&t->piece_bytes, &t->vocab, model->byte_fallback, model->unknown_id,
                     model->unknown_surface);
    t->prefix_once = true;
    t->damage = TOKENIZER_DAMAGE_BYTE;
    if (model->remove_extra_whitespaces)
        t->lead = TOKENIZER_LEAD_ALL;
    else if (model->add_dummy_prefix)
        t->lead = TOKENIZER_LEAD_PIECE;
    return true;
}

/* -- the tokenizer.model of a folder, as LlamaTokenizer of transformers reads it -----------------
 */

bool tokenizer_set_llama(struct tokenizer *t, const float *scores, int32_t unknown_id,
                         enum tokenizer_llama_prefix prefix, struct status *status)
{
    const bool none = prefix == LLAMA_PREFIX_NEVER;
    const struct metaspace_options options = {
        .escape = true,
        .prefix = none ? METASPACE_NO_PREFIX : METASPACE_PREFIX_UNLESS,
        .byte_fallback = true,
        .fuse_unknown = true,
        .unknown_id = unknown_id,
    };

    t->prefix_once = prefix == LLAMA_PREFIX_FIRST;
    t->damage = TOKENIZER_DAMAGE_RUN;
    t->lead = none ? TOKENIZER_LEAD_KEPT : TOKENIZER_LEAD_ONE;
    piece_bytes_init(&t->piece_bytes, &t->vocab, true, -1, (struct text){"", 0});
    return metaspace_bpe_init_scores(&t->metaspace, &t->vocab, scores, NULL, &options, status);
}

/* Control pieces are looked for in the text; so are the unknown one and those of the user. */
static void set_llama_roles(struct tokenizer *t, const struct sentencepiece *model)
{
    for (size_t i = 0; i < model->n; i++) {
        const enum sentencepiece_type type = model->pieces[i].type;

        if (type == SENTENCEPIECE_UNKNOWN || type == SENTENCEPIECE_CONTROL)
            t->roles[i] = TOKEN_CONTROL | TOKEN_ADDED;
        else if (type == SENTENCEPIECE_USER_DEFINED)
            t->roles[i] = TOKEN_ADDED;
    }
}

static bool check_llama(const struct sentencepiece *model, const struct tokenizer_config *config,
                        struct status *status)
{
    const char *class = config->class;

    if (class && strcmp(class, "LlamaTokenizer") != 0 && strcmp(class, "LlamaTokenizerFast") != 0)
        return status_fail(status, STATUS_CONFIG,
                           "tokenizer_class '%.60s' is not known with a tokenizer.model; "
                           "LlamaTokenizer is",
                           class);
    if (!model->byte_fallback)
        return status_fail(status, STATUS_CONFIG,
                           "trainer_spec: without byte_fallback it is not a Llama tokenizer's");
    return true;
}

/* What tokenizer_config.json says of the prefix; older ones have `legacy`. */
static enum tokenizer_llama_prefix llama_prefix(const struct tokenizer_config *config)
{
    if (config->add_prefix_space.found && !config->add_prefix_space.value)
        return LLAMA_PREFIX_NEVER;
    return json_is_true(json_object_get(config->root, "legacy")) ? LLAMA_PREFIX_ALWAYS
                                                                 : LLAMA_PREFIX_FIRST;
}

static bool set_llama_ends(struct tokenizer *t, const struct sentencepiece *model,
                           const struct tokenizer_config *config, struct status *status)
{
    const bool begin = !config->add_bos_token.found || config->add_bos_token.value;
    const bool end = config->add_eos_token.found && config->add_eos_token.value;

    if ((begin && model->begin_id < 0) || (end && model->end_id < 0))
        return status_fail(status, STATUS_CONFIG, "no control piece for the %s of a text",
                           begin && model->begin_id < 0 ? "begin" : "end");
    tokenizer_set_ends(t, begin ? model->begin_id : -1, end ? model->end_id : -1);
    return true;
}

static bool read_llama(struct tokenizer *t, const struct sentencepiece *model,
                       const struct tokenizer_config *config, struct status *status)
{
    float *scores;
    bool ok;

    if (!check_llama(model, config, status) || !set_pieces(t, model, status) ||
        !set_llama_ends(t, model, config, status))
        return false;
    set_llama_roles(t, model);
    if (!tokenizer_index_added(t, status))
        return false;
    scores = memory_zeroed(model->n, sizeof(*scores));
    for (size_t i = 0; i < model->n; i++)
        scores[i] = model->pieces[i].score;
    ok = tokenizer_set_llama(t, scores, model->unknown_id, llama_prefix(config), status);
    free(scores);
    buf_append_text(&t->chat_template, buf_text(&config->chat_template));
    return ok;
}

/* config NULL: as SentencePiece. */
static struct tokenizer *open_file(const char *path, const struct tokenizer_config *config,
                                   struct status *status)
{
    struct tokenizer *t = tokenizer_new(TOKENIZER_METASPACE, "sentencepiece", path);
    struct sentencepiece model = {0};
    struct mapped_file file = {0};
    bool ok = mapped_file_open(&file, path, status);

    if (ok)
        ok = (sentencepiece_read(&model, file.data, file.size, status) &&
              (config ? read_llama(t, &model, config, status) : read_model(t, &model, status))) ||
             status_context(status, "%s", path);
    sentencepiece_release(&model);
    mapped_file_close(&file);
    if (ok)
        return t;
    tokenizer_close(t);
    return NULL;
}

struct tokenizer *tokenizer_open_sentencepiece(const char *path, struct status *status)
{
    return open_file(path, NULL, status);
}

struct tokenizer *tokenizer_open_llama(const char *path, const struct tokenizer_config *config,
                                       struct status *status)
{
    const struct tokenizer_config none = {0};

    return open_file(path, config ? config : &none, status);
}

/* -- a folder that is nothing but a model file ----------------------------------------------------
 */

static bool is_model_file(const char *path)
{
    uint8_t start[4];
    struct stat st;
    FILE *file;
    size_t n;

    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return false;
    file = fopen(path, "rb");
    if (!file)
        return false;
    n = fread(start, 1, sizeof(start), file);
    fclose(file);
    return sentencepiece_is(start, n);
}

bool tokenizer_find_sentencepiece(const char *folder, struct buf *path)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    struct buf candidate = {0};
    size_t n = 0;

    while (dir && (entry = readdir(dir))) {
        buf_reset(&candidate);
        buf_printf(&candidate, "%s/%s", folder, entry->d_name);
        if (!is_model_file(candidate.data))
            continue;
        n++;
        buf_reset(path);
        buf_append_text(path, buf_text(&candidate));
    }
    if (dir)
        closedir(dir);
    buf_release(&candidate);
    return n == 1;
}
