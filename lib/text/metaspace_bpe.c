#include "text/metaspace_bpe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "formats/sentencepiece.h"
#include "text/unicode.h"

enum {
    N_PAGES = 0x110000 >> 8,
    SPACE = 0x2581,
    SPACE_SIZE = sizeof(METASPACE) - 1,
    MAX_WORD = 23, /* bytes of a word that is remembered */
    MAX_WORD_IDS = 9,
    N_WORDS = 4096, /* a cache line each: within the second cache */
};

/* A word that was merged before. The last byte of its key is its length; 0: none. */
struct metaspace_word {
    uint64_t key[3];
    int32_t n;
    int32_t ids[MAX_WORD_IDS];
};

/* -- making one ----------------------------------------------------------------------------------
 */

/* Symbols are ids, and for a character without one, vocab->n + its code point. */
static int32_t character_symbol(const struct metaspace_bpe *m, int32_t code_point)
{
    const int32_t *page = m->pages[code_point >> 8];

    return page && page[code_point & 0xFF] >= 0 ? page[code_point & 0xFF]
                                                : (int32_t)m->vocab->n + code_point;
}

static void set_character(struct metaspace_bpe *m, int32_t code_point, int32_t id)
{
    int32_t **page = &m->pages[code_point >> 8];

    if (!*page) {
        *page = memory_zeroed(256, sizeof(**page));
        memset(*page, 0xFF, 256 * sizeof(**page)); /* -1 */
    }
    (*page)[code_point & 0xFF] = id;
}

/* Is it one character? */
static bool is_character(struct text text, int32_t *code_point)
{
    return text.len > 0 && unicode_decode(text, 0, code_point) == text.len;
}

static bool init_bytes(struct metaspace_bpe *m, struct status *status)
{
    for (int byte = 0; byte < 256; byte++) {
        char piece[8];

        snprintf(piece, sizeof(piece), "<0x%02X>", (unsigned)byte);
        m->byte_ids[byte] = m->options.byte_fallback ? vocab_find(m->vocab, text_of(piece)) : -1;
        if (m->options.byte_fallback && m->byte_ids[byte] < 0)
            return status_fail(status, STATUS_CONFIG, "byte_fallback, but no piece '%s'", piece);
    }
    return true;
}

static bool is_model_id(const struct metaspace_bpe *m, int32_t id)
{
    return m->options.n_model == 0 || (size_t)id < m->options.n_model;
}

/* roles NULL: every piece of one character is a symbol. */
static bool init_common(struct metaspace_bpe *m, const struct vocab *vocab,
                        const enum metaspace_role *roles, const struct metaspace_options *options,
                        struct status *status)
{
    *m = (struct metaspace_bpe){.options = *options, .vocab = vocab, .words = true};
    if (vocab->n > (size_t)INT32_MAX - 0x110000)
        return status_fail(status, STATUS_CONFIG, "a vocabulary of %zu tokens", vocab->n);
    m->pages = memory_zeroed(N_PAGES, sizeof(*m->pages));
    for (size_t id = 0; id < vocab->n; id++) {
        int32_t code_point;

        if (vocab->pieces[id].len > m->max_piece)
            m->max_piece = vocab->pieces[id].len;
        if (is_model_id(m, (int32_t)id) && (!roles || roles[id] == METASPACE_MERGED) &&
            is_character(vocab->pieces[id], &code_point))
            set_character(m, code_point, (int32_t)id);
    }
    return init_bytes(m, status);
}

/* Has the piece a U+2581 behind another character? Then merges go from word to word. */
static bool spans_words(struct text piece)
{
    size_t at = 0;

    while (text_starts_with((struct text){piece.ptr + at, piece.len - at}, text_of(METASPACE)))
        at += SPACE_SIZE;
    for (; at + SPACE_SIZE <= piece.len; at++) {
        if (memcmp(piece.ptr + at, METASPACE, SPACE_SIZE) == 0)
            return true;
    }
    return false;
}

