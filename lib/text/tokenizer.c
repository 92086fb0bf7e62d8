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
#include "formats/sentencepiece.h"
#include "text/tokenizer_parts.h"

/* What one encoding at a time needs. */
struct scratch {
    struct scratch *next;
    struct normalizer_scratch normalizer;
    struct splitter_scratch splitter;
    struct byte_level_scratch byte_level;
    struct metaspace_scratch metaspace;
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
        metaspace_scratch_release(&scratch->metaspace);
        normalizer_scratch_release(&scratch->normalizer);
        splitter_scratch_release(&scratch->splitter);
        free(scratch);
    }
    pthread_mutex_destroy(&all->lock);
    free(all);
}

struct tokenizer *tokenizer_new(enum tokenizer_kind kind, const char *name, const char *path)
{
    struct tokenizer *tokenizer = memory_zeroed(1, sizeof(*tokenizer));
    const char *slash = strrchr(path, '/');

    tokenizer->kind = kind;
    snprintf(tokenizer->name, sizeof(tokenizer->name), "%s", name);
    snprintf(tokenizer->source, sizeof(tokenizer->source), "%s", slash ? slash + 1 : path);
    token_frame_add(&tokenizer->single, TOKEN_FRAME_A, 0);
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
    metaspace_bpe_release(&tokenizer->metaspace);
    piece_bytes_release(&tokenizer->piece_bytes);
    added_tokens_release(&tokenizer->added);
    added_tokens_release(&tokenizer->normalized);
    free(tokenizer->spellings);
    buf_release(&tokenizer->spelled);
    normalizer_release(&tokenizer->normalizer);
    splitter_release(&tokenizer->splitter);
    token_frame_release(&tokenizer->single);
    token_frame_release(&tokenizer->pair);
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
    struct added_token *tokens = memory_zeroed(n, sizeof(*tokens));
    size_t n_added = 0;
    bool ok;

    for (size_t id = 0; id < n; id++) {
        if (tokenizer->roles[id] & TOKEN_ADDED)
            tokens[n_added++] = (struct added_token){tokenizer->vocab.pieces[id], (int32_t)id, 0};
    }
    ok = added_tokens_init(&tokenizer->added, tokens, n_added, status);
    free(tokens);
    return ok;
}

void tokenizer_set_ends(struct tokenizer *tokenizer, int32_t begin_id, int32_t end_id)
{
    token_frame_release(&tokenizer->single);
    if (begin_id >= 0)
        token_frame_add(&tokenizer->single, begin_id, 0);
    token_frame_add(&tokenizer->single, TOKEN_FRAME_A, 0);
    if (end_id >= 0)
        token_frame_add(&tokenizer->single, end_id, 0);
}

