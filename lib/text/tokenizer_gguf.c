/* The tokenizer of a GGUF file: keys tokenizer.ggml.*. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "text/tokenizer_parts.h"

/* token_type as llama.cpp writes it. */
enum { TYPE_NORMAL = 1, TYPE_UNKNOWN, TYPE_CONTROL, TYPE_USER_DEFINED, TYPE_UNUSED, TYPE_BYTE };

/* Rules for text, by the names that llama.cpp gives to pre-tokenizers. What it calls default are
 * models of whose pattern it knows nothing; transformers takes GPT-2's. */
static const struct rule {
    const char *pre, *name;
    enum pretokenizer rule;
    bool ignore_merges, add_begin; /* what the models' own tokenizer.json says of them */
} rules[] = {
    {"smollm", "gpt2/smollm", PRETOKENIZER_SMOLLM, false, false},
    {"gpt-2", "gpt2/gpt-2", PRETOKENIZER_GPT2, false, false},
    {"llama-bpe", "gpt2/llama-bpe", PRETOKENIZER_LLAMA3, true, true},
    {"default", "gpt2/default", PRETOKENIZER_GPT2, false, false},
};

static bool find_rule(const struct gguf *gguf, const struct rule **rule, struct status *status)
{
    struct text pre = {"", 0};
    bool found, prefix_space = false;

    if (!gguf_string(gguf, "tokenizer.ggml.pre", &pre, &found, status))
        return false;
    *rule = NULL;
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (text_is(pre, rules[i].pre))
            *rule = &rules[i];
    }
    if (!*rule)
        return status_fail(
            status, STATUS_CONFIG,
            "pre-tokenizer '%.*s' is not known; smollm, gpt-2, llama-bpe and default "
            "are",
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
        else if (types[id] == TYPE_CONTROL ||
                 (types[id] == TYPE_UNKNOWN && tokenizer->kind == TOKENIZER_METASPACE))
            tokenizer->roles[id] = TOKEN_CONTROL | TOKEN_ADDED;
        else if (types[id] == TYPE_USER_DEFINED)
            tokenizer->roles[id] = TOKEN_ADDED;
    }
    free(types);
    return ok;
}

/* The id under `id_key`, if `add_key` says that texts get it; else -1. `add` holds where the file
 * does not say; *id is the id where it does not name one, -1: then it must. */
static bool read_special(const struct tokenizer *tokenizer, const struct gguf *gguf,
                         const char *id_key, const char *add_key, bool add, int32_t *id,
                         struct status *status)
{
    uint64_t value = *id < 0 ? 0 : (uint64_t)*id;
    const bool must = *id < 0;
    bool found;