/* What a part of a piece is while it is merged; -1: nothing. */
static int32_t part_symbol(const struct metaspace_bpe *m, struct text part,
                           const enum metaspace_role *roles, struct status *status, bool *ok)
{
    int32_t code_point, id;

    if (roles && is_character(part, &code_point))
        return character_symbol(m, code_point);
    id = vocab_find(m->vocab, part);
    if (!roles || id < 0)
        return id;
    if (roles[id] == METASPACE_UNUSED)
        *ok = status_fail(status, STATUS_CONFIG,
                          "piece %d is unused, but merges take it: that is not known", (int)id);
    return roles[id] == METASPACE_MERGED ? id : -1;
}

/* A merge with what decides its rank. */
struct scored {
    struct bpe_merge merge;
    float score;
    int left_size, right_size; /* characters */
};

struct scored_list {
    struct scored *items; /* ours */
    size_t n, cap;
};

static void add_merge(struct scored_list *list, struct scored merge)
{
    if (list->n == list->cap) {
        list->cap = list->cap ? 2 * list->cap : 1024;
        list->items = memory_resize(list->items, list->cap, sizeof(*list->items));
    }
    list->items[list->n++] = merge;
}

static bool check_piece(const struct metaspace_bpe *m, int32_t id, const enum metaspace_role *roles,
                        struct status *status)
{
    const struct text piece = m->vocab->pieces[id];
    int32_t code_point;

    if (roles && roles[id] == METASPACE_UNUSED && is_character(piece, &code_point))
        return status_fail(status, STATUS_CONFIG,
                           "piece %d is an unused character: that is not known", (int)id);
    return piece.len <= METASPACE_MAX_PIECE ||
           status_fail(status, STATUS_CONFIG, "piece %d has %zu bytes; at most %d are known",
                       (int)id, piece.len, METASPACE_MAX_PIECE);
}

static int count_characters(struct text text)
{
    int n = 0;
    int32_t c;

    for (size_t at = 0; at < text.len; n++)
        at += unicode_decode(text, at, &c);
    return n;
}

/* All ways to put the piece together from two symbols. */
static bool add_splits(const struct metaspace_bpe *m, int32_t id, float score,
                       const enum metaspace_role *roles, struct scored_list *list,
                       struct status *status)
{
    const struct text piece = m->vocab->pieces[id];
    bool ok = check_piece(m, id, roles, status);
    const int size = ok ? count_characters(piece) : 0;
    int left_size = 1;
    int32_t c;

    for (size_t at = unicode_decode(piece, 0, &c); ok && at < piece.len; left_size++) {
        const struct text left = {piece.ptr, at}, right = {piece.ptr + at, piece.len - at};
        const int32_t l = part_symbol(m, left, roles, status, &ok);
        const int32_t r = ok ? part_symbol(m, right, roles, status, &ok) : -1;

        if (l >= 0 && r >= 0)
            add_merge(list, (struct scored){{l, r, id, 0}, score, left_size, size - left_size});
        at += unicode_decode(piece, at, &c);
    }
    return ok;
}

/* The highest score first; of one score, the longer left half, then the longer right half, then the
 * first piece. */
static int compare_merges(const void *a, const void *b)
{
    const struct scored *l = a, *r = b;

    if (l->score != r->score)
        return l->score < r->score ? 1 : -1;
    if (l->left_size != r->left_size)
        return l->left_size < r->left_size ? 1 : -1;
    if (l->right_size != r->right_size)
        return l->right_size < r->right_size ? 1 : -1;
    return (l->merge.result > r->merge.result) - (l->merge.result < r->merge.result);
}

/* With roles, merges that make pieces of one score have one rank: the leftmost pair goes first. */
static bool rank_merges(struct metaspace_bpe *m, const enum metaspace_role *roles,
                        struct scored_list *list, struct status *status)
{
    struct bpe_merge *merges = memory_zeroed(list->n + 1, sizeof(*merges));

