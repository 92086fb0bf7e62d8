/* The member `score`: what a record gets. */
#ifndef RUN_SCORE_WRITE_H
#define RUN_SCORE_WRITE_H

#include "base/buf.h"
#include "run/score_input.h"

/* One leg of a record; nothing is the view's own. */
struct score_view {
    const struct score_input *input;
    const struct score_result *result;
    const double *logprobs; /* [targets] */
    const int32_t *ranks;   /* [targets], or NULL */
    size_t n_windows;       /* 0: not written */
    bool has_bytes;         /* the model has a tokenizer */
    bool list_tokens;       /* ids, log-probabilities and ranks of the targets, too */
};

/* Appends `"name":{"nll","tokens","bytes","loss","perplexity","truncated"}`, and behind these,
 * where they apply, "windows", "logprob" and "is_greedy" (a continuation), "reason" (a number that
 * there is not, or that JSON has not, is null), and the lists "ids", "logprobs", "ranks". */
void score_write(struct buf *members, const char *name, const struct score_view *view);

#endif
