#include "text/tokenizer.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mapped_file.h"
#include "base/memory.h"
#include "formats/model_location.h"
#include "text/tokenizer_parts.h"

/* What one encoding at a time needs. */
struct scratch {
    struct scratch *next;
    struct byte_level_scratch byte_level;
    struct wordpiece_scratch wordpiece;
};

struct tokenizer_scratches {
    pthread_mutex_t lock;
    struct scratch *spare; /* as many as encodings ran at once */
};

static struct scratch *take_scratch(const struct tokenizer *tokenizer)
{
    struct tokenizer_scratches *all = tokenizer->scratches;
    struct scratch *scratch;

    pthread_mutex_lock(&all->lock);
    scratch = all->spare;
    if (scratch)
        all->spare = scratch->next;
    pthread_mutex_unlock(&all->lock);
    return scratch ? scratch : memory_zeroed(1, sizeof(*scratch));
}

static void give_scratch(const struct tokenizer *tokenizer, struct scratch *scratch)
{
    struct tokenizer_scratches *all = tokenizer->scratches;

    pthread_mutex_lock(&all->lock);
    scratch->next = all->spare;
    all->spare = scratch;
    pthread_mutex_unlock(&all->lock);
}

static void free_scratches(struct tokenizer_scratches *all)
{
    while (all->spare) {
        struct scratch *scratch = all->spare;

        all->spare = scratch->next;
        byte_level_scratch_release(&scratch->byte_level);
        wordpiece_scratch_release(&scratch->wordpiece);
        free(scratch);
    }
    pthread_mutex_destroy(&all->lock);
    free(all);
}

struct tokenizer *tokenizer_new(enum tokenizer_kind kind, const char *name)
{
    struct tokenizer *tokenizer = memory_zeroed(1, sizeof(*tokenizer));

    tokenizer->kind = kind;
    snprintf(tokenizer->name, sizeof(tokenizer->name), "%s", name);
    tokenizer->begin_id = -1;
    tokenizer->end_id = -1;
    tokenizer->scratches = memory_zeroed(1, sizeof(*tokenizer->scratches));
    pthread_mutex_init(&tokenizer->scratches->lock, NULL);
    return tokenizer;
}

void tokenizer_close(struct tokenizer *tokenizer)
{
    if (!tokenizer)
        return;
    byte_level_release(&tokenizer->byte_level);
    wordpiece_release(&tokenizer->wordpiece);
    trie_release(&tokenizer->added);
    vocab_release(&tokenizer->vocab);
    buf_release(&tokenizer->chat_template);
    free_scratches(tokenizer->scratches);
    free(tokenizer->roles);
    free(tokenizer);
}

bool tokenizer_set_vocab(struct tokenizer *tokenizer, const struct text *pieces, size_t n,
                         struct status *status)
{
    if (!vocab_init(&tokenizer->vocab, pieces, n, status))
        return false;
    tokenizer->roles = memory_zeroed(n, sizeof(*tokenizer->roles));
    return true;
}

bool tokenizer_index_added(struct tokenizer *tokenizer, struct status *status)
{
    const size_t n = tokenizer->vocab.n;
    struct text *keys = memory_zeroed(n, sizeof(*keys));
    int32_t *ids = memory_zeroed(n, sizeof(*ids));
    size_t n_added = 0;
    bool ok;

    for (size_t id = 0; id < n; id++) {
        if (!(tokenizer->roles[id] & TOKEN_ADDED))
            continue;
        keys[n_added] = tokenizer->vocab.pieces[id];
        ids[n_added++] = (int32_t)id;
        tokenizer->added_first[(unsigned char)tokenizer->vocab.pieces[id].ptr[0]] = true;
    }
    ok = trie_init(&tokenizer->added, keys, ids, n_added, status);
    free(keys);
    free(ids);
    return ok;
}

static struct tokenizer *open_gguf_file(const char *path, struct status *status)
{
    struct gguf gguf;
    struct tokenizer *tokenizer;

    if (!gguf_open(&gguf, path, status))
        return NULL;
    tokenizer = tokenizer_open_gguf(&gguf, path, status);
    gguf_close(&gguf);
    return tokenizer;
}

/* A folder with a GGUF file and nothing else in it stands for that file. */
static struct tokenizer *open_folder(const char *path, struct status *status)
{
    struct model_location location;
    struct status other;
    struct tokenizer *tokenizer;

