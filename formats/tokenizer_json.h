/* tokenizer.json, as Hugging Face's tokenizers writes it: bytes -> struct.
 *
 * The file names the steps of a pipeline (normalizer, pre_tokenizer, model, post_processor,
 * decoder), each an object with a "type". What is read here is typed and within bounds; a type or
 * an option that is not listed below is refused by its name, so nothing is skipped unseen. Whether
 * the steps fit together is for the caller to say. `truncation` and `padding` are how somebody
 * last called the library, not the model's own (all-MiniLM-L6-v2's file cuts at 128, the model
 * takes 256): they are left alone.
 */
#ifndef FORMATS_TOKENIZER_JSON_H
#define FORMATS_TOKENIZER_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "base/status.h"
#include "base/text.h"

/* A Sequence is read as its steps, one after the other. */
enum tokenizer_json_type {
    /* normalizers */
    STEP_NFC,
    STEP_NFD,
    STEP_NFKC,
    STEP_NFKD,
    STEP_LOWERCASE,
    STEP_STRIP_ACCENTS,
    STEP_STRIP,   /* strip_left, strip_right */
    STEP_REPLACE, /* pattern, is_regex, content; also a decoder */
    STEP_PREPEND, /* content */
    STEP_BERT_NORMALIZER,
    /* pre-tokenizers */
    STEP_BYTE_LEVEL, /* add_prefix_space, use_regex; also a decoder, without them */
    STEP_SPLIT,      /* pattern, is_regex, behavior, invert */
    STEP_DIGITS,     /* individual_digits */
    STEP_METASPACE,  /* content: the replacement, prepend, split; also a decoder */
    STEP_BERT_PRE_TOKENIZER,
    /* decoders */
    STEP_WORDPIECE, /* content: the prefix, cleanup */
    STEP_BYTE_FALLBACK,
    STEP_FUSE,
    STEP_STRIP_TOKENS, /* Strip: content: one character, start, stop: how many at most */
};

enum tokenizer_json_behavior {
    SPLIT_REMOVED,
    SPLIT_ISOLATED,
    SPLIT_MERGED_WITH_PREVIOUS,
    SPLIT_MERGED_WITH_NEXT,
    SPLIT_CONTIGUOUS,
};

enum tokenizer_json_prepend { PREPEND_ALWAYS, PREPEND_FIRST, PREPEND_NEVER };

/* The members that its type has; the others are zero. */
struct tokenizer_json_step {
    enum tokenizer_json_type type;
    bool is_regex;
    struct text pattern, content;
    bool strip_left, strip_right;
    bool add_prefix_space, use_regex;
    enum tokenizer_json_behavior behavior;
    bool invert;
    bool individual_digits;
    enum tokenizer_json_prepend prepend;
    bool split;
    /* STEP_BERT_NORMALIZER; strip_accents follows lowercase where the file says null */
    bool clean_text, handle_chinese_chars, strip_accents, lowercase;
    bool strip_accents_given;
    bool cleanup;
    int32_t start, stop;
};

struct tokenizer_json_steps {
    struct tokenizer_json_step *steps; /* ours, [n] */
    size_t n;                          /* 0: null in the file */
};

struct tokenizer_json_token {
    struct text content; /* not empty; distinct */
    int32_t id;
    bool single_word, lstrip, rstrip, normalized, special;
};

/* What stands round a text: its ids in order. */
enum { TOKENIZER_JSON_A = -1, TOKENIZER_JSON_B = -2 };
struct tokenizer_json_item {
    int32_t id; /* a token's, or the whole text A or B */
    int32_t type;
};

struct tokenizer_json_frame {
    struct tokenizer_json_item *items; /* ours, [n] */
    size_t n;                          /* 0: none given */
};

enum tokenizer_json_model { TOKENIZER_JSON_BPE, TOKENIZER_JSON_WORDPIECE };

struct tokenizer_json_merge {
    struct text left, right;
};

/* Zeroed = valid and empty. Texts point into `root`. */
struct tokenizer_json {
    json_t *root;
    struct tokenizer_json_token *added; /* ours, [n_added], in the file's order */
    size_t n_added;
    struct tokenizer_json_steps normalizers, pre_tokenizers, decoders;
    /* Of one text: items has A once; of a pair: A and B once each, or it is empty. */
    struct tokenizer_json_frame single, pair;

    enum tokenizer_json_model model;
    struct text *pieces; /* ours, [n_pieces]: every id has its piece, distinct, those added too */
    size_t n_pieces;
    size_t n_model;     /* the first n_model are the model's own */
    int32_t unknown_id; /* unk_token; -1: none */
    /* TOKENIZER_JSON_BPE */
    struct tokenizer_json_merge *merges; /* ours, [n_merges], by rank */
    size_t n_merges;
    bool byte_fallback, fuse_unk, ignore_merges;
    /* TOKENIZER_JSON_WORDPIECE */
    struct text prefix;
    size_t max_word; /* code points */
};

/* STATUS_CONFIG and a message that names the member if the bytes are damaged or ask for what is
 * not known; then *json is empty. */
bool tokenizer_json_parse(struct tokenizer_json *json, struct text bytes,
                          struct status *status) MUST_CHECK;
/* The same from a file, which the message names; STATUS_NO_INPUT if it is not there. */
bool tokenizer_json_read(struct tokenizer_json *json, const char *path,
                         struct status *status) MUST_CHECK;
void tokenizer_json_release(struct tokenizer_json *json);

#endif
