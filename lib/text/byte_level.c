#include "text/byte_level.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "text/unicode.h"

#define MAX_SEGMENT ((size_t)1 << 30)

enum { WHOLE_UNKNOWN, WHOLE_YES, WHOLE_NO };

/* The bytes that stand for themselves; the other 68, ascending, are U+0100 and on. */
static bool is_printable(int32_t c)
{
    return (c >= 0x21 && c <= 0x7E) || (c >= 0xA1 && c <= 0xAC) || (c >= 0xAE && c <= 0xFF);
}

/* The byte that a character of the alphabet spells; -1 if it is none. */
static int alphabet_byte(int32_t c)
{
    int32_t next = 0x100;

    if (is_printable(c))
        return (int)c;
    for (int byte = 0; byte < 256; byte++) {
        if (!is_printable(byte) && next++ == c)
            return byte;
    }
    return -1;
}

/* Append the bytes that a piece spells; false, and nothing, if it is not all in the alphabet. */
static bool append_bytes(struct text piece, const int16_t alphabet[0x144], struct buf *out)
{
    const size_t n_before = out->len;

    for (size_t at = 0; at < piece.len;) {
        int32_t c;

        at += unicode_decode(piece, at, &c);
        if (c >= 0x144 || alphabet[c] < 0) {
            out->len = n_before;
            return false;
        }
        buf_append_char(out, (char)alphabet[c]);
    }
    return true;
}

static void init_bytes(struct byte_level *b, const struct vocab *vocab)
{
    const struct text *spellings = b->options.spellings ? b->options.spellings : vocab->pieces;
    int16_t alphabet[0x144]; /* 0x100 + 68 characters at most */
    size_t size = 1;

    for (int32_t c = 0; c < 0x144; c++)
        alphabet[c] = (int16_t)alphabet_byte(c);
    for (int byte = 0; byte < 256; byte++)
        b->byte_ids[byte] = -1;
    b->n = vocab->n;
    b->bytes = memory_zeroed(b->n, sizeof(*b->bytes));
    b->whole = memory_zeroed(b->n, sizeof(*b->whole));
    vocab_index_init(&b->index, b->n);
    for (size_t id = 0; id < b->n; id++)
        size += spellings[id].len;
    buf_reserve(&b->store, size); /* spellings are longer, so this does not move */
    for (size_t id = 0; id < b->n; id++) {
        const size_t from = b->store.len;

        if (!append_bytes(spellings[id], alphabet, &b->store)) {
            b->bytes[id] = spellings[id];
            continue;
        }
        b->bytes[id] = (struct text){b->store.data + from, b->store.len - from};
        if (id >= b->options.n_model)
            continue;
        vocab_index_add(&b->index, b->bytes, (int32_t)id); /* distinct, as their spellings are */
        if (b->bytes[id].len > b->max_token)
            b->max_token = b->bytes[id].len;
        if (b->bytes[id].len == 1)
            b->byte_ids[(unsigned char)b->bytes[id].ptr[0]] = (int32_t)id;
    }
}

static bool find_merge(const struct byte_level *b, const struct vocab *vocab,
                       const struct byte_level_merge *from, struct bpe_merge *merge,
                       struct buf *joined)
{
    const int32_t n_model = (int32_t)b->options.n_model;

    buf_reset(joined);
    buf_append_text(joined, from->left);
    buf_append_text(joined, from->right);
    merge->left = vocab_find(vocab, from->left);
    merge->right = vocab_find(vocab, from->right);
    merge->result = vocab_find(vocab, buf_text(joined));
    return merge->left >= 0 && merge->right >= 0 && merge->result >= 0 && merge->left < n_model &&
           merge->right < n_model && merge->result < n_model;
}

static bool init_merges(struct byte_level *b, const struct vocab *vocab,
                        const struct byte_level_merge *from, size_t n, struct status *status)
{
    struct bpe_merge *merges = memory_zeroed(n + 1, sizeof(*merges));
    struct buf joined = {0};
    bool ok = true;

    for (size_t i = 0; ok && i < n; i++)
        ok = find_merge(b, vocab, &from[i], &merges[i], &joined) ||
             status_fail(status, STATUS_CONFIG, "merge %zu is not made of two tokens and a third",
                         i);
    buf_release(&joined);
    if (!ok) {
        free(merges);
        return false;
    }
    return bpe_init(&b->bpe, merges, n, status);
}