void tokenizer_set_bert_frames(struct tokenizer *tokenizer, int32_t begin_id, int32_t end_id)
{
    struct token_frame *pair = &tokenizer->pair;

    tokenizer_set_ends(tokenizer, begin_id, end_id);
    token_frame_release(pair);
    token_frame_add(pair, begin_id, 0);
    token_frame_add(pair, TOKEN_FRAME_A, 0);
    token_frame_add(pair, end_id, 0);
    token_frame_add(pair, TOKEN_FRAME_B, 1);
    token_frame_add(pair, end_id, 1);
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

/* A folder with a SentencePiece file stands for that file, unless it is named as in a folder for
 * transformers. */
static struct tokenizer *open_other_folder(const char *path, struct status *status)
{
    static const char name[] = "/tokenizer.model";
    const size_t n = sizeof(name) - 1;
    struct tokenizer *tokenizer;
    struct buf file = {0};

    if (tokenizer_find_sentencepiece(path, &file) &&
        !(file.len >= n && memcmp(file.data + file.len - n, name, n) == 0))
        tokenizer = tokenizer_open_sentencepiece(file.data, status);
    else
        tokenizer = tokenizer_open_folder(path, status);
    buf_release(&file);
    return tokenizer;
}

/* A folder with a GGUF file and nothing else in it stands for that file. */
static struct tokenizer *open_folder(const char *path, struct status *status)
{
    struct model_location location;
    struct status other;
    struct tokenizer *tokenizer;

    if (!model_location_find(&location, path, &other))
        return open_other_folder(path, status);
    tokenizer = location.is_gguf ? open_gguf_file(location.path, status)
                                 : tokenizer_open_folder(path, status);
    model_location_release(&location);
    return tokenizer;
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
    sentencepiece = sentencepiece_is(file.data, file.size);
    json = file.size > 0 && file.data[0] == '{';
    mapped_file_close(&file);
    if (gguf)
        return open_gguf_file(path, status);
    if (json)
        return tokenizer_open_json(path, NULL, status);
    if (sentencepiece)
        return tokenizer_open_sentencepiece(path, status);
    return tokenizer_open_vocab_txt(path, NULL, status);
}

/* Normalised text without added tokens in it; `prefix`: it may get a space in front. */
static bool encode_stretch(const struct tokenizer *t, struct scratch *scratch, struct text text,
                           bool prefix, struct tokens *out, struct status *status)
{
    const struct splitter_pieces *pieces = &scratch->splitter.pieces;

    if (t->kind == TOKENIZER_METASPACE) {
        metaspace_bpe_encode(&t->metaspace, &scratch->metaspace, text, prefix, out);
        return true;
    }
    if (t->kind == TOKENIZER_WORDPIECE) {
        wordpiece_encode(&t->wordpiece, text, out);
        return true;
    }
    if (!splitter_run(&t->splitter, &scratch->splitter, text, status))
        return false;
    for (size_t i = 0; i < pieces->n; i++)
        byte_level_encode(&t->byte_level, &scratch->byte_level, pieces->items[i], out);
    return true;
}

/* Text as it came, without the added tokens that are found there. */
static bool encode_raw(const struct tokenizer *t, struct scratch *scratch, struct text text,
                       bool prefix, unsigned flags, struct tokens *out, struct status *status)
{
    struct added_walk walk = {0};
    struct text before;
    int32_t id;

    if (!normalizer_run(&t->normalizer, &scratch->normalizer, &text, status))
        return false;
    if (flags & TOKENIZER_NO_ADDED || t->normalized.trie.n_slots == 0)
        return encode_stretch(t, scratch, text, prefix, out, status);
    do {
        id = added_tokens_next(&t->normalized, text, &walk, &before);
        if (!encode_stretch(t, scratch, before, before.ptr == text.ptr ? prefix : !t->prefix_once,
                            out, status))
            return false;
        if (id >= 0)
            tokens_push(out, id);
    } while (id >= 0);
    return true;
}

static bool encode_content(const struct tokenizer *t, struct scratch *scratch, struct text text,
                           unsigned flags, struct tokens *out, struct status *status)
{
    const bool begins = !(flags & TOKENIZER_GOES_ON);
    struct added_walk walk = {0};
    struct text before;
    int32_t id;

    if (flags & TOKENIZER_NO_ADDED)
        return encode_raw(t, scratch, text, begins, flags, out, status);
    do {
        id = added_tokens_next(&t->added, text, &walk, &before);
        if (!encode_raw(t, scratch, before, before.ptr == text.ptr ? begins : !t->prefix_once,
                        flags, out, status))
            return false;
        if (id >= 0)
            tokens_push(out, id);
    } while (id >= 0);
    return true;
}

/* The texts in their frame; types may be NULL. */
static bool encode_frame(const struct tokenizer *tokenizer, const struct token_frame *frame,
                         const struct text texts[2], unsigned flags, struct tokens *out,
                         struct tokens *types, size_t lengths[2], struct status *status)
{
    struct scratch *scratch = take_scratch(tokenizer);
    const size_t n_before = out->n, n_types = types ? types->n : 0;
    bool ok = true;

    for (size_t i = 0; ok && i < frame->n; i++) {
        const struct token_frame_item *item = &frame->items[i];
        const size_t n = out->n;

        if (item->id < 0) {
            const int which = item->id == TOKEN_FRAME_A ? 0 : 1;

            ok = encode_content(tokenizer, scratch, texts[which], flags, out, status);
            lengths[which] = out->n - n;
        } else if (flags & TOKENIZER_SPECIAL) {
            tokens_push(out, item->id);
        }
        for (size_t k = n; types && k < out->n; k++)
            tokens_push(types, item->type);
    }
    give_scratch(tokenizer, scratch);
    if (!ok) {
        out->n = n_before;
        if (types)
            types->n = n_types;
    }
    return ok;
}

bool tokenizer_encode(const struct tokenizer *tokenizer, struct text text, unsigned flags,
                      struct tokens *out, struct status *status)
{
    const struct text texts[2] = {text, {"", 0}};
    size_t lengths[2];

    return encode_frame(tokenizer, &tokenizer->single, texts, flags, out, NULL, lengths, status);
}

bool tokenizer_encode_pair(const struct tokenizer *tokenizer, struct text a, struct text b,
                           unsigned flags, struct tokens *out, struct tokens *types,
                           size_t lengths[2], struct status *status)
{
    const struct text texts[2] = {a, b};
    size_t unused[2];

    assert(tokenizer_has_pairs(tokenizer));
    return encode_frame(tokenizer, &tokenizer->pair, texts, flags, out, types,
                        lengths ? lengths : unused, status);
}

bool tokenizer_has_pairs(const struct tokenizer *tokenizer)
{
    return tokenizer->pair.n > 0;
}

size_t tokenizer_n_special(const struct tokenizer *tokenizer, bool pair)
{
    return token_frame_n_special(pair ? &tokenizer->pair : &tokenizer->single);
}

size_t tokenizer_n_front(const struct tokenizer *tokenizer)
{
    const size_t none[2] = {0, 0};

    return token_frame_place(&tokenizer->single, none, 0, true);
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

/* How many ids the texts themselves may have. */
static size_t room_for_texts(const struct tokenizer *tokenizer, bool pair, bool special,
                             size_t max_length)
{
    const size_t n_special = special ? tokenizer_n_special(tokenizer, pair) : 0;

    return max_length > n_special ? max_length - n_special : 0;
}

size_t tokenizer_cut(const struct tokenizer *tokenizer, unsigned flags, size_t max_length,
                     enum tokenizer_keep keep, struct tokens *tokens)
{
    const bool special = flags & TOKENIZER_SPECIAL;
    const size_t room = room_for_texts(tokenizer, false, special, max_length);
    const size_t n = tokens->n - (special ? tokenizer_n_special(tokenizer, false) : 0);
    const size_t lengths[2] = {n, 0};

    if (n <= room)
        return 0;
    remove_items(tokens, token_frame_place(&tokenizer->single, lengths, 0, special), n, room, keep);
    return n - room;
}

size_t tokenizer_cut_pair(const struct tokenizer *tokenizer, unsigned flags, size_t max_length,
                          enum tokenizer_keep keep, size_t lengths[2], struct tokens *tokens,
                          struct tokens *types)
{
    const bool special = flags & TOKENIZER_SPECIAL;
    const size_t room = room_for_texts(tokenizer, true, special, max_length);
    const size_t n_before = tokens->n;
    size_t left[2] = {lengths[0], lengths[1]};

    if (lengths[0] + lengths[1] <= room)
        return 0;
    longest_first(&left[0], &left[1], room);
    for (int which = 0; which < 2; which++) {
        const size_t from = token_frame_place(&tokenizer->pair, lengths, which, special);

        remove_items(tokens, from, lengths[which], left[which], keep);
        remove_items(types, from, lengths[which], left[which], keep);
        lengths[which] = left[which];
    }
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

const char *tokenizer_source(const struct tokenizer *tokenizer)
{
    return tokenizer->source;
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
    if (!is_token(tokenizer, id))
        return text_of("");
    if (tokenizer->kind == TOKENIZER_WORDPIECE)
        return tokenizer->spellings ? tokenizer->spellings[id] : tokenizer->vocab.pieces[id];
    if (tokenizer->kind == TOKENIZER_METASPACE)
        return tokenizer->piece_bytes.texts[id];
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

bool tokenizer_cleans_up(const struct tokenizer *tokenizer)
{
    return tokenizer->cleanup;
}

bool tokenizer_is_metaspace(const struct tokenizer *tokenizer)
{
    return tokenizer->kind == TOKENIZER_METASPACE;
}

enum tokenizer_lead tokenizer_lead(const struct tokenizer *tokenizer)
{
    return tokenizer->lead;
}

enum tokenizer_damage tokenizer_damage(const struct tokenizer *tokenizer)
{
    return tokenizer->damage;
}

bool tokenizer_is_byte(const struct tokenizer *tokenizer, int32_t id)
{
    return tokenizer->kind == TOKENIZER_METASPACE && is_token(tokenizer, id) &&
           tokenizer->piece_bytes.is_byte[id];
}

struct text tokenizer_chat_template(const struct tokenizer *tokenizer)
{
    return buf_text(&tokenizer->chat_template);
}
