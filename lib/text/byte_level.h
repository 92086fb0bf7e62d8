/* Byte-level BPE: a segment of text -> bytes -> merged tokens. Vocabularies spell each byte as one
 * printable character (GPT-2's alphabet: space is U+0120, newline U+010A).
 */
#ifndef TEXT_BYTE_LEVEL_H
#define TEXT_BYTE_LEVEL_H

#include <stdatomic.h>

#include "text/bpe.h"
#include "text/vocab.h"

struct byte_level_options {
    size_t n_model;     /* the first n_model tokens are the model's, the rest only added ones */
    bool ignore_merges; /* a segment that is a token becomes it, whether merging arrives there or
                           not */
    int32_t unknown_id; /* of a byte without a token; -1: such a byte is left out */
    bool fuse_unknown;  /* one for a run of them */
    const struct text *spellings; /* of each token when it is decoded; NULL: as in the vocabulary */
};

/* Two pieces that become the piece they spell together. */
struct byte_level_merge {
    struct text left, right;
};

/* Zeroed = valid and empty. */
struct byte_level {
    struct byte_level_options options;
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

/* `vocab` and the spellings must outlive this. STATUS_CONFIG if a merge is not made of the model's
 * tokens, or is there twice. */
bool byte_level_init(struct byte_level *byte_level, const struct vocab *vocab,
                     const struct byte_level_merge *merges, size_t n_merges,
                     const struct byte_level_options *options, struct status *status) MUST_CHECK;
void byte_level_release(struct byte_level *byte_level);
void byte_level_scratch_release(struct byte_level_scratch *scratch);

/* Append the ids of a segment to *out. Where a byte is left out, its neighbours may merge, as in
 * Hugging Face's tokenizers. */
void byte_level_encode(const struct byte_level *byte_level, struct byte_level_scratch *scratch,
                       struct text segment, struct tokens *out);

#endif
