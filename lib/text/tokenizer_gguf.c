/* The tokenizer of a GGUF file: keys tokenizer.ggml.*. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "text/tokenizer_parts.h"

/* token_type as llama.cpp writes it. */
enum { TYPE_NORMAL = 1, TYPE_UNKNOWN, TYPE_CONTROL, TYPE_USER_DEFINED, TYPE_UNUSED, TYPE_BYTE };

static bool check_kind(const struct gguf *gguf, struct status *status)
{
    struct text model = {0}, pre = {0};
    bool found, prefix_space = false;

    if (!gguf_string(gguf, "tokenizer.ggml.model", &model, NULL, status))
        return false;
    if (!text_is(model, "gpt2"))
        return status_fail(status, STATUS_CONFIG, "tokenizer '%.*s' is not known; gpt2 is",
                           (int)(model.len < 40 ? model.len : 40), model.ptr);
    if (!gguf_string(gguf, "tokenizer.ggml.pre", &pre, &found, status))
        return false;
    if (!text_is(pre, "smollm"))
        return status_fail(status, STATUS_CONFIG, "pre-tokenizer '%.*s' is not known; smollm is",
                           (int)(pre.len < 40 ? pre.len : 40), pre.ptr);
    if (!gguf_bool(gguf, "tokenizer.ggml.add_space_prefix", &prefix_space, &found, status))
        return false;
    if (prefix_space)
        return status_fail(status, STATUS_CONFIG,
                           "key 'tokenizer.ggml.add_space_prefix': true is not known with gpt2");
    return true;
}

static bool read_roles(struct tokenizer *tokenizer, const struct gguf *gguf, struct status *status)
{
    const char *key = "tokenizer.ggml.token_type";
    int32_t *types = NULL;
    size_t n;
    bool found, ok = true;

    if (!gguf_int_array(gguf, key, &types, &n, &found, status))
        return false;
    if (!found)
        return true;
    if (n != tokenizer->vocab.n)
        ok = status_fail(status, STATUS_CONFIG, "key '%s': %zu types for %zu tokens", key, n,
                         tokenizer->vocab.n);
    for (size_t id = 0; ok && id < n; id++) {
        if (types[id] < TYPE_NORMAL || types[id] > TYPE_BYTE)
            ok = status_fail(status, STATUS_CONFIG, "key '%s': token %zu has type %d", key, id,
                             (int)types[id]);
        else if (types[id] == TYPE_CONTROL)
            tokenizer->roles[id] = TOKEN_CONTROL | TOKEN_ADDED;
        else if (types[id] == TYPE_USER_DEFINED)
            tokenizer->roles[id] = TOKEN_ADDED;
    }
    free(types);
    return ok;
}

/* The id under `id_key`, if `add_key` says that texts get it; else -1. */
static bool read_special(const struct tokenizer *tokenizer, const struct gguf *gguf,
                         const char *id_key, const char *add_key, int32_t *id,
                         struct status *status)
{
    bool found, add = false;
    uint64_t value = 0;

    *id = -1;
    if (!gguf_bool(gguf, add_key, &add, &found, status))
        return false;
    if (!gguf_uint(gguf, id_key, &value, add ? NULL : &found, status))
        return false;
    if (value >= tokenizer->vocab.n)
        return status_fail(status, STATUS_CONFIG, "key '%s': %llu, but there are %zu tokens",
                           id_key, (unsigned long long)value, tokenizer->vocab.n);
    if (add)
        *id = (int32_t)value;
    return true;
}

/* "left right", parted by the first space that is not at its beginning. */
static bool read_merges(struct tokenizer *tokenizer, const struct text *texts, size_t n,
                        struct status *status)
{
    const struct byte_level_options options = {.n_model = tokenizer->vocab.n, .unknown_id = -1};
    struct byte_level_merge *merges = memory_zeroed(n + 1, sizeof(*merges));
    bool ok = true;

    for (size_t i = 0; ok && i < n; i++) {
        const struct text t = texts[i];
        const char *space = t.len < 2 ? NULL : memchr(t.ptr + 1, ' ', t.len - 1);

        ok = space || status_fail(status, STATUS_CONFIG,
                                  "merge %zu is not made of two tokens and a third", i);
        if (!ok)
            break;
        merges[i].left = (struct text){t.ptr, (size_t)(space - t.ptr)};
        merges[i].right = (struct text){space + 1, t.len - merges[i].left.len - 1};
    }
    ok = ok &&
         byte_level_init(&tokenizer->byte_level, &tokenizer->vocab, merges, n, &options, status);
    free(merges);
    return ok;
}

static bool read_all(struct tokenizer *tokenizer, const struct gguf *gguf, struct status *status)
{
    const struct text *pieces, *merges;
    struct text chat_template = {0};
    size_t n_pieces, n_merges;
    int32_t begin_id, end_id;
    bool found;

    if (!gguf_string_array(gguf, "tokenizer.ggml.tokens", &pieces, &n_pieces, NULL, status) ||
        !gguf_string_array(gguf, "tokenizer.ggml.merges", &merges, &n_merges, NULL, status) ||
        !tokenizer_set_vocab(tokenizer, pieces, n_pieces, status) ||
        !read_roles(tokenizer, gguf, status) || !tokenizer_index_added(tokenizer, status) ||
        !read_merges(tokenizer, merges, n_merges, status) ||
        !read_special(tokenizer, gguf, "tokenizer.ggml.bos_token_id",
                      "tokenizer.ggml.add_bos_token", &begin_id, status) ||
        !read_special(tokenizer, gguf, "tokenizer.ggml.eos_token_id",
                      "tokenizer.ggml.add_eos_token", &end_id, status) ||
        !gguf_string(gguf, "tokenizer.chat_template", &chat_template, &found, status))
        return false;
    if (found)
        buf_append_text(&tokenizer->chat_template, chat_template);
    splitter_add_rule(&tokenizer->splitter, PRETOKENIZER_SMOLLM);
    tokenizer_set_ends(tokenizer, begin_id, end_id);
    return true;
}

struct tokenizer *tokenizer_open_gguf(const struct gguf *gguf, const char *path,
                                      struct status *status)
{
    struct tokenizer *tokenizer = tokenizer_new(TOKENIZER_BYTE_LEVEL, "gpt2/smollm", path);

    if (check_kind(gguf, status) && read_all(tokenizer, gguf, status))
        return tokenizer;
    tokenizer_close(tokenizer);
    status_prefix(status, "%s", path);
    return NULL;
}
