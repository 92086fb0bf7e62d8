/* Records -> generations: prompt, sequences, text, rationales.
 *
 *   generator_begin    record -> prompt tokens -> one sequence a sample, queued
 *   generator_step     one step of the scheduler
 *   generator_next_done -> generator_write: the members that the record gets
 */
#ifndef RUN_GENERATOR_H
#define RUN_GENERATOR_H

#include "base/buf.h"
#include "base/status.h"
#include "formats/recipe.h"
#include "formats/record.h"
#include "model/model.h"
#include "run/adapter_set.h"
#include "run/sampler.h"
#include "text/prompt.h"

/* Begin with GENERATOR_OPTIONS_INIT: what then stays unset is as the recipe has it. */
struct generator_options {
    const struct recipe *recipe; /* not ours; outlives the generator */
    struct sampling sampling;    /* temperature, top_k, top_p, min_p negative: unset. Greedy if so
                                    set, or if the recipe is and no temperature was set. Key and
                                    stream are set for each sample. */
    int max_tokens;              /* 0: unset */
    const char *const *stops;    /* [n_stops] strings that end a text; not ours, as recipe */
    size_t n_stops;              /* 0: unset */
    int n_samples;               /* >= 1 */
    uint64_t seed;
    size_t max_length; /* tokens of a prompt, as asked for; 0: the recipe's, or the context */
    enum truncate truncate;
    const struct adapter_set *adapters; /* not ours, as recipe; NULL: none */
    int batch;                          /* sequences at a time */
    int threads;                        /* >= 1 */
};

#define GENERATOR_OPTIONS_INIT                                                                     \
    {                                                                                              \
        .sampling = {.temperature = -1, .top_k = -1, .top_p = -1, .min_p = -1}, .n_samples = 1     \
    }

struct generator;

/* What a record asked for, until its members are written. */
struct generation;

/* `model` must outlive it. STATUS_USAGE: a stop string is empty. STATUS_CONFIG: the recipe does not
 * fit the model, or max_tokens leave no room for a prompt. */
struct generator *generator_open(const struct model *model, const struct generator_options *options,
                                 struct status *status) MUST_CHECK;
void generator_close(struct generator *generator); /* NULL allowed; after all generations */

/* The names of the members it makes, for as long as it lives. */
const char *const *generator_makes(const struct generator *generator, size_t *n);

/* Takes a record in; owner is the caller's, see generator_owner. NULL and STATUS_INPUT when the
 * record cannot be done, as adapter_set_choose, prompt_make and scheduler_submit say. */
struct generation *generator_begin(struct generator *generator, const struct record *record,
                                   void *owner, struct status *status) MUST_CHECK;

/* How long its prompt is, and how much of it was cut, in tokens. */
void generator_size(const struct generation *generation, size_t *tokens, size_t *truncated);

/* Goes on for one step; false ends the run. */
bool generator_step(struct generator *generator, struct status *status) MUST_CHECK;

/* A generation that is complete and was not handed out before; NULL: none. */
struct generation *generator_next_done(struct generator *generator);
void *generator_owner(const struct generation *generation);

/* Appends `"rationales":[...],"generation":{...}` (`generations` with several samples; the
 * rationales are those of the first). Rationales are read from prompts that the recipe wrote; a
 * record that brought its own prompt, messages or tokens gets the generation alone. False with
 * STATUS_INPUT if the model failed on it. */
bool generator_write(const struct generation *generation, struct buf *members,
                     struct status *status) MUST_CHECK;

/* Gives a generation up, complete or not. NULL allowed. */
void generator_free(struct generation *generation);

/* Of prompts and generations, computed so far. */
uint64_t generator_tokens(const struct generator *generator);

/* `"prompt_tokens":..` and more for --stats. */
void generator_write_stats(const struct generator *generator, struct buf *members);

#endif
