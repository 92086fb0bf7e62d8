#include "run/scheduler.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/thread_pool.h"
#include "compute/kv_cache.h"
#include "model/forward.h"
#include "run/candidates.h"
#include "run/sampler.h"

enum { MAX_STEP_ROWS = 512, KV_TOKENS_A_SLOT = 1024 };

struct list {
    struct sequence *first, *last;
};

/* A row of the batch whose logits are wanted, and what they answer. */
struct wanted {
    struct sequence *sequence;
    int entry;     /* of the sequence's logprobs */
    int32_t token; /* the target, or the token that was sampled */
};

/* Scratch of one thread. */
struct worker {
    struct sampler *sampler;
    struct candidate *best; /* [max_alternatives] */
};

struct scheduler {
    const struct model *model;
    struct forward *forward;
    struct kv_cache *kv;
    struct thread_pool *pool;
    struct worker *workers; /* [threads of pool] */
    int n_slots, max_rows;
    int n_adapters;
    bool alone; /* no sequence takes over what another has computed */

    struct list waiting;
    struct sequence **running; /* [n_slots] in the order of admission */
    int n_running;
    bool *slot_taken; /* [n_slots] */
    struct list done;

    /* the step at hand; arrays of max_rows, segments of n_slots */
    struct batch batch;
    int32_t *tokens, *positions, *rows; /* rows: of the batch, that are wanted */
    struct segment *segments;
    struct wanted *wanted;
    int n_wanted;
    const float *logits; /* of the chunk of wanted rows at hand, which begins at: */
    int first_logit;
    double normalizers[FORWARD_LOGIT_ROWS]; /* of the same rows */

    struct scheduler_stats stats;
};

static void list_append(struct list *list, struct sequence *s)
{
    s->next = NULL;
    if (list->last)
        list->last->next = s;
    else
        list->first = s;
    list->last = s;
}

static struct sequence *list_pop(struct list *list)
{
    struct sequence *s = list->first;

    if (s) {
        list->first = s->next;
        if (!list->first)
            list->last = NULL;
        s->next = NULL;
    }
    return s;
}

static void list_remove(struct list *list, const struct sequence *s)
{
    struct list kept = {0};
    struct sequence *next;

    for (struct sequence *i = list->first; i; i = next) {
        next = i->next;
        if (i != s)
            list_append(&kept, i);
    }
    *list = kept;
}

static int kv_blocks(const struct model_config *c, int n_slots, size_t kv_tokens)
{
    const size_t context = (size_t)c->max_seq_len;
    size_t tokens = kv_tokens ? kv_tokens : (size_t)n_slots * KV_TOKENS_A_SLOT;
    size_t blocks;

    if (tokens < context)
        tokens = context;
    blocks = tokens / KV_BLOCK_TOKENS + (size_t)n_slots; /* each slot's last block may be partly
                                                               filled */
    return blocks < INT32_MAX ? (int)blocks : INT32_MAX;
}

static int step_rows(const struct scheduler_options *o)
{
    const int rows = o->max_step_rows > 0 ? o->max_step_rows : MAX_STEP_ROWS;

    return rows < o->n_slots ? o->n_slots : rows;
}

static bool open_workers(struct scheduler *s, int threads, struct status *status)
{
    s->pool = thread_pool_open(threads, status);
    if (!s->pool)
        return false;
    s->workers = memory_zeroed((size_t)threads, sizeof(*s->workers));
    for (int i = 0; i < threads; i++) {
        s->workers[i].sampler = sampler_open(s->model->config.vocab_size);
        s->workers[i].best = memory_zeroed(REQUEST_MAX_ALTERNATIVES, sizeof(struct candidate));
    }
    return true;
}

static void alloc_step(struct scheduler *s)
{
    const size_t rows = (size_t)s->max_rows, slots = (size_t)s->n_slots;

    s->running = memory_zeroed(slots, sizeof(struct sequence *));
    s->slot_taken = memory_zeroed(slots, sizeof(bool));
    s->segments = memory_zeroed(slots, sizeof(*s->segments));
    s->tokens = memory_zeroed(rows, sizeof(*s->tokens));
    s->positions = memory_zeroed(rows, sizeof(*s->positions));
    s->rows = memory_zeroed(rows, sizeof(*s->rows));
    s->wanted = memory_zeroed(rows, sizeof(*s->wanted));
}

struct scheduler *scheduler_open(const struct model *model, const struct scheduler_options *options,
                                 struct status *status)
{
    const struct model_config *c = &model->config;
    struct scheduler *s = memory_zeroed(1, sizeof(*s));

