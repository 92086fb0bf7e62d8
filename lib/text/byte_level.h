/* Byte-level BPE: text -> segments -> bytes -> merged tokens. Vocabularies spell each byte as one
 * printable character (GPT-2's alphabet: space is U+0120, newline U+010A).
 */
#ifndef TEXT_BYTE_LEVEL_H
#define TEXT_BYTE_LEVEL_H

#include <stdatomic.h>

#include "text/bpe.h"
#include "text/vocab.h"

/* Zeroed = valid and empty. */
struct byte_level {
    struct bpe bpe;
    struct text *bytes;       /* ours, [n]: what each id stands for; into store or the vocabulary */
    size_t n;                 /* ids */
    struct buf store;         /* for those that differ from their spelling */
    struct vocab_index index; /* bytes -> id, of tokens spelled in the alphabet */
    size_t max_token;         /* bytes of the longest token in the index */
    int32_t byte_ids[256];    /* -1: the vocabulary has no token for this byte */
    _Atomic unsigned char *whole; /* ours, [n]: does a segment with these bytes become this token?
                                   * 0: not asked yet, 1: yes, 2: no */
};

/* What one byte_level_encode at a time needs; kept for the next. Zeroed = valid and empty. */
struct byte_level_scratch {
    struct bpe_scratch bpe;
    struct tokens symbols;
};

/* `vocab` must outlive this. A merge is "left right", parted by the first space that is not at its
 * beginning; STATUS_CONFIG if a merge is not made of the vocabulary's tokens, or is there twice. */
bool byte_level_init(struct byte_level *byte_level, const struct vocab *vocab,
                     const struct text *merges, size_t n_merges, struct status *status) MUST_CHECK;
void byte_level_release(struct byte_level *byte_level);
void byte_level_scratch_release(struct byte_level_scratch *scratch);

/* Append the ids of `text` to *out. A byte without a token is left out, and its neighbours may
 * merge, as in Hugging Face's tokenizers. */
void byte_level_encode(const struct byte_level *byte_level, struct byte_level_scratch *scratch,
                       struct text text, struct tokens *out);

#endif