    if (!model_location_find(&location, path, &other))
        return tokenizer_open_folder(path, status);
    tokenizer = location.is_gguf ? open_gguf_file(location.path, status)
                                 : tokenizer_open_folder(path, status);
    model_location_release(&location);
    return tokenizer;
}

/* SentencePiece's ModelProto begins with its first piece: a field of type 1, its size, and within
 * it the piece's own field 1. */
static bool is_sentencepiece(const struct mapped_file *file)
{
    return file->size > 3 && file->data[0] == 0x0A && file->data[2] == 0x0A;
}

struct tokenizer *tokenizer_open(const char *path, struct status *status)
{
    struct mapped_file file;
    struct stat st;
    bool gguf, sentencepiece, json;

    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return open_folder(path, status);
    if (!mapped_file_open(&file, path, status))
        return NULL;
    gguf = gguf_is(file.data, file.size);
    sentencepiece = is_sentencepiece(&file);
    json = file.size > 0 && file.data[0] == '{';
    mapped_file_close(&file);
    if (gguf)
        return open_gguf_file(path, status);
    if (sentencepiece || json) {
        status_set(status, STATUS_CONFIG,
                   "%s: tokenizer '%s' is not known; gpt2 in a GGUF file "
                   "and WordPiece in a vocab.txt are",
                   path, json ? "tokenizer.json" : "SentencePiece");
        return NULL;
    }
    return tokenizer_open_vocab_txt(path, status);
}

/* Text without added tokens in it. */
static void encode_stretch(const struct tokenizer *t, struct scratch *scratch, struct text text,
                           struct tokens *out)
{
    if (t->kind == TOKENIZER_WORDPIECE)
        wordpiece_encode(&t->wordpiece, &scratch->wordpiece, text, out);
    else
        byte_level_encode(&t->byte_level, &scratch->byte_level, text, out);
}

/* The leftmost added token from `at` on, the longest of those; its place, or text.len. */
static size_t find_added(const struct tokenizer *t, struct text text, size_t at, int32_t *id,
                         size_t *len)
{
    for (; at < text.len; at++) {
        if (!t->added_first[(unsigned char)text.ptr[at]])
            continue;
        *id = trie_longest(&t->added, text, at, len);
        if (*id >= 0)
            return at;
    }
    return text.len;
}

static void encode_content(const struct tokenizer *t, struct scratch *scratch, struct text text,
                           unsigned flags, struct tokens *out)
{
    size_t at = 0;

    while (at < text.len) {
        int32_t id = -1;
        size_t len = 0;
        const size_t end =
            flags & TOKENIZER_NO_ADDED ? text.len : find_added(t, text, at, &id, &len);

        encode_stretch(t, scratch, (struct text){text.ptr + at, end - at}, out);
        if (id >= 0)
            tokens_push(out, id);
        at = end + len;
    }
}

void tokenizer_encode(const struct tokenizer *tokenizer, struct text text, unsigned flags,
                      struct tokens *out)
{
    struct scratch *scratch = take_scratch(tokenizer);

    if (flags & TOKENIZER_SPECIAL && tokenizer->begin_id >= 0)
        tokens_push(out, tokenizer->begin_id);
    encode_content(tokenizer, scratch, text, flags, out);
    if (flags & TOKENIZER_SPECIAL && tokenizer->end_id >= 0)
        tokens_push(out, tokenizer->end_id);
    give_scratch(tokenizer, scratch);
}

void tokenizer_encode_pair(const struct tokenizer *tokenizer, struct text a, struct text b,
                           unsigned flags, struct tokens *out, struct tokens *types)
{
    const size_t n_before = out->n;
    size_t middle;

    assert(tokenizer_has_pairs(tokenizer));
    tokenizer_encode(tokenizer, a, flags, out);
    middle = out->n;
    if (flags & TOKENIZER_SPECIAL) { /* [CLS] A [SEP] + [CLS] B [SEP] without the second [CLS] */
        tokenizer_encode(tokenizer, b, flags & ~(unsigned)TOKENIZER_SPECIAL, out);
        tokens_push(out, tokenizer->end_id);
    } else {
        tokenizer_encode(tokenizer, b, flags, out);
    }
    for (size_t i = n_before; i < out->n; i++)
        tokens_push(types, i >= middle);
}

