#include "run/scorer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "formats/json_write.h"
#include "run/scheduler.h"
#include "run/score_input.h"
#include "run/score_windows.h"
#include "run/score_write.h"

/* A window that is being scored. */
struct pass {
    struct scoring *scoring;
    enum scorer_leg leg;
    struct score_window window;
    struct sequence *sequence; /* ours */
    struct pass *next;         /* of the same leg of the same scoring */
};

/* One leg of a scoring. */
struct work {
    struct score_windows windows; /* still to be scored */
    size_t n_windows;             /* that there were */
    struct pass *passes;          /* ours: begun and not ended */
    int n_passes;
    double *logprobs;     /* ours, [n_targets] */
    int32_t *ranks;       /* ours, [n_targets]; NULL: not wanted */
    struct status status; /* code is not STATUS_OK: the model failed on it */
    struct score_result result;
    bool ended;
};

struct scoring {
    struct scorer *scorer;
    struct scoring *next; /* in the list of done ones */
    void *owner;
    int adapter;              /* of the main leg; ADAPTER_NONE */
    struct score_input input; /* ours */
    struct work works[SCORER_LEGS];
};

struct leg {
    struct scheduler *scheduler;
    double seconds; /* of steps that no result has been given yet */
};

struct scorer {
    const struct model *model;
    struct scorer_options options;
    struct score_input_options input_options;
    struct leg legs[SCORER_LEGS];
    int n_legs;
    int first_leg; /* of the next step */
    struct scoring *first_done, *last_done;
    struct tokens window; /* of the pass at hand */
    struct work **ended;  /* [batch] in the step at hand */
    uint64_t n_truncated, n_truncated_tokens;
};

static bool check_windows(const struct scorer *s, struct status *status)
{
    const size_t max_length = s->input_options.max_length;
    const struct tokenizer *tokenizer = s->model->tokenizer;
    const size_t n_front = tokenizer ? tokenizer_n_front(tokenizer) : 0;

    if (max_length > (size_t)s->model->config.max_seq_len)
        return status_fail(status, STATUS_USAGE,
                           "windows of %zu tokens do not fit the model's context of %d", max_length,
                           s->model->config.max_seq_len);
    if (max_length <= n_front + 1)
        return status_fail(status, STATUS_USAGE, "windows of %zu tokens are too short", max_length);
    if (s->options.stride > score_windows_max_stride(max_length, n_front))
        return status_fail(
            status, STATUS_USAGE,
            "windows of %zu tokens may be %zu apart, not %zu: the first token behind "
            "them would have no predecessor",
            max_length, score_windows_max_stride(max_length, n_front), s->options.stride);
    return true;
}

/* What a language model reads first, else what it reads between texts. */
static const int32_t *start_token(const struct model_config *config)
{
    if (config->bos_id >= 0)
        return &config->bos_id;
    return config->n_eos_ids > 0 ? &config->eos_ids[0] : NULL;
}

static bool open_legs(struct scorer *s, struct status *status)
{
    const struct adapter_set *set = s->options.adapters;
    const struct scheduler_options scheduling = {
        .n_slots = s->options.batch,
        .threads = s->options.threads,
        .adapters = set ? set->adapters : NULL,
        .n_adapters = set ? set->n : 0,
    };

    s->n_legs = s->options.compare ? SCORER_LEGS : 1;
    for (int leg = 0; leg < s->n_legs; leg++) {
        s->legs[leg].scheduler = scheduler_open(s->model, &scheduling, status);
        if (!s->legs[leg].scheduler)
            return false;
    }
    return true;
}

struct scorer *scorer_open(const struct model *model, const struct scorer_options *options,
                           struct status *status)
{
    struct scorer *s = memory_zeroed(1, sizeof(*s));

    s->model = model;
    s->options = *options;
    s->ended = memory_zeroed((size_t)options->batch, sizeof(struct work *));
    s->input_options = (struct score_input_options){
        .tokenizer = model->tokenizer,
        .empty_context = start_token(&model->config),
        .completion_only = options->completion_only,
        .max_length = options->max_length ? options->max_length : (size_t)model->config.max_seq_len,
        .windows = options->stride > 0,
        .truncate = options->truncate,
    };
    if ((s->input_options.windows && !check_windows(s, status)) || !open_legs(s, status)) {
        scorer_close(s);
        return NULL;
    }
    return s;
}

