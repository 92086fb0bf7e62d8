/* What a tokenizer is made of: for tokenizer.c and the files that read one from a container.
 *
 * A text goes through it in this order, and each container fills in what it has:
 *   added        tokens that are found in the text as it came
 *   normalizer   what lies between them, changed
 *   normalized   tokens that are found in the normalised text
 *   splitter     what lies between them, cut into pieces        (byte-level and Metaspace BPE)
 *   model        a piece -> ids
 *   single, pair what stands round the ids
 */
#ifndef TEXT_TOKENIZER_PARTS_H
#define TEXT_TOKENIZER_PARTS_H

#include "formats/tokenizer_config.h"
#include "formats/tokenizer_json.h"
#include "text/added_tokens.h"
#include "text/byte_level.h"
#include "text/metaspace_bpe.h"
#include "text/normalizer.h"
#include "text/piece_bytes.h"
#include "text/splitter.h"
#include "text/token_frame.h"
#include "text/tokenizer.h"
#include "text/vocab.h"
#include "text/wordpiece.h"

enum tokenizer_kind { TOKENIZER_BYTE_LEVEL, TOKENIZER_WORDPIECE, TOKENIZER_METASPACE };

enum {
    TOKEN_CONTROL = 1, /* not text: dropped when decoding */
    TOKEN_ADDED = 2,   /* looked for in the text before anything else */
};

struct tokenizer_scratches; /* the scratch space of encodings that have ended */

/* Zeroed = valid for tokenizer_close once made by tokenizer_new. */
struct tokenizer {
    enum tokenizer_kind kind;
    char name[64];
    char source[64];      /* the file's name, without its folder */
    struct vocab vocab;   /* of all ids */
    unsigned char *roles; /* ours, [vocab.n]: TOKEN_* */
    struct added_tokens added, normalized;
    struct text
        *spellings;     /* ours, [vocab.n]: of tokens when they are decoded; NULL: as in vocab */
    struct buf spelled; /* where those lie that differ */
    struct normalizer normalizer;
    struct splitter splitter;
    struct byte_level byte_level; /* TOKENIZER_BYTE_LEVEL */
    struct wordpiece wordpiece;   /* TOKENIZER_WORDPIECE */
    /* TOKENIZER_METASPACE */
    struct metaspace_bpe metaspace;
    bool prefix_once; /* the space in front only where a text begins, not behind an added token */
    struct piece_bytes piece_bytes;
    enum tokenizer_lead lead;
    enum tokenizer_damage damage;

    bool cleanup;              /* TOKENIZER_WORDPIECE: no space before . ? ! , n't 'm 's 've 're */
    struct token_frame single; /* has A once */
    struct token_frame pair;   /* has A and B once, or is empty: the model takes no pairs */
    struct buf chat_template;
    struct tokenizer_scratches *scratches; /* ours; shared by all threads, behind its own lock */
};

/* `path` is the container's: its last part is the source. */
struct tokenizer *tokenizer_new(enum tokenizer_kind kind, const char *name, const char *path);

/* Fill the vocabulary and make room for its roles. */
bool tokenizer_set_vocab(struct tokenizer *tokenizer, const struct text *pieces, size_t n,
                         struct status *status) MUST_CHECK;

/* After the roles are set: fill `added` with all tokens that have TOKEN_ADDED, without any flags.
 */
bool tokenizer_index_added(struct tokenizer *tokenizer, struct status *status) MUST_CHECK;

/* Fill `single` with one text between two tokens, of which either may be none (-1). */
void tokenizer_set_ends(struct tokenizer *tokenizer, int32_t begin_id, int32_t end_id);

/* Fill both frames as BERT has them: [CLS] A [SEP], [CLS] A [SEP] B [SEP]. */
void tokenizer_set_bert_frames(struct tokenizer *tokenizer, int32_t begin_id, int32_t end_id);

/* Each opens one container; NULL and a status. */
/* vocab.txt, with the options of a folder's tokenizer_config.json (NULL: BERT's own). */
struct tokenizer *tokenizer_open_vocab_txt(const char *path, const struct tokenizer_config *config,
                                           struct status *status) MUST_CHECK;
/* tokenizer.json, with what the folder's tokenizer_config.json changes (NULL: nothing). */
struct tokenizer *tokenizer_open_json(const char *path, const struct tokenizer_config *config,
                                      struct status *status) MUST_CHECK;
/* The same from what was read of it; the message has no file name. */
struct tokenizer *tokenizer_from_json(const struct tokenizer_json *json,
                                      const struct tokenizer_config *config, const char *path,
                                      struct status *status) MUST_CHECK;

/* As SentencePiece itself encodes. */
struct tokenizer *tokenizer_open_sentencepiece(const char *path, struct status *status) MUST_CHECK;
/* The tokenizer.model of a folder, as LlamaTokenizer of transformers: with BOS unless the folder
 * says otherwise. */
struct tokenizer *tokenizer_open_llama(const char *path, const struct tokenizer_config *config,
                                       struct status *status) MUST_CHECK;

/* Has the folder exactly one SentencePiece model file? Then *path names it. */
bool tokenizer_find_sentencepiece(const char *folder, struct buf *path);

/* How a Llama tokenizer puts a space in front of a text: where it begins, everywhere behind an
 * added token, or not at all. */
enum tokenizer_llama_prefix { LLAMA_PREFIX_FIRST, LLAMA_PREFIX_ALWAYS, LLAMA_PREFIX_NEVER };

/* Once the vocabulary is set: merges (`scores` of each token), prefix and decoding of a Llama
 * tokenizer as transformers has it. */
bool tokenizer_set_llama(struct tokenizer *tokenizer, const float *scores, int32_t unknown_id,
                         enum tokenizer_llama_prefix prefix, struct status *status) MUST_CHECK;

/* Merges, prefix and decoding of a tokenizer.json without ByteLevel, once the vocabulary is set. */
bool tokenizer_fill_metaspace(struct tokenizer *tokenizer, const struct tokenizer_json *json,
                              struct status *status) MUST_CHECK;
/* Does its normalizer what tokenizer_fill_metaspace does itself? */
bool tokenizer_is_llama_normalizer(const struct tokenizer_json *json);

/* What a BERT has besides its vocabulary, once that is set, with the options of a folder. */
bool tokenizer_fill_bert(struct tokenizer *tokenizer, const struct tokenizer_config *config,
                         struct status *status) MUST_CHECK;

#endif
