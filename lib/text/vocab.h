/* The pieces of a vocabulary: id -> text, text -> id. */
#ifndef TEXT_VOCAB_H
#define TEXT_VOCAB_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "base/text.h"

/* Text -> id by open addressing. */
struct vocab_slot {
    uint32_t hash;
    int32_t id; /* plus 1; 0: free */
};

struct vocab_index {
    struct vocab_slot *slots; /* ours; a power of two of them, at least half of them free */
    size_t n_slots;
};

/* Zeroed = valid and empty. */
struct vocab {
    struct text *pieces; /* ours, [n]; into store */
    size_t n;
    struct buf store;
    struct vocab_index index;
};

/* Copies n pieces. STATUS_CONFIG if there are none or too many for an int32_t, or if one is empty,
 * not UTF-8, or there twice; then *vocab is empty. */
bool vocab_init(struct vocab *vocab, const struct text *pieces, size_t n,
                struct status *status) MUST_CHECK;
void vocab_release(struct vocab *vocab);

int32_t vocab_find(const struct vocab *vocab, struct text piece); /* -1: none */

/* For other spellings of the same ids: texts[id] must stay as they are while the index is used. */
void vocab_index_init(struct vocab_index *index, size_t n);
void vocab_index_release(struct vocab_index *index);
int32_t vocab_index_find(const struct vocab_index *index, const struct text *texts,
                         struct text text); /* -1: none */
/* The id that has this text already, else -1 and texts[id] is in. At most n calls. */
int32_t vocab_index_add(struct vocab_index *index, const struct text *texts, int32_t id);

#endif
