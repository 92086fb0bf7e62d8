#include "run/scorer.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "formats/json_write.h"
#include "run/scheduler.h"
#include "run/score_input.h"

struct scoring {
    struct scorer *scorer;
    struct scoring *next; /* in the list of done ones */
    void *owner;
    struct sequence *sequence; /* ours; NULL where there is no target */
    size_t n_targets, n_bytes, truncated;
    const char *reason; /* why there is no target */
};

struct scorer {
    const struct model *model;
    struct score_input_options input_options;
    struct scheduler *scheduler;
    struct scoring *first_done, *last_done;
    struct score_input input; /* of the record at hand */
    uint64_t n_truncated, n_truncated_tokens;
};

struct scorer *scorer_open(const struct model *model, const struct scorer_options *options,
                           struct status *status)
{
    struct scorer *s = memory_zeroed(1, sizeof(*s));
    const struct scheduler_options scheduling = {.n_slots = options->batch,
                                                 .threads = options->threads};

    s->model = model;
    s->input_options = (struct score_input_options){
        .tokenizer = model->tokenizer,
        .completion_only = options->completion_only,
        .max_length = options->max_length ? options->max_length : (size_t)model->config.max_seq_len,
        .truncate = options->truncate,
    };
    s->scheduler = scheduler_open(model, &scheduling, status);
    if (!s->scheduler) {
        scorer_close(s);
        return NULL;
    }
    return s;
}

void scorer_close(struct scorer *s)
{
    if (!s)
        return;
    scheduler_close(s->scheduler);
    score_input_release(&s->input);
    free(s);
}

static void note_done(struct scorer *s, struct scoring *scoring)
{
    scoring->next = NULL;
    if (s->last_done)
        s->last_done->next = scoring;
    else
        s->first_done = scoring;
    s->last_done = scoring;
}

static size_t count_bytes(const struct scorer *s)
{
    size_t n = 0;

    for (size_t i = s->input.first_target; s->model->tokenizer && i < s->input.tokens.n; i++)
        n += tokenizer_bytes(s->model->tokenizer, s->input.tokens.ids[i]).len;
    return n;
}

static bool submit(struct scorer *s, struct scoring *scoring, struct status *status)
{
    const struct request request = {
        .tokens = s->input.tokens.ids,
        .n_tokens = (int)s->input.tokens.n,
        .score = true,
        .first_target = (int)s->input.first_target,
        .owner = scoring,
    };

    scoring->sequence = scheduler_submit(s->scheduler, &request, status);
    return scoring->sequence != NULL;
}

struct scoring *scorer_begin(struct scorer *s, const struct record *record, void *owner,
                             struct status *status)
{
    struct scoring *scoring;

    if (!score_input_make(&s->input_options, record, &s->input, status))
        return NULL;
    scoring = memory_zeroed(1, sizeof(*scoring));
    scoring->scorer = s;
    scoring->owner = owner;
    scoring->n_targets = s->input.tokens.n - s->input.first_target;
    scoring->n_bytes = count_bytes(s);
    scoring->truncated = s->input.truncated;
    scoring->reason = s->input.reason;
    if (scoring->n_targets == 0) {
        note_done(s, scoring);
    } else if (!submit(s, scoring, status)) {
        scorer_free(scoring);
        return NULL;
    }
    s->n_truncated += scoring->truncated > 0;
    s->n_truncated_tokens += scoring->truncated;
    return scoring;
}

bool scorer_step(struct scorer *s, struct status *status)
{
    struct sequence *sequence;

    if (!scheduler_busy(s->scheduler))
        return true;
    if (!scheduler_step(s->scheduler, status))
        return false;
    while ((sequence = scheduler_next_done(s->scheduler)) != NULL)
        note_done(s, sequence->owner);
    return true;
}

struct scoring *scorer_next_done(struct scorer *s)
{
    struct scoring *scoring = s->first_done;

    if (scoring) {
        s->first_done = scoring->next;
        if (!s->first_done)
            s->last_done = NULL;
    }
    return scoring;
}

void *scorer_owner(const struct scoring *scoring)
{
    return scoring->owner;
}

static void remove_done(struct scorer *s, const struct scoring *gone)
{
    struct scoring *scoring = s->first_done, *next;

    s->first_done = s->last_done = NULL;
    for (; scoring; scoring = next) {
        next = scoring->next;
        if (scoring != gone)
            note_done(s, scoring);
    }
}

void scorer_free(struct scoring *scoring)
{
    if (!scoring)
        return;
    remove_done(scoring->scorer, scoring);
    scheduler_free(scoring->scorer->scheduler, scoring->sequence);
    free(scoring);
}

bool scorer_write(const struct scoring *scoring, struct buf *members, struct status *status)
{
    double nll = 0, loss = (double)NAN; /* which is written as null */

    if (scoring->sequence) {
        if (scoring->sequence->status.code != STATUS_OK) {
            *status = scoring->sequence->status;
            return false;
        }
        nll = -sequence_logprob(scoring->sequence);
        loss = nll / (double)scoring->n_targets;
    }
    json_write_name(members, "score");
    buf_append_char(members, '{');
    json_write_name(members, "nll");
    json_write_double(members, nll);
    json_write_name(members, "tokens");
    json_write_uint(members, scoring->n_targets);
    json_write_name(members, "bytes");
    if (scoring->scorer->model->tokenizer)
        json_write_uint(members, scoring->n_bytes);
    else
        buf_append_string(members, "null");
    json_write_name(members, "loss");
    json_write_double(members, loss);
    json_write_name(members, "perplexity");
    json_write_double(members, exp(loss));
    json_write_name(members, "truncated");
    json_write_uint(members, scoring->truncated);
    if (scoring->reason) {
        json_write_name(members, "reason");
        json_write_string(members, text_of(scoring->reason));
    }
    buf_append_char(members, '}');
    return true;
}

void scorer_write_stats(const struct scorer *s, struct buf *members)
{
    const struct scheduler_stats *stats = scheduler_stats(s->scheduler);

    json_write_name(members, "prompt_tokens");
    json_write_uint(members, stats->prompt_tokens);
    json_write_name(members, "shared_tokens");
    json_write_uint(members, stats->shared_tokens);
    json_write_name(members, "scored_tokens");
    json_write_uint(members, stats->scored_tokens);
    json_write_name(members, "truncated_records");
    json_write_uint(members, s->n_truncated);
    json_write_name(members, "truncated_tokens");
    json_write_uint(members, s->n_truncated_tokens);
    json_write_name(members, "steps");
    json_write_uint(members, stats->steps);
    json_write_name(members, "max_running");
    json_write_int(members, stats->max_running);
}