    assert(options->n_slots >= 1 && options->threads >= 1);
    s->model = model;
    s->n_slots = options->n_slots;
    s->alone = options->alone;
    s->max_rows = step_rows(options);
    alloc_step(s);
    s->n_adapters = options->n_adapters;
    if (!model_has_weights(model))
        return s;
    s->forward = forward_open(model, options->adapters, options->n_adapters, s->max_rows, status);
    if (s->forward)
        s->kv =
            kv_cache_open(model->backend, model->device, c->n_layers, c->n_kv_heads, c->head_dim,
                          s->n_slots, kv_blocks(c, s->n_slots, options->kv_tokens), status);
    if (!s->kv || !open_workers(s, options->threads, status)) {
        scheduler_close(s);
        return NULL;
    }
    if (c->sliding_window > 0 && c->sliding_window < c->max_seq_len)
        kv_cache_set_window(s->kv, c->sliding_window, s->max_rows);
    return s;
}

void scheduler_memory(const struct model_config *c, const struct backend *backend,
                      const struct device *device, const struct scheduler_options *options,
                      size_t longest, size_t *kv_cache, size_t *scratch)
{
    const size_t most = (size_t)kv_blocks(c, options->n_slots, options->kv_tokens);
    const size_t context = (size_t)c->max_seq_len, threads = (size_t)options->threads;
    const size_t tokens = longest > 0 && longest < context ? longest : context;
    const size_t a_slot = (tokens + KV_BLOCK_TOKENS - 1) / KV_BLOCK_TOKENS;
    size_t blocks = (size_t)options->n_slots * a_slot + KV_KEPT_BLOCKS;
    const int q_dim = c->n_heads * c->head_dim, rows = step_rows(options);
    int widest = c->dim > c->ffn_dim ? c->dim : c->ffn_dim;

    widest = widest > q_dim ? widest : q_dim;
    blocks = blocks < most ? blocks : most;
    *kv_cache =
        blocks * kv_cache_block_size(backend, device, c->n_layers, c->n_kv_heads, c->head_dim);
    *scratch = forward_size(c, rows) + backend->scratch_size(device, rows, widest) +
               threads * (size_t)c->vocab_size * (sizeof(struct candidate) + sizeof(double));
}

static void free_list(struct list *list)
{
    struct sequence *sequence;

    while ((sequence = list_pop(list)) != NULL)
        sequence_free(sequence);
}

void scheduler_close(struct scheduler *s)
{
    if (!s)
        return;
    free_list(&s->waiting);
    free_list(&s->done);
    for (int i = 0; i < s->n_running; i++)
        sequence_free(s->running[i]);
    for (int i = 0; s->workers && i < thread_pool_size(s->pool); i++) {
        sampler_close(s->workers[i].sampler);
        free(s->workers[i].best);
    }
    free(s->workers);
    thread_pool_close(s->pool);
    kv_cache_close(s->kv);
    forward_close(s->forward);
    free(s->running);
    free(s->slot_taken);
    free(s->segments);
    free(s->tokens);
    free(s->positions);
    free(s->rows);
    free(s->wanted);
    free(s);
}

static bool check_request(const struct scheduler *s, const struct request *r, struct status *status)
{
    const struct model_config *c = &s->model->config;
    const int n_new = r->score ? 0 : r->stop.max_tokens;

    assert(r->score ? r->first_target >= 1 : r->stop.max_tokens >= 1);
    assert(r->adapter >= -1 && (s->n_adapters == 0 || r->adapter < s->n_adapters));
    assert(r->sampling.n_logprobs >= 0 && r->sampling.n_logprobs <= REQUEST_MAX_ALTERNATIVES);
    if (r->n_tokens < 1)
        return status_fail_record(status, "empty", NULL, "there is no token to begin with");
    if (r->n_tokens > c->max_seq_len - n_new)
        return status_fail_record(status, "too_long", NULL,
                                  "%d tokens and %d new ones, but the model's context is %d",
                                  r->n_tokens, n_new, c->max_seq_len);
    for (int i = 0; i < r->n_tokens; i++) {
        if (r->tokens[i] < 0 || r->tokens[i] >= c->vocab_size)
            return status_fail_record(status, "range", NULL,
                                      "token %d has id %d, the vocabulary ends at %d", i,
                                      r->tokens[i], c->vocab_size - 1);
    }
    return true;
}

struct sequence *scheduler_submit(struct scheduler *s, const struct request *request,
                                  struct status *status)
{
    struct sequence *sequence;