    if (list->n > 0)
        qsort(list->items, list->n, sizeof(*list->items), compare_merges);
    for (size_t i = 0; i < list->n; i++) {
        merges[i] = list->items[i].merge;
        if (i > 0)
            merges[i].rank = merges[i - 1].rank + (list->items[i].score < list->items[i - 1].score);
    }
    return roles ? bpe_init_ranked(&m->bpe, merges, list->n, status)
                 : bpe_init(&m->bpe, merges, list->n, status);
}

static bool init_frozen(struct metaspace_bpe *m, const enum metaspace_role *roles,
                        struct status *status)
{
    struct text *keys = memory_zeroed(m->vocab->n, sizeof(*keys));
    int32_t *ids = memory_zeroed(m->vocab->n, sizeof(*ids));
    size_t n = 0;
    bool ok;

    for (size_t id = 0; id < m->vocab->n; id++) {
        if (roles[id] != METASPACE_FROZEN)
            continue;
        keys[n] = m->vocab->pieces[id];
        ids[n++] = (int32_t)id;
        m->frozen_first[(unsigned char)m->vocab->pieces[id].ptr[0]] = true;
    }
    ok = trie_init(&m->frozen, keys, ids, n, status);
    free(keys);
    free(ids);
    return ok;
}

/* Byte tokens and the unknown token stand for text that has no symbol; were they merged, that text
 * would have to be looked at before the merges. */
static bool check_merge(const struct metaspace_bpe *m, const struct bpe_merge *merge, size_t i,
                        struct status *status)
{
    const int32_t parts[2] = {merge->left, merge->right};

    for (int k = 0; k < 2; k++) {
        if (parts[k] == m->options.unknown_id || metaspace_bpe_is_byte(m, parts[k]))
            return status_fail(status, STATUS_CONFIG,
                               "merge %zu takes the unknown token or a byte: that is not known", i);
    }
    return true;
}

/* The merges of one piece. */
static bool add_piece(struct metaspace_bpe *m, int32_t id, float score,
                      const enum metaspace_role *roles, struct scored_list *list,
                      struct status *status)
{
    const size_t n_before = list->n;

    if (roles && roles[id] != METASPACE_MERGED && roles[id] != METASPACE_UNUSED)
        return true;
    if (!add_splits(m, id, score, roles, list, status))
        return false;
    if (roles && roles[id] == METASPACE_UNUSED && list->n > n_before)
        return status_fail(status, STATUS_CONFIG,
                           "piece %d is unused, but merges make it: that is not known", (int)id);
    for (size_t i = n_before; !roles && i < list->n; i++) {
        if (!check_merge(m, &list->items[i].merge, i, status))
            return false;
    }
    if (list->n > n_before && spans_words(m->vocab->pieces[id]))
        m->words = false;
    return true;
}

bool metaspace_bpe_init_scores(struct metaspace_bpe *m, const struct vocab *vocab,
                               const float *scores, const enum metaspace_role *roles,
                               const struct metaspace_options *options, struct status *status)
{
    struct scored_list list = {0};
    bool ok =
        init_common(m, vocab, roles, options, status) && (!roles || init_frozen(m, roles, status));

    for (size_t id = 0; ok && id < vocab->n; id++)
        ok = add_piece(m, (int32_t)id, scores[id], roles, &list, status);
    ok = ok && rank_merges(m, roles, &list, status);
    free(list.items);
    if (!ok)
        metaspace_bpe_release(m);
    return ok;
}

bool metaspace_bpe_init_merges(struct metaspace_bpe *m, const struct vocab *vocab,
                               struct bpe_merge *merges, size_t n_merges,
                               const struct metaspace_options *options, struct status *status)
{
    bool ok = init_common(m, vocab, NULL, options, status);

    for (size_t i = 0; ok && i < n_merges; i++) {
        ok = check_merge(m, &merges[i], i, status);
        if (spans_words(vocab->pieces[merges[i].result]))
            m->words = false;
    }
    if (!ok)
        free(merges);
    else
        ok = bpe_init(&m->bpe, merges, n_merges, status);
    if (!ok)
        metaspace_bpe_release(m);
    return ok;
}

