/* A record -> the tokens to score, and which of them are targets. */
#ifndef RUN_SCORE_INPUT_H
#define RUN_SCORE_INPUT_H

#include "base/status.h"
#include "formats/record.h"
#include "text/prompt.h"
#include "text/tokenizer.h"

struct score_input_options {
    const struct tokenizer *tokenizer; /* NULL: only `tokens` can be scored */
    bool completion_only;
    size_t max_length; /* >= 1 */
    enum truncate truncate;
};

struct score_input {
    struct tokens tokens; /* ours */
    size_t first_target;  /* index of the first target; tokens.n when there is none */
    size_t truncated;     /* tokens that were cut */
    const char *reason;   /* why there is no target; NULL if there is one */
};

/* Fills *input anew. STATUS_INPUT: kind "missing", "type", or with TRUNCATE_ERROR "too_long". */
bool score_input_make(const struct score_input_options *options, const struct record *record,
                      struct score_input *input, struct status *status) MUST_CHECK;
void score_input_release(struct score_input *input);

#endif
