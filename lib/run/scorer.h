/* Records -> scores: the log-probability of each token given those before it.
 *
 * What is scored: `tokens`; else `context` + `continuation` (targets: the continuation); else
 * `prompt` + `completion` (targets: all, or the completion alone); else `text` (targets: all, or
 * what follows "### Response:\n"). A text's first token has no predecessor unless the model's own
 * tokenizer puts one there (BOS), so n ids give n - 1 targets. More: run/score_input.h.
 *
 * A text longer than max_length is cut, or scored in windows (run/score_windows.h).
 *
 * With `compare` each record is scored twice over one copy of the weights, by two schedulers whose
 * steps take turns, so that the same batches are timed side by side.
 */
#ifndef RUN_SCORER_H
#define RUN_SCORER_H

#include "base/buf.h"
#include "base/status.h"
#include "formats/record.h"
#include "model/model.h"
#include "run/adapter_set.h"
#include "run/score_result.h"
#include "text/prompt.h"

enum scorer_leg {
    SCORER_MAIN, /* `score`: by the adapter that the record has */
    SCORER_BASE, /* `score_base`, with compare alone: by none */
    SCORER_LEGS
};

struct scorer_options {
    bool completion_only;
    bool tokens;                        /* `ids`, `logprobs` and `ranks` of the targets, too */
    bool compare;                       /* both legs */
    size_t max_length;                  /* tokens at a time, specials included; 0: the context */
    enum truncate truncate;             /* which end of a longer text is kept, ... */
    size_t stride;                      /* ... or not 0: all of it, in windows so far apart */
    const struct adapter_set *adapters; /* not ours, outlives the scorer; NULL: none */
    int batch;                          /* sequences at a time */
    int threads;                        /* >= 1 */
};

struct scorer;

/* What a record asked for, until its members are written. */
struct scoring;

/* STATUS_USAGE: windows do not fit the context, or are too far apart. */
struct scorer *scorer_open(const struct model *model, const struct scorer_options *options,
                           struct status *status) MUST_CHECK;
void scorer_close(struct scorer *scorer); /* NULL allowed; after all scorings */

/* Takes a record in; NULL and STATUS_INPUT when it cannot be done. A record without a target is
 * done at once: see scorer_next_done. */
struct scoring *scorer_begin(struct scorer *scorer, const struct record *record, void *owner,
                             struct status *status) MUST_CHECK;

/* How long its text is, and how much of it was cut, in tokens. */
void scorer_size(const struct scoring *scoring, size_t *tokens, size_t *truncated);

/* Goes on for one step of each leg; false ends the run. */
bool scorer_step(struct scorer *scorer, struct status *status) MUST_CHECK;

/* A scoring that is complete and was not handed out before; NULL: none. */
struct scoring *scorer_next_done(struct scorer *scorer);
void *scorer_owner(const struct scoring *scoring);

/* What a complete scoring gave; NULL if the model failed on it, and for a leg that is not run. The
 * scoring's own. */
const struct score_result *scorer_result(const struct scoring *scoring, enum scorer_leg leg);

/* Appends `"score":{...}` (run/score_write.h), with `compare` also `"score_base":{...}`. False with
 * STATUS_INPUT if the model failed on it. */
bool scorer_write(const struct scoring *scoring, struct buf *members,
                  struct status *status) MUST_CHECK;

void scorer_free(struct scoring *scoring); /* complete or not; NULL allowed */

/* Computed so far, by both legs. */
uint64_t scorer_tokens(const struct scorer *scorer);

/* `"scored_tokens":..` and more for --stats, of both legs together. */
void scorer_write_stats(const struct scorer *scorer, struct buf *members);

#endif