void scorer_close(struct scorer *s)
{
    if (!s)
        return;
    for (int leg = 0; leg < s->n_legs; leg++)
        scheduler_close(s->legs[leg].scheduler);
    tokens_release(&s->window);
    free(s->ended);
    free(s);
}

/* -- the list of done ones -- */

static void note_done(struct scorer *s, struct scoring *scoring)
{
    scoring->next = NULL;
    if (s->last_done)
        s->last_done->next = scoring;
    else
        s->first_done = scoring;
    s->last_done = scoring;
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

/* -- windows -> sequences -- */

/* The ids of a window, with the special tokens in front. */
static const int32_t *window_ids(struct scorer *s, const struct scoring *scoring,
                                 const struct score_window *window, size_t n_front)
{
    const int32_t *ids = scoring->input.tokens.ids;

    if (window->begin == n_front)
        return ids;
    tokens_reset(&s->window);
    for (size_t i = 0; i < n_front; i++)
        tokens_push(&s->window, ids[i]);
    for (size_t i = window->begin; i < window->end; i++)
        tokens_push(&s->window, ids[i]);
    return s->window.ids;
}

static bool submit(struct pass *pass, struct status *status)
{
    struct scoring *scoring = pass->scoring;
    struct scorer *s = scoring->scorer;
    const struct score_window *window = &pass->window;
    const size_t n_front = scoring->works[pass->leg].windows.n_front;
    const size_t skipped = window->begin - n_front;
    const struct request request = {
        .tokens = window_ids(s, scoring, window, n_front),
        .n_tokens = (int)(window->end - skipped),
        .score = true,
        .first_target = (int)(window->first - skipped),
        .ranks = scoring->works[pass->leg].ranks != NULL,
        .adapter = pass->leg == SCORER_MAIN ? scoring->adapter : ADAPTER_NONE,
        .owner = pass,
    };

    pass->sequence = scheduler_submit(s->legs[pass->leg].scheduler, &request, status);
    return pass->sequence != NULL;
}

/* As many windows as there is room for; the others follow when these have ended, so that a long
 * text does not lie in memory twice. */
static void submit_windows(struct scoring *scoring, enum scorer_leg leg)
{
    struct work *work = &scoring->works[leg];
    struct score_window window;

    while (work->status.code == STATUS_OK && work->n_passes < scoring->scorer->options.batch &&
           score_windows_next(&work->windows, &window)) {
        struct pass *pass = memory_zeroed(1, sizeof(*pass));

        *pass = (struct pass){.scoring = scoring, .leg = leg, .window = window};
        if (!submit(pass, &work->status)) {
            free(pass);
            break;
        }
        pass->next = work->passes;
        work->passes = pass;
        work->n_passes++;
        work->n_windows++;
    }
}

static void free_pass(struct pass *pass)
{
    struct work *work = &pass->scoring->works[pass->leg];
    struct pass **link = &work->passes;

    while (*link != pass)
        link = &(*link)->next;
    *link = pass->next;
    work->n_passes--;
    scheduler_free(pass->scoring->scorer->legs[pass->leg].scheduler, pass->sequence);
    free(pass);
}

/* -- sequences -> results -- */

static bool has_ended(const struct scoring *scoring)
{
    for (int leg = 0; leg < scoring->scorer->n_legs; leg++) {
        if (!scoring->works[leg].ended)
            return false;
    }
    return true;
}

static void sum_up(const struct scoring *scoring, struct work *work)
{
    const struct score_input *input = &scoring->input;
    struct score_result *r = &work->result;
    bool finite = true;

    *r = (struct score_result){
        .n_ids = input->tokens.n, .truncated = input->truncated, .reason = input->reason};
    for (size_t i = input->first_target; i < input->tokens.n; i++) {
        const enum score_region region = score_input_region(input, i);
        const double logprob = work->logprobs[i - input->first_target];

        finite = finite && isfinite(logprob);
        r->nll[region] -= logprob;
        r->tokens[region]++;
        r->bytes[region] += score_input_bytes(input, scoring->scorer->model->tokenizer, i);
    }
    if (finite)
        return;
    r->reason = "the model gives a token no probability";
    for (int region = 0; region < SCORE_REGIONS; region++)
        r->nll[region] = 0;
}

static void end_work(struct scoring *scoring, enum scorer_leg leg)
{
    struct work *work = &scoring->works[leg];

    work->ended = true;
    if (work->status.code == STATUS_OK)
        sum_up(scoring, work);
    if (has_ended(scoring))
        note_done(scoring->scorer, scoring);
}

/* What a sequence has found goes to its scoring. True: that leg of the scoring has ended. */
static bool collect(struct pass *pass)
{
    struct scoring *scoring = pass->scoring;
    const enum scorer_leg leg = pass->leg;
    struct work *work = &scoring->works[leg];
    const struct sequence *sequence = pass->sequence;
    const size_t first = pass->window.first - scoring->input.first_target;
    const size_t n = (size_t)sequence->n_logprobs;

    if (sequence->status.code != STATUS_OK) {
        work->status = sequence->status;
    } else {
        memcpy(work->logprobs + first, sequence->logprobs, n * sizeof(*work->logprobs));
        if (work->ranks)
            memcpy(work->ranks + first, sequence->ranks, n * sizeof(*work->ranks));
    }
    free_pass(pass);
    submit_windows(scoring, leg);
    return work->n_passes == 0;
}

/* -- records -- */

static bool wants_ranks(const struct scoring *scoring)
{
    return scoring->scorer->options.tokens || scoring->input.is_continuation;
}

static bool begin_work(struct scoring *scoring, enum scorer_leg leg, struct status *status)
{
    const struct score_input *input = &scoring->input;
    const struct scorer *s = scoring->scorer;
    const size_t n = input->tokens.n - input->first_target;
    struct work *work = &scoring->works[leg];

    if (n == 0) {
        end_work(scoring, leg);
        return true;
    }
    score_windows_init(&work->windows, input->tokens.n, input->n_front, input->first_target,
                       s->options.stride > 0 ? s->input_options.max_length : input->tokens.n,
                       s->options.stride);
    work->logprobs = memory_zeroed(n, sizeof(*work->logprobs));
    if (wants_ranks(scoring))
        work->ranks = memory_zeroed(n, sizeof(*work->ranks));
    submit_windows(scoring, leg);
    *status = work->status;
    return work->status.code == STATUS_OK;
}

struct scoring *scorer_begin(struct scorer *s, const struct record *record, void *owner,
                             struct status *status)
{
    struct scoring *scoring = memory_zeroed(1, sizeof(*scoring));
    bool ok;

    scoring->scorer = s;
    scoring->owner = owner;
    ok = adapter_set_choose(s->options.adapters, record, &scoring->adapter, status) &&
         score_input_make(&s->input_options, record, &scoring->input, status);
    for (int leg = 0; ok && leg < s->n_legs; leg++)
        ok = begin_work(scoring, (enum scorer_leg)leg, status);
    if (!ok) {
        scorer_free(scoring);
        return NULL;
    }
    s->n_truncated += scoring->input.truncated > 0;
    s->n_truncated_tokens += scoring->input.truncated;
    return scoring;
}

void scorer_size(const struct scoring *scoring, size_t *tokens, size_t *truncated)
{
    *tokens = scoring->input.tokens.n;
    *truncated = scoring->input.truncated;
}

void *scorer_owner(const struct scoring *scoring)
{
    return scoring->owner;
}

void scorer_free(struct scoring *scoring)
{
    if (!scoring)
        return;
    remove_done(scoring->scorer, scoring);
    for (int leg = 0; leg < SCORER_LEGS; leg++) {
        while (scoring->works[leg].passes)
            free_pass(scoring->works[leg].passes);
        free(scoring->works[leg].logprobs);
        free(scoring->works[leg].ranks);
    }
    score_input_release(&scoring->input);
    free(scoring);
}

/* -- steps -- */

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The time since results were last given goes to those of this step, in equal parts: what one
 * record took cannot be told, since it shared its steps. */
static void share_time(struct leg *leg, struct work **ended, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ended[i]->result.seconds = leg->seconds / (double)n;
    if (n > 0)
        leg->seconds = 0;
}

static bool step(struct scorer *s, enum scorer_leg number, struct status *status)
{
    struct leg *leg = &s->legs[number];
    struct sequence *sequence;
    const double begun = now();
    size_t n = 0;

    if (!scheduler_busy(leg->scheduler))
        return true;
    if (!scheduler_step(leg->scheduler, status))
        return false;
    leg->seconds += now() - begun;
    while ((sequence = scheduler_next_done(leg->scheduler)) != NULL) {
        struct pass *pass = sequence->owner;
        struct scoring *scoring = pass->scoring;

        if (!collect(pass))
            continue;
        end_work(scoring, number);
        if (scoring->works[number].status.code == STATUS_OK)
            s->ended[n++] = &scoring->works[number];
    }
    share_time(leg, s->ended, n);
    return true;
}

bool scorer_step(struct scorer *s, struct status *status)
{
    for (int i = 0; i < s->n_legs; i++) {
        if (!step(s, (enum scorer_leg)((s->first_leg + i) % s->n_legs), status))
            return false;
    }
    s->first_leg = (s->first_leg + 1) % s->n_legs; /* neither always finds the other's caches */
    return true;
}

/* -- what comes out -- */

/* Why there is no result; NULL: there is one. */
static const struct status *failure(const struct scoring *scoring)
{
    for (int leg = 0; leg < SCORER_LEGS; leg++) {
        if (scoring->works[leg].status.code != STATUS_OK)
            return &scoring->works[leg].status;
    }
    return NULL;
}

const struct score_result *scorer_result(const struct scoring *scoring, enum scorer_leg leg)
{
    if ((int)leg >= scoring->scorer->n_legs || failure(scoring))
        return NULL;
    return &scoring->works[leg].result;
}

bool scorer_write(const struct scoring *scoring, struct buf *members, struct status *status)
{
    static const char *const names[SCORER_LEGS] = {"score", "score_base"};
    const struct scorer *s = scoring->scorer;

    if (failure(scoring)) {
        *status = *failure(scoring);
        return false;
    }
    for (int leg = 0; leg < s->n_legs; leg++) {
        const struct work *work = &scoring->works[leg];
        const struct score_view view = {
            .input = &scoring->input,
            .result = &work->result,
            .logprobs = work->logprobs,
            .ranks = work->ranks,
            .n_windows = s->options.stride > 0 ? work->n_windows : 0,
            .has_bytes = s->model->tokenizer != NULL,
            .list_tokens = s->options.tokens,
        };

        score_write(members, names[leg], &view);
    }
    return true;
}

uint64_t scorer_tokens(const struct scorer *s)
{
    uint64_t n = 0;

    for (int leg = 0; leg < s->n_legs; leg++) {
        const struct scheduler_stats *stats = scheduler_stats(s->legs[leg].scheduler);

        n += stats->prompt_tokens - stats->shared_tokens;
    }
    return n;
}

void scorer_write_stats(const struct scorer *s, struct buf *members)
{
    struct scheduler_stats sum = {0};

    for (int leg = 0; leg < s->n_legs; leg++) {
        const struct scheduler_stats *stats = scheduler_stats(s->legs[leg].scheduler);

        sum.prompt_tokens += stats->prompt_tokens;
        sum.shared_tokens += stats->shared_tokens;
        sum.scored_tokens += stats->scored_tokens;
        sum.steps += stats->steps;
        sum.max_running =
            stats->max_running > sum.max_running ? stats->max_running : sum.max_running;
    }
    json_write_name(members, "prompt_tokens");
    json_write_uint(members, sum.prompt_tokens);
    json_write_name(members, "shared_tokens");
    json_write_uint(members, sum.shared_tokens);
    json_write_name(members, "scored_tokens");
    json_write_uint(members, sum.scored_tokens);
    json_write_name(members, "truncated_records");
    json_write_uint(members, s->n_truncated);
    json_write_name(members, "truncated_tokens");
    json_write_uint(members, s->n_truncated_tokens);
    json_write_name(members, "steps");
    json_write_uint(members, sum.steps);
    json_write_name(members, "max_running");
    json_write_int(members, sum.max_running);
}
