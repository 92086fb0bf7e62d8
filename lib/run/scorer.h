/* Records -> scores: the log-probability of each token given those before it.
 *
 * What is scored: `tokens`; else `context` + `continuation` (targets: the continuation); else
 * `prompt` + `completion` (targets: all, or the completion alone); else `text` (targets: all, or
 * what follows "### Response:\n"). A text's first token has no predecessor unless the model's own
 * tokenizer puts one there (BOS), so n ids give n - 1 targets.
 *
 * Where a text is joined of two, it is tokenized whole. A continuation begins behind as many tokens
 * as its context alone has, and white space at the end of the context is counted with it (the rule
 * of lm-evaluation-harness). A completion begins with the first token that is not one of the prompt
 * alone.
 */
#ifndef RUN_SCORER_H
#define RUN_SCORER_H

#include "base/buf.h"
#include "base/status.h"
#include "formats/record.h"
#include "model/model.h"
#include "text/prompt.h"

struct scorer_options {
    bool completion_only;
    size_t max_length;      /* tokens kept of a text, specials included; 0: the context */
    enum truncate truncate; /* which end is kept */
    int batch;              /* sequences at a time */
    int threads;            /* >= 1 */
};

struct scorer;

/* What a record asked for, until its member is written. */
struct scoring;

struct scorer *scorer_open(const struct model *model, const struct scorer_options *options,
                           struct status *status) MUST_CHECK;
void scorer_close(struct scorer *scorer); /* NULL allowed; after all scorings */

/* Takes a record in; NULL and STATUS_INPUT when it cannot be done. A record without a target is
 * done at once: see scorer_next_done. */
struct scoring *scorer_begin(struct scorer *scorer, const struct record *record, void *owner,
                             struct status *status) MUST_CHECK;

/* Goes on for one step; false ends the run. */
bool scorer_step(struct scorer *scorer, struct status *status) MUST_CHECK;

/* A scoring that is complete and was not handed out before; NULL: none. */
struct scoring *scorer_next_done(struct scorer *scorer);
void *scorer_owner(const struct scoring *scoring);

/* Appends `"score":{"nll","tokens","bytes","loss","perplexity","truncated"[,"reason"]}`; without
 * a tokenizer bytes are null. False with STATUS_INPUT if the model failed on it. */
bool scorer_write(const struct scoring *scoring, struct buf *members,
                  struct status *status) MUST_CHECK;

void scorer_free(struct scoring *scoring); /* complete or not; NULL allowed */

/* `"scored_tokens":..` and more for --stats. */
void scorer_write_stats(const struct scorer *scorer, struct buf *members);

#endif