bool tokenizer_has_pairs(const struct tokenizer *tokenizer)
{
    return tokenizer->kind == TOKENIZER_WORDPIECE;
}

size_t tokenizer_n_special(const struct tokenizer *tokenizer, bool pair)
{
    return (size_t)(tokenizer->begin_id >= 0) + (size_t)(tokenizer->end_id >= 0) +
           (size_t)(pair && tokenizer->end_id >= 0);
}

/* Of the n items that begin at `from`, keep `left`. */
static void remove_items(struct tokens *tokens, size_t from, size_t n, size_t left,
                         enum tokenizer_keep keep)
{
    const size_t gone = n - left;
    const size_t gap = keep == TOKENIZER_KEEP_HEAD ? from + left : from;

    memmove(tokens->ids + gap, tokens->ids + gap + gone,
            (tokens->n - gap - gone) * sizeof(*tokens->ids));
    tokens->n -= gone;
}

/* tokenizers' rule for two halves of n1 and n2 tokens that must fit into `room`. */
static void longest_first(size_t *n1, size_t *n2, size_t room)
{
    size_t *shorter = *n1 <= *n2 ? n1 : n2;
    size_t *longer = *n1 <= *n2 ? n2 : n1;

    if (*shorter > room || room - *shorter < *shorter)
        *longer = *shorter;
    else
        *longer = room - *shorter;
    if (*shorter > room || *longer > room - *shorter) {
        *shorter = room / 2;
        *longer = *shorter + room % 2;
    }
}

size_t tokenizer_cut(const struct tokenizer *tokenizer, unsigned flags, size_t max_length,
                     enum tokenizer_keep keep, struct tokens *tokens, struct tokens *types)
{
    const bool special = flags & TOKENIZER_SPECIAL;
    const size_t n_before = tokens->n;
    const size_t n_special = special ? tokenizer_n_special(tokenizer, types != NULL) : 0;
    const size_t room = max_length > n_special ? max_length - n_special : 0;
    const size_t first = special && tokenizer->begin_id >= 0;
    const size_t close = special && tokenizer->end_id >= 0;
    size_t n1 = tokens->n - n_special, n2 = 0, left1, left2;

    if (n1 <= room)
        return 0;
    for (size_t i = 0; types && i < types->n; i++)
        n2 += types->ids[i] == 1;
    if (types)
        n2 -= close;
    n1 -= n2;
    left1 = types ? n1 : room;
    left2 = n2;
    if (types) {
        longest_first(&left1, &left2, room);
        remove_items(tokens, first + n1 + close, n2, left2, keep);
        remove_items(types, first + n1 + close, n2, left2, keep);
        remove_items(types, first, n1, left1, keep);
    }
    remove_items(tokens, first, n1, left1, keep);
    return n_before - tokens->n;
}

int tokenizer_vocab_size(const struct tokenizer *tokenizer)
{
    return (int)tokenizer->vocab.n;
}

const char *tokenizer_name(const struct tokenizer *tokenizer)
{
    return tokenizer->name;
}

static bool is_token(const struct tokenizer *tokenizer, int32_t id)
{
    return id >= 0 && (size_t)id < tokenizer->vocab.n;
}

struct text tokenizer_piece(const struct tokenizer *tokenizer, int32_t id)
{
    return is_token(tokenizer, id) ? tokenizer->vocab.pieces[id] : text_of("");
}

struct text tokenizer_bytes(const struct tokenizer *tokenizer, int32_t id)
{
    if (tokenizer->kind == TOKENIZER_WORDPIECE || !is_token(tokenizer, id))
        return tokenizer_piece(tokenizer, id);
    return tokenizer->byte_level.bytes[id];
}

int32_t tokenizer_find(const struct tokenizer *tokenizer, const char *piece)
{
    return vocab_find(&tokenizer->vocab, text_of(piece));
}

bool tokenizer_is_control(const struct tokenizer *tokenizer, int32_t id)
{
    return is_token(tokenizer, id) && tokenizer->roles[id] & TOKEN_CONTROL;
}

bool tokenizer_is_wordpiece(const struct tokenizer *tokenizer)
{
    return tokenizer->kind == TOKENIZER_WORDPIECE;
}

struct text tokenizer_chat_template(const struct tokenizer *tokenizer)
{
    return buf_text(&tokenizer->chat_template);
}
