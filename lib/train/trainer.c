#include "train/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "train/lora_folder.h"
#include "train/row_order.h"

#define CHECKPOINT_SECONDS 120.0

enum { MAX_NAMED_ROWS = 8 };

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* -- what the options come to -- */

static struct train_plan make_plan(const struct trainer_options *o, size_t n_rows)
{
    return (struct train_plan){
        .n_rows = n_rows, .batch = o->batch, .accumulation = o->accumulation, .carry = o->card};
}

uint64_t trainer_steps(const struct trainer_options *o, size_t n_rows)
{
    const struct train_plan plan = make_plan(o, n_rows);

    return o->steps > 0 ? o->steps : train_plan_steps(&plan, o->epochs);
}

uint64_t trainer_epoch_steps(const struct trainer_options *o, size_t n_rows)
{
    const struct train_plan plan = make_plan(o, n_rows);

    return train_plan_epoch_steps(&plan);
}

uint64_t trainer_warmup(const struct trainer_options *o, size_t n_rows)
{
    const uint64_t steps = trainer_steps(o, n_rows);
    const double warmup = o->warmup_percent ? ceil(o->warmup / 100 * (double)steps) : o->warmup;

    return warmup < (double)steps ? (uint64_t)warmup : steps;
}

uint64_t trainer_validate_every(const struct trainer_options *o, size_t n_rows)
{
    return o->validate_every > 0 ? o->validate_every : trainer_epoch_steps(o, n_rows);
}

size_t trainer_max_tokens(const struct trainer_options *o, const struct train_rows *rows,
                          const struct train_rows *validation)
{
    const size_t batch = train_rows_most(rows, (size_t)o->batch);
    const size_t longest = (size_t)validation->longest;

    return batch > longest ? batch : longest;
}

/* -- opening -- */

static bool load_checkpoint(struct trainer *t, struct status *status)
{
    const char *path = adapter_place_file(t->place, ADAPTER_PLACE_CHECKPOINT, &t->path);

    if (!checkpoint_read(&t->state, t->settings, path, status)) {
        if (status->code != STATUS_NO_INPUT)
            return false;
        t->state.step = 0; /* a new run */
        t->state.best = HUGE_VAL;
    }
    t->adamw.step = t->state.step;
    return true;
}

static bool open_state(struct trainer *t, struct status *status)
{
    if (!adamw_open(&t->adamw, t->lora->n_values, status))
        return false;
    t->adamw.weight_decay = t->options->weight_decay;
    t->state = (struct checkpoint){
        .n = t->lora->n_values,
        .values = t->lora->values,
        .first_moment = t->adamw.m,
        .second_moment = t->adamw.v,
    };
    return load_checkpoint(t, status);
}

bool trainer_open(struct trainer *t, const json_t *settings, struct status *status)
{
    const struct trainer_options *o = t->options;
    const size_t n = t->rows->n;

    t->settings = settings;
    t->plan = make_plan(o, n);
    t->schedule = (struct lr_schedule){o->schedule, trainer_steps(o, n), trainer_warmup(o, n)};
    t->validate_every = trainer_validate_every(o, n);
    t->order = memory_zeroed(n, sizeof(*t->order));
    t->max_tokens = (int)trainer_max_tokens(o, t->rows, t->validation);
    t->batch_cap = o->batch;
    t->batch = memory_zeroed((size_t)t->batch_cap, sizeof(*t->batch));
    t->nll = memory_zeroed((size_t)t->batch_cap, sizeof(*t->nll));
    t->last_saved = now();
    if (!open_state(t, status))
        return false;
    adapter_place_file(t->place, ADAPTER_PLACE_METRICS, &t->log_path);
    return train_log_open(&t->log, t->log_path.data, t->state.metrics, status);
}

void trainer_close(struct trainer *t)
{
    train_log_close(&t->log);
    adamw_close(&t->adamw);
    free(t->order);
    free(t->batch);
    free(t->nll);
    buf_release(&t->path);
    buf_release(&t->log_path);
}

static bool shall_stop(const struct trainer *t)
{
    return t->hooks->stop && t->hooks->stop(t->hooks->self);
}

/* -- what is kept on disk -- */

static bool save_checkpoint(struct trainer *t, struct status *status)
{
    if (!train_log_sync(&t->log, status))
        return false;
    t->state.metrics = t->log.size;
    t->last_saved = now();
    return checkpoint_write(&t->state, t->settings,
                            adapter_place_file(t->place, ADAPTER_PLACE_CHECKPOINT, &t->path),
                            status);
}