    if (!check_request(s, request, status))
        return NULL;
    sequence = sequence_open(request, s->model->tokenizer);
    if (s->n_adapters == 0)
        sequence->adapter = -1;
    /* Without a target there is nothing to wait for: no step would ever end it. */
    sequence->done = request->score && request->first_target >= request->n_tokens;
    list_append(sequence->done ? &s->done : &s->waiting, sequence);
    return sequence;
}

bool scheduler_busy(const struct scheduler *s)
{
    return s->waiting.first || s->n_running > 0;
}

/* waiting -> running, in order, while a slot is free and the cache can hold the worst case */
static void admit(struct scheduler *s)
{
    while (s->waiting.first && s->n_running < s->n_slots) {
        struct sequence *sequence = s->waiting.first;
        int slot = 0;

        while (s->slot_taken[slot])
            slot++;
        if (!kv_cache_reserve_head(s->kv, slot, sequence_worst_case(sequence), sequence->tokens,
                                   s->alone ? 0 : sequence_head(sequence), sequence->adapter))
            break;
        list_pop(&s->waiting);
        sequence->slot = slot;
        s->slot_taken[slot] = true;
        s->running[s->n_running++] = sequence;
        s->stats.prompt_tokens += (uint64_t)sequence->n_prompt;
    }
}

/* The next n pending tokens of a sequence become rows. */
static bool add_rows(struct scheduler *s, struct sequence *sequence, int n, struct status *status)
{
    struct batch *b = &s->batch;

    if (!kv_cache_grow(s->kv, sequence->slot, sequence->n_cached + n, status))
        return false;
    s->segments[b->n_segments++] =
        (struct segment){sequence->slot, b->n_rows, n, sequence->n_cached, sequence->adapter};
    for (int i = 0; i < n; i++) {
        const int position = sequence->n_cached++;
        const int row = b->n_rows++;

        s->tokens[row] = sequence->tokens[position];
        s->positions[row] = position;
        if (!sequence_wants(sequence, position))
            continue;
        s->rows[s->n_wanted] = row;
        s->wanted[s->n_wanted++] = (struct wanted){
            .sequence = sequence,
            .entry = sequence->n_logprobs++,
            .token = sequence->score ? sequence->tokens[position + 1] : -1,
        };
    }
    return true;
}

/* A prompt's next rows, as many as there is room for, behind what others have computed of it. None
 * if another sequence is computing what comes next: prompts that begin alike are filled in turn,
 * and what the first computes in a step the next may read in the same one. */
static bool add_prompt(struct scheduler *s, struct sequence *sequence, struct status *status)
{
    const int known = kv_cache_catch_up(s->kv, sequence->slot);
    const int room = s->max_rows - s->batch.n_rows;
    int pending;

    if (known < 0)
        return true;
    s->stats.shared_tokens += (uint64_t)(known - sequence->n_cached);
    sequence->n_cached = known;
    pending = sequence_pending(sequence);
    return add_rows(s, sequence, pending < room ? pending : room, status);
}

/* running -> rows: one for each sequence that decodes, then prompts, oldest first */
static bool fill(struct scheduler *s, struct status *status)
{
    s->n_wanted = 0;
    s->batch =
        (struct batch){.tokens = s->tokens, .positions = s->positions, .segments = s->segments};
    for (int i = 0; i < s->n_running; i++) {
        struct sequence *sequence = s->running[i];

        if (sequence->n_cached >= sequence->n_prompt && !add_rows(s, sequence, 1, status))
            return false;
    }
    for (int i = 0; i < s->n_running && s->batch.n_rows < s->max_rows; i++) {
        struct sequence *sequence = s->running[i];

        if (sequence->n_cached < sequence->n_prompt && !add_prompt(s, sequence, status))
            return false;
    }
    return true;
}

/* The log-probabilities of the most likely tokens, best first. */
static void note_alternatives(struct worker *worker, const struct wanted *w, const float *logits,
                              int vocab_size, double normalizer)
{
    const int n = w->sequence->sampling.n_logprobs;
    struct alternative *to = w->sequence->alternatives + (size_t)w->entry * (size_t)n;
    const int found = candidates_best(logits, vocab_size, n, worker->best);

    for (int i = 0; i < n; i++) {
        to[i] = i < found ? (struct alternative){worker->best[i].id,
                                                 (double)worker->best[i].logit - normalizer}
                          : (struct alternative){-1, (double)-INFINITY};
    }
}