void metaspace_bpe_release(struct metaspace_bpe *m)
{
    for (size_t i = 0; m->pages && i < N_PAGES; i++)
        free(m->pages[i]);
    free(m->pages);
    bpe_release(&m->bpe);
    trie_release(&m->frozen);
    *m = (struct metaspace_bpe){0};
}

void metaspace_scratch_release(struct metaspace_scratch *s)
{
    bpe_scratch_release(&s->bpe);
    buf_release(&s->text);
    tokens_release(&s->symbols);
    tokens_release(&s->merged);
    free(s->words);
    *s = (struct metaspace_scratch){0};
}

bool metaspace_bpe_is_byte(const struct metaspace_bpe *m, int32_t id)
{
    const int byte = m->options.byte_fallback && id >= 0 && (size_t)id < m->vocab->n
                         ? sentencepiece_byte(m->vocab->pieces[id])
                         : -1;

    return byte >= 0;
}

/* -- merging -------------------------------------------------------------------------------------
 */

/* What is being appended to: whether the last token stands for unknown text. */
struct sink {
    const struct metaspace_bpe *m;
    struct tokens *out;
    bool unknown;
};

static void put_character(struct sink *sink, int32_t code_point)
{
    const struct metaspace_options *o = &sink->m->options;
    char bytes[UNICODE_MAX_BYTES];

    if (o->byte_fallback) {
        const size_t n = unicode_encode(code_point, bytes);

        for (size_t i = 0; i < n; i++)
            tokens_push(sink->out, sink->m->byte_ids[(unsigned char)bytes[i]]);
        return;
    }
    if (o->unknown_id >= 0 && !(sink->unknown && o->fuse_unknown))
        tokens_push(sink->out, o->unknown_id);
    sink->unknown = true;
}

static void put_symbols(struct sink *sink, const int32_t *ids, size_t n)
{
    const int32_t n_ids = (int32_t)sink->m->vocab->n;

    for (size_t i = 0; i < n; i++) {
        if (ids[i] >= n_ids) {
            put_character(sink, ids[i] - n_ids);
        } else {
            tokens_push(sink->out, ids[i]);
            sink->unknown = false;
        }
    }
}

static bool is_space(struct text text, size_t at)
{
    return text.len - at >= SPACE_SIZE && memcmp(text.ptr + at, METASPACE, SPACE_SIZE) == 0;
}

static void merge(const struct metaspace_bpe *m, struct metaspace_scratch *s, struct text word)
{
    tokens_reset(&s->symbols);
    tokens_reserve(&s->symbols, word.len);
    for (size_t at = 0; at < word.len;) {
        int32_t code_point = SPACE;

        if (is_space(word, at))
            at += SPACE_SIZE;
        else
            at += unicode_decode(word, at, &code_point);
        s->symbols.ids[s->symbols.n++] = character_symbol(m, code_point);
    }
    tokens_reset(&s->merged);
    bpe_encode(&m->bpe, &s->bpe, s->symbols.ids, s->symbols.n, &s->merged);
}

static struct metaspace_word *find_word(struct metaspace_scratch *s, struct text word,
                                        uint64_t key[3])
{
    uint64_t hash;

    key[0] = key[1] = key[2] = 0;
    memcpy(key, word.ptr, word.len);
    key[2] |= (uint64_t)word.len << 56; /* its last byte, which no word of 23 reaches */
    hash =
        (key[0] ^ key[1] * UINT64_C(0xff51afd7ed558ccd) ^ key[2] * UINT64_C(0xc4ceb9fe1a85ec53)) *
        UINT64_C(0x9E3779B97F4A7C15);
    if (!s->words)
        s->words = memory_zeroed(N_WORDS, sizeof(*s->words));
    return &s->words[hash >> 52]; /* 4096 */
}

