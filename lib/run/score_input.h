/* A record -> the tokens to score, which of them are targets, and what part of the text they are.
 *
 * Where a text is joined of two (`context` + `continuation`, `prompt` + `completion`), it is
 * tokenized whole. A continuation begins behind as many tokens as its context alone has, and white
 * space at the end of the context is counted with it; where the context is empty and the tokenizer
 * puts nothing in front, it is a start token (the rules of lm-evaluation-harness). Any other
 * part of a text (a completion, the parts of run/score_frame.h) begins with the first token that is
 * not one of the text before it alone: a token that spans a border belongs to the part behind it.
 */
#ifndef RUN_SCORE_INPUT_H
#define RUN_SCORE_INPUT_H

#include "base/status.h"
#include "formats/record.h"
#include "run/score_result.h"
#include "text/prompt.h"
#include "text/tokenizer.h"

struct score_input_options {
    const struct tokenizer *tokenizer; /* NULL: only `tokens` can be scored */
    const int32_t *empty_context;      /* the token that stands for one; NULL: none does */
    bool completion_only;
    size_t max_length; /* >= 1 */
    bool windows;      /* nothing is cut; else: */
    enum truncate truncate;
};

/* Indices of tokens, ascending; a part that is not there is empty and stands before the next. */
struct score_parts {
    bool is_framed;          /* what is neither query nor completion is template; else plain */
    bool has_completion;     /* the record or a heading says where one begins */
    size_t query, query_end; /* first token of the query, and behind its last */
    size_t completion;       /* first token of the completion, which is the rest */
};

struct score_input {
    struct tokens tokens; /* ours */
    size_t n_front;       /* special tokens in front, which stay when the head is cut */
    size_t first_target;  /* index of the first target; tokens.n when there is none */
    struct score_parts parts;
    bool is_continuation; /* of `context` + `continuation` */
    size_t lead;          /* bytes of the token behind the special ones that the text does not have:
                             the space that Metaspace puts in front */
    size_t truncated;     /* tokens that were cut */
    const char *reason;   /* why there is no target; NULL if there is one */
};

/* Fills *input anew; zeroed = valid and empty. STATUS_INPUT: kind "missing", "type", or with
 * TRUNCATE_ERROR "too_long". */
bool score_input_make(const struct score_input_options *options, const struct record *record,
                      struct score_input *input, struct status *status) MUST_CHECK;
void score_input_release(struct score_input *input);

enum score_region score_input_region(const struct score_input *input, size_t token);

/* UTF-8 bytes of the text that a token stands for; 0 without a tokenizer. */
size_t score_input_bytes(const struct score_input *input, const struct tokenizer *tokenizer,
                         size_t token);

#endif