bool byte_level_init(struct byte_level *b, const struct vocab *vocab,
                     const struct byte_level_merge *merges, size_t n_merges,
                     const struct byte_level_options *options, struct status *status)
{
    *b = (struct byte_level){.options = *options};
    if (n_merges >= INT32_MAX)
        return status_fail(status, STATUS_CONFIG, "%zu merges are too many", n_merges);
    init_bytes(b, vocab);
    if (init_merges(b, vocab, merges, n_merges, status))
        return true;
    byte_level_release(b);
    return false;
}

void byte_level_release(struct byte_level *b)
{
    bpe_release(&b->bpe);
    free(b->bytes);
    buf_release(&b->store);
    vocab_index_release(&b->index);
    free((void *)b->whole);
    *b = (struct byte_level){0};
}

void byte_level_scratch_release(struct byte_level_scratch *scratch)
{
    bpe_scratch_release(&scratch->bpe);
    tokens_release(&scratch->symbols);
}

static void merge_segment(const struct byte_level *b, struct byte_level_scratch *s,
                          struct text segment, struct tokens *out)
{
    bool unknown = false; /* was the byte before without a token? */

    tokens_reset(&s->symbols);
    tokens_reserve(&s->symbols, segment.len);
    for (size_t i = 0; i < segment.len; i++) {
        const int32_t id = b->byte_ids[(unsigned char)segment.ptr[i]];

        if (id >= 0)
            s->symbols.ids[s->symbols.n++] = id;
        else if (b->options.unknown_id >= 0 && !(unknown && b->options.fuse_unknown))
            s->symbols.ids[s->symbols.n++] = b->options.unknown_id;
        unknown = id < 0;
    }
    bpe_encode(&b->bpe, &s->bpe, s->symbols.ids, s->symbols.n, out);
}

/* Text beyond 2^30 bytes, which no record has, is cut there, so that positions fit 31 bits. */
static void merge_long(const struct byte_level *b, struct byte_level_scratch *s,
                       struct text segment, struct tokens *out)
{
    for (size_t at = 0, n; at < segment.len; at += n) {
        n = segment.len - at < MAX_SEGMENT ? segment.len - at : MAX_SEGMENT;
        merge_segment(b, s, (struct text){segment.ptr + at, n}, out);
    }
}

/* Most segments are a token. Whether merging arrives at it is asked once and remembered; threads
 * that ask at the same time find the same answer. */
static void encode_piece(const struct byte_level *b, struct byte_level_scratch *s,
                         struct text segment, struct tokens *out)
{
    const int32_t id =
        segment.len <= b->max_token ? vocab_index_find(&b->index, b->bytes, segment) : -1;
    const size_t n_before = out->n;
    unsigned char whole = WHOLE_NO;

    if (id >= 0)
        whole = b->options.ignore_merges
                    ? WHOLE_YES
                    : atomic_load_explicit(&b->whole[id], memory_order_relaxed);
    if (whole == WHOLE_YES) {
        tokens_push(out, id);
        return;
    }
    merge_long(b, s, segment, out);
    if (whole == WHOLE_UNKNOWN) {
        whole = out->n == n_before + 1 && out->ids[n_before] == id ? WHOLE_YES : WHOLE_NO;
        atomic_store_explicit(&b->whole[id], whole, memory_order_relaxed);
    }
}

void byte_level_encode(const struct byte_level *b, struct byte_level_scratch *s,
                       struct text segment, struct tokens *out)
{
    const int32_t id = segment.len == 1 ? b->byte_ids[(unsigned char)segment.ptr[0]] : -1;

    if (id >= 0)
        tokens_push(out, id); /* a byte alone has nothing to merge with */
    else
        encode_piece(b, s, segment, out);
}