/* One row of logits: its token's log-probability, the token first being sampled where it is not
 * given. Called by any thread; rows touch nothing of each other. */
static void answer(void *context, size_t item, int thread)
{
    struct scheduler *s = context;
    struct wanted *w = &s->wanted[(size_t)s->first_logit + item];
    struct sequence *sequence = w->sequence;
    const int vocab_size = s->model->config.vocab_size;
    const float *logits = s->logits + item * (size_t)vocab_size;
    const double normalizer = s->normalizers[item];

    if (isnan(normalizer)) {
        sequence->logprobs[w->entry] = (double)NAN;
        return;
    }
    if (!sequence->score)
        w->token = sampler_next(s->workers[thread].sampler, logits, &sequence->sampling,
                                (uint64_t)sequence->n_tokens);
    sequence->logprobs[w->entry] = (double)logits[w->token] - normalizer;
    if (sequence->ranks)
        sequence->ranks[w->entry] = candidates_rank(logits, vocab_size, w->token);
    if (sequence->alternatives)
        note_alternatives(&s->workers[thread], w, logits, vocab_size, normalizer);
}

/* rows -> logits of the wanted ones, a chunk at a time -> tokens and log-probabilities */
static bool forward(struct scheduler *s, struct status *status)
{
    forward_hidden(s->forward, s->kv, &s->batch, s->rows, s->n_wanted);
    for (int first = 0; first < s->n_wanted; first += FORWARD_LOGIT_ROWS) {
        const int left = s->n_wanted - first;
        const int n = left < FORWARD_LOGIT_ROWS ? left : FORWARD_LOGIT_ROWS;

        s->logits = forward_logits(s->forward, first, n, s->normalizers, status);
        if (!s->logits)
            return false;
        s->first_logit = first;
        thread_pool_for(s->pool, (size_t)n, answer, s);
    }
    return s->n_wanted > 0 || s->model->backend->finish(s->model->device, status);
}

/* A sequence whose prompt is in has one more token; one whose targets are all scored is done. */
static void advance(struct scheduler *s)
{
    for (int i = 0; i < s->n_wanted; i++) {
        struct wanted *w = &s->wanted[i];
        struct sequence *sequence = w->sequence;

        if (sequence->done) /* a row of it before this one was not finite */
            continue;
        if (isnan(sequence->logprobs[w->entry])) {
            status_set_record(&sequence->status, "not_finite", NULL,
                              "the model's output at token %d is not a number", w->entry);
            sequence->done = true;
        } else if (!sequence->score) {
            sequence_append(sequence, w->token);
            s->stats.completion_tokens++;
        } else {
            s->stats.scored_tokens++;
            sequence->done = w->entry == sequence->n_prompt - sequence->first_target - 1;
        }
    }
}

static void free_slot(struct scheduler *s, struct sequence *sequence)
{
    kv_cache_free_slot(s->kv, sequence->slot);
    s->slot_taken[sequence->slot] = false;
    sequence->slot = -1;
}

/* running -> done; the slots are free again */
static void retire(struct scheduler *s)
{
    int kept = 0;

    for (int i = 0; i < s->n_running; i++) {
        struct sequence *sequence = s->running[i];

        if (!sequence->done) {
            s->running[kept++] = sequence;
            continue;
        }
        free_slot(s, sequence);
        list_append(&s->done, sequence);
    }
    s->n_running = kept;
}

bool scheduler_step(struct scheduler *s, struct status *status)
{
    admit(s);
    if (!fill(s, status) || !forward(s, status))
        return status_context(status, "step %llu", (unsigned long long)s->stats.steps);
    advance(s);
    s->stats.steps++;
    s->stats.rows += (uint64_t)s->batch.n_rows;
    if (s->n_running > s->stats.max_running)
        s->stats.max_running = s->n_running;
    retire(s);
    return true;
}

struct sequence *scheduler_next_done(struct scheduler *s)
{
    return list_pop(&s->done);
}

void scheduler_free(struct scheduler *s, struct sequence *sequence)
{
    if (!sequence)
        return;
    if (sequence->slot >= 0) {
        int kept = 0;

        free_slot(s, sequence);
        for (int i = 0; i < s->n_running; i++) {
            if (s->running[i] != sequence)
                s->running[kept++] = s->running[i];
        }
        s->n_running = kept;
    } else {
        list_remove(&s->waiting, sequence);
        list_remove(&s->done, sequence);
    }
    sequence_free(sequence);
}

const struct scheduler_stats *scheduler_stats(const struct scheduler *s)
{
    return &s->stats;
}