static bool checkpoint_is_due(const struct trainer *t)
{
    const uint64_t every = t->options->checkpoint_every;

    return (every > 0 && t->state.step % every == 0) || now() - t->last_saved > CHECKPOINT_SECONDS;
}

static bool save_adapter(const struct trainer *t, struct status *status)
{
    return lora_folder_write(t->lora, t->place->folder.data, t->options->base_model,
                             t->options->dtype, status);
}

/* -- a step -- */

/* Row `i` of an epoch's order. */
static size_t row_at(struct trainer *t, uint64_t epoch, size_t i)
{
    if (t->ordered_epoch != epoch + 1) {
        row_order(t->options->seed + epoch, t->order, t->rows->n);
        t->ordered_epoch = epoch + 1;
    }
    return t->order[i];
}

/* What a step goes over: all its micro-batches together. */
struct sums {
    double nll;
    uint64_t rows, tokens, targets;
};

static uint64_t count_targets(struct trainer *t, const struct train_plan_part *part)
{
    uint64_t n = 0;

    for (size_t i = 0; i < part->n_rows; i++)
        n += (uint64_t)t->rows->entries[row_at(t, part->epoch, part->first + i)].n_targets;
    return n;
}

static void count_step(struct trainer *t, struct sums *sums, int *n_parts)
{
    struct train_plan_part part;

    *sums = (struct sums){0};
    for (*n_parts = 0; train_plan_part(&t->plan, t->state.step, *n_parts, &part); ++*n_parts)
        sums->targets += count_targets(t, &part);
}

static bool fail_numbers(struct trainer *t, const char *what, struct status *status)
{
    struct buf names = {0};
    struct train_plan_part part;
    size_t n = 0;

    for (int k = 0; train_plan_part(&t->plan, t->state.step, k, &part); k++) {
        for (size_t i = 0; i < part.n_rows; i++, n++) {
            if (n < MAX_NAMED_ROWS)
                buf_printf(&names, "%s%.40s", n > 0 ? ", " : "",
                           train_rows_name(t->rows, row_at(t, part.epoch, part.first + i)));
        }
    }
    status_set(status, STATUS_DATA,
               "step %llu: %s is not a number, rows %s%s; the last checkpoint "
               "is kept: a lower --lr, or other rows, may help",
               (unsigned long long)t->state.step + 1, what, names.data,
               n > MAX_NAMED_ROWS ? ", ..." : "");
    buf_release(&names);
    return false;
}

/* Forward and backward of one micro-batch, into the gradients. */
static bool run_part(struct trainer *t, const struct train_plan_part *part, float weight,
                     struct sums *sums, struct status *status)
{
    for (size_t i = 0; i < part->n_rows; i++) {
        const size_t row = row_at(t, part->epoch, part->first + i);

        t->batch[i] = train_rows_get(t->rows, row, t->options->seed, part->epoch);
        sums->tokens += (uint64_t)t->batch[i].n_tokens;
    }
    if (!train_pass_gradients(t->pass, t->batch, (int)part->n_rows, weight, t->nll, status))
        return false;
    for (size_t i = 0; i < part->n_rows; i++)
        sums->nll += t->nll[i];
    sums->rows += part->n_rows;
    return true;
}

static float weigh(struct trainer *t, const struct train_plan_part *part, const struct sums *sums,
                   int n_parts)
{
    if (t->options->card)
        return (float)(1.0 / ((double)count_targets(t, part) * n_parts));
    return (float)(1.0 / (double)sums->targets);
}

static double epochs_passed(struct trainer *t)
{
    const uint64_t an_epoch = train_plan_epoch_steps(&t->plan);

    return (double)t->state.step / (double)an_epoch;
}

static bool update(struct trainer *t, const struct sums *sums, double began, struct status *status)
{
    const double rate = t->options->lr * lr_schedule_factor(&t->schedule, t->state.step);
    const float rounded = (float)rate; /* as the parameters are: 6e-8 of it */
    struct lora *lora = t->lora;
    struct train_log_step told;
    double norm;

    if (!isfinite(sums->nll))
        return fail_numbers(t, "the loss", status);
    norm = gradients_clip(lora->gradients, lora->n_values, t->options->clip);
    if (!isfinite(norm))
        return fail_numbers(t, "a gradient", status);
    adamw_step(&t->adamw, lora->values, lora->gradients, (double)rounded);
    t->state.step++;
    told = (struct train_log_step){
        .step = t->state.step,
        .epoch = epochs_passed(t),
        .loss = sums->nll / (double)sums->targets,
        .lr = rate,
        .gradient_norm = norm,
        .tokens = sums->tokens,
        .targets = sums->targets,
        .seconds = now() - began,
    };
    if (t->hooks->stepped)
        t->hooks->stepped(t->hooks->self, &told, sums->rows);
    return train_log_step(&t->log, &told, status);
}

