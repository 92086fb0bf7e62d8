/* What a tokenizer is made of: for tokenizer.c and the files that read one from a container. */
#ifndef TEXT_TOKENIZER_PARTS_H
#define TEXT_TOKENIZER_PARTS_H

#include "text/byte_level.h"
#include "text/tokenizer.h"
#include "text/trie.h"
#include "text/vocab.h"
#include "text/wordpiece.h"

enum tokenizer_kind { TOKENIZER_BYTE_LEVEL, TOKENIZER_WORDPIECE };

enum {
    TOKEN_CONTROL = 1, /* not text: dropped when decoding */
    TOKEN_ADDED = 2,   /* looked for in the text before anything else */
};

struct tokenizer_scratches; /* the scratch space of encodings that have ended */

/* Zeroed = valid for tokenizer_close once made by tokenizer_new. */
struct tokenizer {
    enum tokenizer_kind kind;
    char name[64];
    struct vocab vocab;
    unsigned char *roles; /* ours, [vocab.n]: TOKEN_* */
    struct trie added;
    bool added_first[256];        /* does a token of `added` begin with this byte? */
    struct byte_level byte_level; /* TOKENIZER_BYTE_LEVEL */
    struct wordpiece wordpiece;   /* TOKENIZER_WORDPIECE */
    int32_t begin_id;             /* BOS or [CLS]; -1: none */
    int32_t end_id;               /* EOS or [SEP]; -1: none */
    struct buf chat_template;
    struct tokenizer_scratches *scratches; /* ours; shared by all threads, behind its own lock */
};

struct tokenizer *tokenizer_new(enum tokenizer_kind kind, const char *name);

/* Fill the vocabulary and make room for its roles. */
bool tokenizer_set_vocab(struct tokenizer *tokenizer, const struct text *pieces, size_t n,
                         struct status *status) MUST_CHECK;

/* After the roles are set: fill what finds the added tokens. */
bool tokenizer_index_added(struct tokenizer *tokenizer, struct status *status) MUST_CHECK;

/* From a bare vocab.txt, with BERT's own options. */
struct tokenizer *tokenizer_open_vocab_txt(const char *path, struct status *status) MUST_CHECK;

#endif