    *id = -1;
    if (!gguf_bool(gguf, add_key, &add, &found, status))
        return false;
    if (!gguf_uint(gguf, id_key, &value, add && must ? NULL : &found, status))
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
                        bool ignore_merges, struct status *status)
{
    const struct byte_level_options options = {
        .n_model = tokenizer->vocab.n, .ignore_merges = ignore_merges, .unknown_id = -1};
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

/* BOS and EOS; `ids` hold what counts where the file names none, -1: nothing does. */
static bool read_ends(struct tokenizer *t, const struct gguf *gguf, bool add_begin, int32_t ids[2],
                      struct status *status)
{
    if (!read_special(t, gguf, "tokenizer.ggml.bos_token_id", "tokenizer.ggml.add_bos_token",
                      add_begin, &ids[0], status) ||
        !read_special(t, gguf, "tokenizer.ggml.eos_token_id", "tokenizer.ggml.add_eos_token", false,
                      &ids[1], status))
        return false;
    tokenizer_set_ends(t, ids[0], ids[1]);
    return true;
}

static bool fill_byte_level(struct tokenizer *t, const struct gguf *gguf, struct status *status)
{
    const struct text *merges;
    const struct rule *rule;
    int32_t ids[2] = {-1, -1};
    size_t n;

    if (!find_rule(gguf, &rule, status) ||
        !gguf_string_array(gguf, "tokenizer.ggml.merges", &merges, &n, NULL, status) ||
        !read_roles(t, gguf, status) || !tokenizer_index_added(t, status) ||
        !read_merges(t, merges, n, rule->ignore_merges, status) ||
        !read_ends(t, gguf, rule->add_begin, ids, status))
        return false;
    snprintf(t->name, sizeof(t->name), "%s", rule->name);
    splitter_add_rule(&t->splitter, rule->rule);
    return true;
}

static bool read_scores(const struct tokenizer *t, const struct gguf *gguf, float **scores,
                        struct status *status)
{
    const char *key = "tokenizer.ggml.scores";
    size_t n;

    if (!gguf_float_array(gguf, key, scores, &n, NULL, status))
        return false;
    if (n != t->vocab.n)
        return status_fail(status, STATUS_CONFIG, "key '%s': %zu scores for %zu tokens", key, n,
                           t->vocab.n);
    for (size_t i = 0; i < n; i++) {
        if (!isfinite((*scores)[i]))
            return status_fail(status, STATUS_CONFIG, "key '%s': that of token %zu is not finite",
                               key, i);
    }
    return true;
}

/* As transformers reads it: what tokenizer.json would do, not llama.cpp, which puts a space behind
 * every control token too. */
static bool fill_llama(struct tokenizer *t, const struct gguf *gguf, struct status *status)
{
    int32_t ids[2] = {1, 2};
    const struct text *merges;
    uint64_t unknown_id = 0;
    float *scores = NULL;
    bool found, prefix = true, ok;
    size_t n;

    if (!gguf_string_array(gguf, "tokenizer.ggml.merges", &merges, &n, &found, status))
        return false;
    if (found)
        return status_fail(status, STATUS_CONFIG,
                           "key 'tokenizer.ggml.merges' is not known with tokenizer llama");
    if (!gguf_bool(gguf, "tokenizer.ggml.add_space_prefix", &prefix, &found, status) ||
        !gguf_uint(gguf, "tokenizer.ggml.unknown_token_id", &unknown_id, &found, status) ||
        !read_roles(t, gguf, status) || !tokenizer_index_added(t, status) ||
        !read_ends(t, gguf, true, ids, status))
        return false;
    if (unknown_id >= t->vocab.n)
        return status_fail(status, STATUS_CONFIG,
                           "key 'tokenizer.ggml.unknown_token_id': %llu, but there are %zu tokens",
                           (unsigned long long)unknown_id, t->vocab.n);
    ok = read_scores(t, gguf, &scores, status) &&
         tokenizer_set_llama(t, scores, (int32_t)unknown_id,
                             prefix ? LLAMA_PREFIX_FIRST : LLAMA_PREFIX_NEVER, status);
    free(scores);
    return ok;
}

/* llama.cpp's spelling of WordPiece: U+2581 begins a word, what continues one has no mark. */
static void respell(struct text piece, struct buf *out)
{
    if (piece.len > 1 && piece.ptr[0] == '[' && piece.ptr[piece.len - 1] == ']') {
        buf_append_text(out, piece);
    } else if (text_starts_with(piece, text_of(METASPACE))) {
        buf_append(out, piece.ptr + strlen(METASPACE), piece.len - strlen(METASPACE));
    } else {
        buf_append_string(out, "##");
        buf_append_text(out, piece);
    }
}

static bool set_respelled(struct tokenizer *t, const struct text *pieces, size_t n,
                          struct status *status)
{
    struct text *respelled = memory_zeroed(n + 1, sizeof(*respelled));
    struct buf store = {0};
    size_t size = 1;
    bool ok;

    for (size_t i = 0; i < n; i++)
        size += pieces[i].len + 2;
    buf_reserve(&store, size); /* from here on its bytes do not move */
    for (size_t i = 0; i < n; i++) {
        const size_t from = store.len;

        respell(pieces[i], &store);
        respelled[i] = (struct text){store.data + from, store.len - from};
    }
    ok = tokenizer_set_vocab(t, respelled, n, status);
    free(respelled);
    buf_release(&store);
    return ok;
}

static bool fill_bert(struct tokenizer *t, const struct gguf *gguf, struct status *status)
{
    const struct tokenizer_config none = {0};

    return read_roles(t, gguf, status) && tokenizer_fill_bert(t, &none, status);
}

static const struct kind {
    const char *model, *name;
    enum tokenizer_kind kind;
    bool (*fill)(struct tokenizer *t, const struct gguf *gguf, struct status *status);
} kinds[] = {
    {"gpt2", "gpt2", TOKENIZER_BYTE_LEVEL, fill_byte_level},
    {"llama", "llama", TOKENIZER_METASPACE, fill_llama},
    {"bert", "wordpiece", TOKENIZER_WORDPIECE, fill_bert},
};

static bool find_kind(const struct gguf *gguf, const struct kind **kind, struct status *status)
{
    struct text model = {0};

    if (!gguf_string(gguf, "tokenizer.ggml.model", &model, NULL, status))
        return false;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (text_is(model, kinds[i].model)) {
            *kind = &kinds[i];
            return true;
        }
    }
    return status_fail(status, STATUS_CONFIG,
                       "tokenizer '%.*s' is not known; gpt2, llama and bert are",
                       (int)(model.len < 40 ? model.len : 40), model.ptr);
}

static bool read_all(struct tokenizer *t, const struct kind *kind, const struct gguf *gguf,
                     struct status *status)
{
    const struct text *pieces;
    struct text chat_template = {0};
    size_t n;
    bool found;

    if (!gguf_string_array(gguf, "tokenizer.ggml.tokens", &pieces, &n, NULL, status) ||
        !(kind->kind == TOKENIZER_WORDPIECE ? set_respelled(t, pieces, n, status)
                                            : tokenizer_set_vocab(t, pieces, n, status)) ||
        !kind->fill(t, gguf, status) ||
        !gguf_string(gguf, "tokenizer.chat_template", &chat_template, &found, status))
        return false;
    if (found)
        buf_append_text(&t->chat_template, chat_template);
    return true;
}

struct tokenizer *tokenizer_open_gguf(const struct gguf *gguf, const char *path,
                                      struct status *status)
{
    struct tokenizer *tokenizer = NULL;
    const struct kind *kind;

    if (find_kind(gguf, &kind, status)) {
        tokenizer = tokenizer_new(kind->kind, kind->name, path);
        if (read_all(tokenizer, kind, gguf, status))
            return tokenizer;
    }
    tokenizer_close(tokenizer);
    status_prefix(status, "%s", path);
    return NULL;
}