/* *stopped: the step was given up, and nothing has changed. */
static bool step(struct trainer *t, bool *stopped, struct status *status)
{
    const double began = now();
    struct train_plan_part part;
    struct sums sums;
    int n_parts;

    count_step(t, &sums, &n_parts);
    memset(t->lora->gradients, 0, t->lora->n_values * sizeof(*t->lora->gradients));
    for (int i = 0; train_plan_part(&t->plan, t->state.step, i, &part); i++) {
        *stopped = shall_stop(t);
        if (*stopped)
            return true;
        if (!run_part(t, &part, weigh(t, &part, &sums, n_parts), &sums, status))
            return false;
    }
    return update(t, &sums, began, status);
}

/* -- validation -- */

/* Rows from `first` on that one call takes. */
static int gather(struct trainer *t, size_t first)
{
    int n = 0, tokens = 0;

    while (n < t->batch_cap && first + (size_t)n < t->validation->n) {
        const struct train_row row = train_rows_get(t->validation, first + (size_t)n, 0, 0);

        if (row.n_tokens > t->max_tokens - tokens)
            break;
        tokens += row.n_tokens;
        t->batch[n++] = row;
    }
    return n;
}

static bool validation_loss(struct trainer *t, double *loss, bool *stopped, struct status *status)
{
    double sum = 0;

    for (size_t first = 0; first < t->validation->n;) {
        const int n = gather(t, first);

        *stopped = shall_stop(t);
        if (*stopped)
            return true;
        if (!train_pass_loss(t->pass, t->batch, n, t->nll, status))
            return false;
        for (int i = 0; i < n; i++)
            sum += t->nll[i];
        first += (size_t)n;
    }
    *loss = sum / (double)t->validation->n_targets;
    return true;
}

/* The adapter that is best so far is on disk before the next step. */
static bool judge(struct trainer *t, double loss, struct status *status)
{
    struct checkpoint *s = &t->state;
    const struct train_log_validation told = {
        .step = s->step,
        .loss = loss,
        .targets = t->validation->n_targets,
        .is_best = loss < s->best,
    };

    s->validated = s->step;
    if (told.is_best) {
        s->best = loss;
        s->best_step = s->step;
        s->misses = 0;
        if (!save_adapter(t, status))
            return false;
    } else {
        s->misses++;
    }
    s->stopped = t->options->patience > 0 && s->misses >= t->options->patience;
    if (t->hooks->validated)
        t->hooks->validated(t->hooks->self, &told);
    return train_log_validation(&t->log, &told, status);
}

static bool validate(struct trainer *t, bool *stopped, struct status *status)
{
    double loss = 0;

    if (!validation_loss(t, &loss, stopped, status))
        return false;
    if (*stopped)
        return true;
    if (!isfinite(loss))
        return status_fail(status, STATUS_DATA,
                           "step %llu: the validation loss is not a number; the last checkpoint "
                           "and the best adapter are kept: a lower --lr may help",
                           (unsigned long long)t->state.step);
    return judge(t, loss, status);
}

static bool validation_is_due(const struct trainer *t)
{
    const struct checkpoint *s = &t->state;

    if (t->validation->n == 0 || s->step == 0 || s->validated == s->step)
        return false;
    return s->step % t->validate_every == 0 || s->step >= t->schedule.steps;
}

/* -- the run -- */

static bool is_over(const struct trainer *t)
{
    return (t->state.step >= t->schedule.steps || t->state.stopped) && !validation_is_due(t);
}

/* A step, or a validation, and a checkpoint where one is due. */
static bool go_on(struct trainer *t, bool *stopped, struct status *status)
{
    if (!(validation_is_due(t) ? validate(t, stopped, status) : step(t, stopped, status)))
        return false;
    return *stopped || !checkpoint_is_due(t) || save_checkpoint(t, status);
}

/* Without a validation the last values are the best that is known. */
static bool end(struct trainer *t, struct status *status)
{
    return (t->validation->n > 0 || save_adapter(t, status)) && save_checkpoint(t, status);
}

enum trainer_result trainer_run(struct trainer *t, struct status *status)
{
    bool stopped = false;

    while (!is_over(t)) {
        if (!go_on(t, &stopped, status))
            return TRAINER_FAILED;
        if (stopped)
            return save_checkpoint(t, status) ? TRAINER_STOPPED : TRAINER_FAILED;
    }
    return end(t, status) ? TRAINER_DONE : TRAINER_FAILED;
}