static void encode_word(struct sink *sink, struct metaspace_scratch *s, struct text word)
{
    struct metaspace_word *slot;
    uint64_t key[3];

    if (word.len > MAX_WORD) {
        merge(sink->m, s, word);
        put_symbols(sink, s->merged.ids, s->merged.n);
        return;
    }
    slot = find_word(s, word, key);
    if (memcmp(slot->key, key, sizeof(key)) == 0) {
        put_symbols(sink, slot->ids, (size_t)slot->n);
        return;
    }
    merge(sink->m, s, word);
    put_symbols(sink, s->merged.ids, s->merged.n);
    if (s->merged.n <= MAX_WORD_IDS) {
        memcpy(slot->key, key, sizeof(key));
        memcpy(slot->ids, s->merged.ids, s->merged.n * sizeof(*slot->ids));
        slot->n = (int32_t)s->merged.n;
    }
}

/* The end of the word that begins at `at`: U+2581, one or, unless split, several, and what follows
 * up to the next. */
static size_t word_end(struct text text, size_t at, bool split)
{
    if (is_space(text, at)) {
        at += SPACE_SIZE;
        while (!split && at < text.len && is_space(text, at))
            at += SPACE_SIZE;
    }
    while (at < text.len && (text.ptr[at] != METASPACE[0] || !is_space(text, at)))
        at++;
    return at;
}

/* The token that is the whole text, where that comes before merging; -1: none. */
static int32_t whole_token(const struct metaspace_bpe *m, struct text text)
{
    int32_t id;

    if (!m->options.ignore_merges || text.len > m->max_piece)
        return -1;
    id = vocab_find(m->vocab, text);
    return id >= 0 && is_model_id(m, id) ? id : -1;
}

static void encode_stretch(struct sink *sink, struct metaspace_scratch *s, struct text text)
{
    const struct metaspace_options *o = &sink->m->options;
    const int32_t whole = o->split ? -1 : whole_token(sink->m, text);

    if (whole >= 0) {
        put_symbols(sink, &whole, 1);
        return;
    }
    for (size_t at = 0; at < text.len;) {
        const size_t end = sink->m->words || o->split ? word_end(text, at, o->split) : text.len;
        const struct text word = {text.ptr + at, end - at};
        const int32_t id = o->split ? whole_token(sink->m, word) : -1;

        if (o->split)
            sink->unknown = false;
        if (id >= 0)
            put_symbols(sink, &id, 1);
        else
            encode_word(sink, s, word);
        at = end;
    }
}

/* The leftmost frozen piece from `at` on, the longest of those; its place, or text.len. */
static size_t find_frozen(const struct metaspace_bpe *m, struct text text, size_t at, int32_t *id,
                          size_t *len)
{
    for (; m->frozen.n_slots > 0 && at < text.len; at++) {
        if (!m->frozen_first[(unsigned char)text.ptr[at]])
            continue;
        *id = trie_longest(&m->frozen, text, at, len);
        if (*id >= 0)
            return at;
    }
    return text.len;
}

void metaspace_bpe_encode(const struct metaspace_bpe *m, struct metaspace_scratch *scratch,
                          struct text text, bool prefix, struct tokens *out)
{
    struct sink sink = {m, out, false};
    struct text rest;

    metaspace_text(&m->options, text, prefix, &scratch->text);
    rest = buf_text(&scratch->text);
    for (size_t at = 0; at < rest.len;) {
        int32_t id = -1;
        size_t len = 0;
        const size_t end = find_frozen(m, rest, at, &id, &len);

        encode_stretch(&sink, scratch, (struct text){rest.ptr + at, end - at});
        if (id >= 0)
            put_symbols(&sink, &id, 1);
        at = end + len;
    }
}
