/* What medrat-tokenize makes of a record: token ids of its text or chat turns, or text of its ids.
 */
#ifndef TEXT_TOKEN_RECORD_H
#define TEXT_TOKEN_RECORD_H

#include "formats/record.h"
#include "text/chat_template.h"
#include "text/chunk.h"
#include "text/prompt.h"

struct token_record {
    /* set by the caller */
    const struct tokenizer *tokenizer;
    const char *template_name; /* NULL: the model's own */
    bool pieces;               /* add the vocabulary's spelling of each id */
    bool no_special;           /* without BOS, EOS, [CLS], [SEP] */
    size_t max_length;         /* ids, specials included; 0: no limit */
    enum truncate truncate;
    size_t chunk;   /* tokens of a passage, special ones included */
    size_t overlap; /* tokens that a passage may share with the one before */
    /* the rest is the module's own */
    bool has_template;
    enum chat_template template;
    struct status no_template; /* why there is none */
    struct tokens tokens, types;
    struct buf text;
    struct chunks chunks;
    uint64_t n_passages;                                /* of all records */
    uint64_t n_tokens, n_truncated, n_truncated_tokens; /* of all records */
};

/* After the caller has set its part. STATUS_USAGE if max_length or chunk has no room for the
 * special tokens, STATUS_CONFIG if the template that was asked for is not known or does not fit. */
bool token_record_open(struct token_record *work, struct status *status) MUST_CHECK;
void token_record_close(struct token_record *work);

/* `messages`, else `text` with `text_pair`: append to *members "tokens", "n_tokens"; "types" of a
 * pair; "pieces" and "truncated" if asked for. False: STATUS_INPUT. */
bool token_record_encode(struct token_record *work, const struct record *record,
                         struct buf *members, struct status *status) MUST_CHECK;

/* `tokens`: append to *members "text", and "pieces" if asked for; then the text shows control
 * tokens too. False: STATUS_INPUT. */
bool token_record_decode(struct token_record *work, const struct record *record,
                         struct buf *members, struct status *status) MUST_CHECK;

/* `text`: append to *members "passages", its parts of at most `chunk` tokens: each an object with
 * `id`, `text`, `doc` (the record's id), `pos`, `span` (its bytes in the text) and `n_tokens`.
 * False: STATUS_INPUT. */
bool token_record_chunk(struct token_record *work, const struct record *record, struct buf *members,
                        struct status *status) MUST_CHECK;

/* Append `"tokens":12,...` for --stats. */
void token_record_write_stats(const struct token_record *work, struct buf *members);

#endif
