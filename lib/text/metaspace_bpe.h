/* BPE over characters, as SentencePiece and the Llama and Mistral models have it: spaces become
 * U+2581, the text may get one in front, characters without a token become their bytes' tokens.
 *
 * There are no segments: a text is merged as one word. But no merge goes from a letter to a U+2581
 * behind it unless some token has these two side by side; where none has, the text is merged word
 * by word, and the words last seen are remembered. The ids are the same.
 */
#ifndef TEXT_METASPACE_BPE_H
#define TEXT_METASPACE_BPE_H

#include "text/bpe.h"
#include "text/metaspace_text.h"
#include "text/trie.h"
#include "text/vocab.h"

enum { METASPACE_MAX_PIECE = 512 }; /* bytes of a token that merges make */

/* What SentencePiece may do with a piece. */
enum metaspace_role {
    METASPACE_RESERVED, /* never made of text */
    METASPACE_MERGED,
    METASPACE_FROZEN, /* found in the text before anything else, the longest first */
    METASPACE_UNUSED, /* as reserved, but must not be reached by merges: that is not known */
};

/* Zeroed = valid and empty. */
struct metaspace_bpe {
    struct metaspace_options options;
    const struct vocab *vocab;
    struct bpe bpe;
    int32_t **pages;       /* ours: [code point >> 8][code point & 255] -> symbol; NULL: none */
    int32_t byte_ids[256]; /* -1: none */
    size_t max_piece;      /* bytes */
    bool words;            /* may a text be merged word by word? */
    struct trie frozen;
    bool frozen_first[256]; /* does a frozen piece begin with this byte? */
};

struct metaspace_word;

/* What one metaspace_bpe_encode at a time needs; kept for the next, of the same vocabulary. Zeroed
 * = valid and empty. */
struct metaspace_scratch {
    struct bpe_scratch bpe;
    struct buf text;
    struct tokens symbols, merged;
    struct metaspace_word *words;
};

/* As SentencePiece: pieces merge by score (of [vocab->n]), the highest first, then the leftmost.
 * roles NULL: with the list of merges that transformers makes of a vocabulary with scores: all
 * pieces take part, and of one score the longer left half goes first. `vocab` must outlive this.
 * STATUS_CONFIG names the piece that is not known. */
bool metaspace_bpe_init_scores(struct metaspace_bpe *m, const struct vocab *vocab,
                               const float *scores, const enum metaspace_role *roles,
                               const struct metaspace_options *options,
                               struct status *status) MUST_CHECK;

/* As Hugging Face's tokenizers: takes `merges` (made by malloc), also on failure. */
bool metaspace_bpe_init_merges(struct metaspace_bpe *m, const struct vocab *vocab,
                               struct bpe_merge *merges, size_t n_merges,
                               const struct metaspace_options *options,
                               struct status *status) MUST_CHECK;

void metaspace_bpe_release(struct metaspace_bpe *m);
void metaspace_scratch_release(struct metaspace_scratch *scratch);

/* Append the ids of `text` to *out. `prefix` false: it goes on where another ended, and gets no
 * prefix. A malformed byte is U+FFFD. */
void metaspace_bpe_encode(const struct metaspace_bpe *m, struct metaspace_scratch *scratch,
                          struct text text, bool prefix, struct tokens *out);

/* Is this one of the 256 tokens that stand for bytes? */
bool metaspace_bpe_is_byte(const struct metaspace_bpe *m, int32_t id);

#endif
