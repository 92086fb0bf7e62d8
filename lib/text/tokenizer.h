/* Text <-> token ids, as the model's own tokenizer makes them.
 *
 * Known: tokenizer.json (byte-level and Metaspace BPE, WordPiece), SentencePiece models (BPE), what
 * GGUF carries (tokenizer.ggml.model gpt2 with pre smollm, gpt-2, llama-bpe or default; llama;
 * bert) and a vocab.txt of BERT. Any other is refused by its name.
 *
 * Text is UTF-8. A malformed byte counts as U+FFFD where its class matters and keeps its value
 * where bytes become tokens, so byte-level encoding followed by decoding gives back any bytes that
 * the vocabulary can spell.
 *
 * Encoding takes time in proportion to the text, whatever the text. An open tokenizer is not
 * changed by its use; any number of threads may share it.
 */
#ifndef TEXT_TOKENIZER_H
#define TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/text.h"
#include "formats/gguf.h"
#include "text/tokens.h"

struct tokenizer;

enum tokenizer_flags {
    TOKENIZER_PLAIN = 0,
    TOKENIZER_SPECIAL = 1,  /* BOS, EOS, [CLS], [SEP] as the model's own tokenizer adds them */
    TOKENIZER_NO_ADDED = 2, /* text that spells a control token stays text: for chat turns */
    TOKENIZER_GOES_ON = 4,  /* the text follows another: it gets no space in front */
};

enum tokenizer_keep { TOKENIZER_KEEP_HEAD, TOKENIZER_KEEP_TAIL };

/* By content: a folder, a .gguf file, or a bare tokenizer.json, SentencePiece .model or vocab.txt.
 * NULL and a status if it is none of them, is damaged, or is of a kind that we do not know. The
 * caller closes it. */
struct tokenizer *tokenizer_open(const char *path, struct status *status) MUST_CHECK;

/* From the keys of an open file, which may be closed afterwards; `path` is for names in messages.
 */
struct tokenizer *tokenizer_open_gguf(const struct gguf *gguf, const char *path,
                                      struct status *status) MUST_CHECK;

/* From a Hugging Face folder: tokenizer.json, else vocab.txt, with the options of
 * tokenizer_config.json. STATUS_NO_INPUT if the folder carries no tokenizer at all. */
struct tokenizer *tokenizer_open_folder(const char *folder, struct status *status) MUST_CHECK;

void tokenizer_close(struct tokenizer *tokenizer); /* NULL allowed */

/* Append the ids of `text` to *out. False, and *out as it was: STATUS_INPUT, if a pattern in the
 * tokenizer's file takes too many steps on this text (text/split_regex.h). */
bool tokenizer_encode(const struct tokenizer *tokenizer, struct text text, unsigned flags,
                      struct tokens *out, struct status *status) MUST_CHECK;

/* Append `a` and `b` as one pair to *out, each id's segment (most often 0 or 1) to *types, and tell
 * how many ids the two texts have without special tokens (`lengths` may be NULL). False as above.
 */
bool tokenizer_encode_pair(const struct tokenizer *tokenizer, struct text a, struct text b,
                           unsigned flags, struct tokens *out, struct tokens *types,
                           size_t lengths[2], struct status *status) MUST_CHECK;

/* Does the model take pairs, that is, has it a frame for them? */
bool tokenizer_has_pairs(const struct tokenizer *tokenizer);

/* How many special tokens TOKENIZER_SPECIAL adds to one text, or to a pair. */
size_t tokenizer_n_special(const struct tokenizer *tokenizer, bool pair);

/* How many of them stand before the text. */
size_t tokenizer_n_front(const struct tokenizer *tokenizer);

/* Shorten what tokenizer_encode gave for an empty *out to max_length ids and return how many went.
 * `flags` are those of the encoding; the special tokens stay (at least their number is left). */
size_t tokenizer_cut(const struct tokenizer *tokenizer, unsigned flags, size_t max_length,
                     enum tokenizer_keep keep, struct tokens *tokens);

/* The same for tokenizer_encode_pair, whose `lengths` are given and written anew: the longer text
 * is cut first, as `truncation="longest_first"` does. */
size_t tokenizer_cut_pair(const struct tokenizer *tokenizer, unsigned flags, size_t max_length,
                          enum tokenizer_keep keep, size_t lengths[2], struct tokens *tokens,
                          struct tokens *types);

int tokenizer_vocab_size(const struct tokenizer *tokenizer);
const char *tokenizer_name(const struct tokenizer *tokenizer); /* "gpt2/smollm", "wordpiece" */
/* The file it was read from, without the folder: "tokenizer.json", "vocab.txt", ... */
const char *tokenizer_source(const struct tokenizer *tokenizer);

/* The vocabulary's spelling of a token ("Ġthe", "##ing"); empty for an id outside of it. */
struct text tokenizer_piece(const struct tokenizer *tokenizer, int32_t id);

/* The bytes that a token stands for (" the", "##ing"); empty for an id outside the vocabulary. */
struct text tokenizer_bytes(const struct tokenizer *tokenizer, int32_t id);

int32_t tokenizer_find(const struct tokenizer *tokenizer, const char *piece); /* -1: none */
bool tokenizer_is_control(const struct tokenizer *tokenizer, int32_t id);

/* Are words joined by a space when decoding, unless a piece begins with ##? And is that space left
 * out before some punctuation? */
bool tokenizer_is_wordpiece(const struct tokenizer *tokenizer);
bool tokenizer_cleans_up(const struct tokenizer *tokenizer);

/* How the first token's space is dropped when decoding. */
enum tokenizer_lead {
    TOKENIZER_LEAD_KEPT,
    TOKENIZER_LEAD_ONE,   /* one space, whatever token it is in: Strip(" ", left 1) */
    TOKENIZER_LEAD_PIECE, /* one space of the first piece, not of a byte: SentencePiece */
    TOKENIZER_LEAD_ALL, /* the same of each piece until there is text: SentencePiece, collapsing */
    TOKENIZER_LEAD_TOKEN, /* all spaces of the first token: the Metaspace decoder */
};

/* What becomes of byte tokens that are not UTF-8: U+FFFD for each ... */
enum tokenizer_damage {
    TOKENIZER_DAMAGE_PART, /* maximal part of a character */
    TOKENIZER_DAMAGE_BYTE, /* byte: SentencePiece */
    TOKENIZER_DAMAGE_RUN,  /* byte of the whole run: the ByteFallback decoder */
};

/* -- for detokenizer.c -- */
bool tokenizer_is_metaspace(const struct tokenizer *tokenizer);
enum tokenizer_lead tokenizer_lead(const struct tokenizer *tokenizer);
enum tokenizer_damage tokenizer_damage(const struct tokenizer *tokenizer);
bool tokenizer_is_byte(const struct tokenizer *tokenizer, int32_t id); /* <0x0A>, not "\n" */

/* The chat template that came with the model (Jinja source); empty if there is none. */
struct text tokenizer_chat_template(const struct tokenizer *tokenizer);

#endif
