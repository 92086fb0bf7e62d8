#include "text/vocab.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/memory.h"
#include "text/unicode.h"

void vocab_index_init(struct vocab_index *index, size_t n)
{
    index->n_slots = 16;
    while (index->n_slots < 2 * n)
        index->n_slots *= 2;
    index->slots = memory_zeroed(index->n_slots, sizeof(*index->slots));
}

void vocab_index_release(struct vocab_index *index)
{
    free(index->slots);
    *index = (struct vocab_index){0};
}

/* Where the text is, or the free slot where it would be. */
static struct vocab_slot *find_slot(const struct vocab_index *index, const struct text *texts,
                                    struct text text, uint32_t *hash)
{
    const size_t mask = index->n_slots - 1;
    size_t i;

    *hash = (uint32_t)hash64(text.ptr, text.len);
    for (i = *hash & mask; index->slots[i].id != 0; i = (i + 1) & mask) {
        const struct vocab_slot *slot = &index->slots[i];

        if (slot->hash == *hash && text_equals(texts[slot->id - 1], text))
            break;
    }
    return &index->slots[i];
}

int32_t vocab_index_find(const struct vocab_index *index, const struct text *texts,
                         struct text text)
{
    uint32_t hash;

    return index->n_slots == 0 ? -1 : find_slot(index, texts, text, &hash)->id - 1;
}

int32_t vocab_index_add(struct vocab_index *index, const struct text *texts, int32_t id)
{
    uint32_t hash;
    struct vocab_slot *slot = find_slot(index, texts, texts[id], &hash);

    if (slot->id != 0)
        return slot->id - 1;
    *slot = (struct vocab_slot){hash, id + 1};
    return -1;
}

static bool check_pieces(const struct text *pieces, size_t n, struct status *status)
{
    if (n == 0 || n >= INT32_MAX)
        return status_fail(status, STATUS_CONFIG, "a vocabulary of %zu tokens", n);
    for (size_t i = 0; i < n; i++) {
        if (pieces[i].len == 0)
            return status_fail(status, STATUS_CONFIG, "token %zu is empty", i);
        if (!unicode_is_valid(pieces[i]))
            return status_fail(status, STATUS_CONFIG, "token %zu is not UTF-8", i);
    }
    return true;
}

static void copy_pieces(struct vocab *vocab, const struct text *pieces, size_t n)
{
    size_t size = 0;

    for (size_t i = 0; i < n; i++)
        size += pieces[i].len;
    buf_reserve(&vocab->store, size); /* from here on its bytes do not move */
    vocab->pieces = memory_zeroed(n, sizeof(*vocab->pieces));
    vocab->n = n;
    for (size_t i = 0; i < n; i++) {
        vocab->pieces[i] = (struct text){vocab->store.data + vocab->store.len, pieces[i].len};
        buf_append_text(&vocab->store, pieces[i]);
    }
}

bool vocab_init(struct vocab *vocab, const struct text *pieces, size_t n, struct status *status)
{
    *vocab = (struct vocab){0};
    if (!check_pieces(pieces, n, status))
        return false;
    copy_pieces(vocab, pieces, n);
    vocab_index_init(&vocab->index, n);
    for (size_t i = 0; i < n; i++) {
        const int32_t twin = vocab_index_add(&vocab->index, vocab->pieces, (int32_t)i);

        if (twin >= 0) {
            vocab_release(vocab);
            return status_fail(status, STATUS_CONFIG, "tokens %d and %zu are the same", (int)twin,
                               i);
        }
    }
    return true;
}

void vocab_release(struct vocab *vocab)
{
    free(vocab->pieces);
    buf_release(&vocab->store);
    vocab_index_release(&vocab->index);
    *vocab = (struct vocab){0};
}

int32_t vocab_find(const struct vocab *vocab, struct text piece)
{
    return vocab_index_find(&vocab->index, vocab->pieces, piece);
}
