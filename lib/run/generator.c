#include "run/generator.h"

#include <stdlib.h>

#include "base/memory.h"
#include "formats/json_write.h"
#include "run/scheduler.h"
#include "text/rationales.h"

struct generation {
    struct generator *generator;
    struct generation *next; /* in the list of done ones */
    void *owner;
    bool by_recipe;   /* the recipe wrote the prompt and reads the text */
    size_t truncated; /* prompt tokens that were cut */
    int adapter;      /* of the set; ADAPTER_NONE */
    int n_running;
    struct sequence *samples[]; /* [n_samples]; ours */
};

struct generator {
    const struct model *model;
    struct generator_options options;
    struct prompt_options prompt;
    struct text *stops; /* ours: [options.n_stops] */
    const char *makes[2];
    size_t n_makes;
    struct scheduler *scheduler;
    struct generation *first_done, *last_done;
    struct tokens tokens; /* of the record at hand */
    uint64_t n_truncated, n_truncated_tokens;
};

/* What was left unset is as the recipe has it. */
static void ask_recipe(struct generator_options *o)
{
    const struct recipe *recipe = o->recipe;
    struct sampling *s = &o->sampling;

    s->greedy = s->greedy || (recipe->greedy && s->temperature < 0);
    if (s->temperature < 0)
        s->temperature = recipe->temperature;
    if (s->top_k < 0)
        s->top_k = recipe->top_k;
    if (s->top_p < 0)
        s->top_p = recipe->top_p;
    if (s->min_p < 0)
        s->min_p = recipe->min_p;
    if (o->max_tokens == 0)
        o->max_tokens = recipe->max_tokens;
    if (o->n_stops == 0) {
        o->stops = (const char *const *)recipe->stop;
        o->n_stops = recipe->n_stop;
    }
}

static bool open_prompt(struct generator *g, struct status *status)
{
    const struct generator_options *o = &g->options;
    const struct model_config *c = &g->model->config;

    if (o->max_tokens >= c->max_seq_len)
        return status_fail(status, STATUS_CONFIG,
                           "%d new tokens leave no room for a prompt: the model's context is %d",
                           o->max_tokens, c->max_seq_len);
    g->prompt = (struct prompt_options){
        .recipe = o->recipe,
        .tokenizer = g->model->tokenizer,
        .max_length = o->max_length,
        .context = (size_t)(c->max_seq_len - o->max_tokens),
        .truncate = o->truncate,
    };
    return prompt_open(&g->prompt, status);
}

static bool read_stops(struct generator *g, struct status *status)
{
    const struct generator_options *o = &g->options;

    g->stops = memory_zeroed(o->n_stops, sizeof(*g->stops));
    for (size_t i = 0; i < o->n_stops; i++) {
        g->stops[i] = text_of(o->stops[i]);
        if (g->stops[i].len == 0)
            return status_fail(status, STATUS_USAGE, "a stop string is empty");
    }
    return true;
}

struct generator *generator_open(const struct model *model, const struct generator_options *options,
                                 struct status *status)
{
    struct generator *g = memory_zeroed(1, sizeof(*g));
    const struct adapter_set *set = options->adapters;
    const struct scheduler_options scheduling = {
        .n_slots = options->batch,
        .threads = options->threads,
        .adapters = set ? set->adapters : NULL,
        .n_adapters = set ? set->n : 0,
    };

    g->model = model;
    g->options = *options;
    ask_recipe(&g->options);
    g->makes[g->n_makes++] = options->n_samples > 1 ? "generations" : "generation";
    if (options->recipe->parse != RECIPE_PARSE_NONE)
        g->makes[g->n_makes++] = options->recipe->makes;
    if (read_stops(g, status) && open_prompt(g, status))
        g->scheduler = scheduler_open(model, &scheduling, status);
    if (!g->scheduler) {
        generator_close(g);
        return NULL;
    }
    return g;
}

void generator_close(struct generator *g)
{
    if (!g)
        return;
    scheduler_close(g->scheduler);
    tokens_release(&g->tokens);
    free(g->stops);
    free(g);
}

const char *const *generator_makes(const struct generator *g, size_t *n)
{
    *n = g->n_makes;
    return g->makes;
}

/* Does the record leave its prompt to the recipe? */
static bool by_recipe(const struct record *record)
{
    const char *const own[] = {"tokens", "messages", "prompt"};

    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        const json_t *value = record_get(record, own[i]);

        if (value && !json_is_null(value))
            return false;
    }
    return true;
}

static bool submit(struct generation *gen, int sample, uint64_t record_key, struct status *status)
{
    struct generator *g = gen->generator;
    const struct generator_options *o = &g->options;
    const bool count = gen->by_recipe && o->recipe->parse == RECIPE_PARSE_LINES;
    struct request request = {
        .tokens = g->tokens.ids,
        .n_tokens = (int)g->tokens.n,
        .sampling = o->sampling,
        .stop = {.end_ids = g->model->config.eos_ids,
                 .n_end_ids = g->model->config.n_eos_ids,
                 .strings = g->stops,
                 .n_strings = (int)o->n_stops,
                 .max_tokens = o->max_tokens,
                 .n_rationales = count ? o->recipe->n : 0},
        .adapter = gen->adapter,
        .owner = gen,
    };

    request.sampling.key = sampler_key(o->seed, record_key);
    request.sampling.stream = (uint32_t)sample;
    gen->samples[sample] = scheduler_submit(g->scheduler, &request, status);
    return gen->samples[sample] != NULL;
}

struct generation *generator_begin(struct generator *g, const struct record *record, void *owner,
                                   struct status *status)
{
    const size_t n = (size_t)g->options.n_samples;
    struct generation *gen;
    size_t truncated;
    int adapter;

    if (!adapter_set_choose(g->options.adapters, record, &adapter, status) ||
        !prompt_make(&g->prompt, record, &g->tokens, &truncated, status))
        return NULL;
    gen = memory_zeroed(1, sizeof(*gen) + n * sizeof(gen->samples[0]));
    gen->generator = g;
    gen->owner = owner;
    gen->by_recipe = by_recipe(record);
    gen->truncated = truncated;
    gen->adapter = adapter;
    for (int i = 0; i < (int)n; i++) {
        if (!submit(gen, i, record->key, status)) {
            generator_free(gen);
            return NULL;
        }
        gen->n_running++;
    }
    g->n_truncated += truncated > 0;
    g->n_truncated_tokens += truncated;
    return gen;
}

void generator_size(const struct generation *gen, size_t *tokens, size_t *truncated)
{
    *tokens = (size_t)gen->samples[0]->n_prompt;
    *truncated = gen->truncated;
}

static void note_done(struct generator *g, struct generation *gen)
{
    gen->next = NULL;
    if (g->last_done)
        g->last_done->next = gen;
    else
        g->first_done = gen;
    g->last_done = gen;
}

bool generator_step(struct generator *g, struct status *status)
{
    struct sequence *sequence;

    if (!scheduler_busy(g->scheduler))
        return true;
    if (!scheduler_step(g->scheduler, status))
        return false;
    while ((sequence = scheduler_next_done(g->scheduler)) != NULL) {
        struct generation *gen = sequence->owner;

        if (--gen->n_running == 0)
            note_done(g, gen);
    }
    return true;
}

struct generation *generator_next_done(struct generator *g)
{
    struct generation *gen = g->first_done;

    if (gen) {
        g->first_done = gen->next;
        if (!g->first_done)
            g->last_done = NULL;
    }
    return gen;
}

void *generator_owner(const struct generation *gen)
{
    return gen->owner;
}

static void remove_done(struct generator *g, const struct generation *gone)
{
    struct generation *gen = g->first_done, *next;

    g->first_done = g->last_done = NULL;
    for (; gen; gen = next) {
        next = gen->next;
        if (gen != gone)
            note_done(g, gen);
    }
}

void generator_free(struct generation *gen)
{
    if (!gen)
        return;
    remove_done(gen->generator, gen);
    for (int i = 0; i < gen->generator->options.n_samples; i++)
        scheduler_free(gen->generator->scheduler, gen->samples[i]);
    free(gen);
}

static void write_token(const struct generator *g, int32_t id, double logprob, struct buf *out)
{
    json_write_name(out, "id");
    json_write_int(out, id);
    if (g->model->tokenizer) {
        json_write_name(out, "token");
        json_write_string(out, tokenizer_bytes(g->model->tokenizer, id));
    }
    json_write_name(out, "logprob");
    json_write_double(out, logprob);
}

/* [{"id","token","logprob","top":[{"id","token","logprob"}]}], one for each generated token */
static void write_logprobs(const struct generator *g, const struct sequence *s, struct buf *out)
{
    const int n_top = s->sampling.n_logprobs;

    json_write_name(out, "logprobs");
    buf_append_char(out, '[');
    for (int i = 0; i < s->n_logprobs; i++) {
        json_write_comma(out);
        buf_append_char(out, '{');
        write_token(g, s->tokens[s->n_prompt + i], s->logprobs[i], out);
        json_write_name(out, "top");
        buf_append_char(out, '[');
        for (int j = 0; j < n_top; j++) {
            const struct alternative *a = &s->alternatives[i * n_top + j];

            if (a->id < 0) /* the vocabulary is smaller than that */
                break;
            json_write_comma(out);
            buf_append_char(out, '{');
            write_token(g, a->id, a->logprob, out);
            buf_append_char(out, '}');
        }
        buf_append_string(out, "]}");
    }
    buf_append_char(out, ']');
}

static void write_sample(const struct generation *gen, const struct sequence *s, struct buf *out)
{
    const struct generator *g = gen->generator;

    buf_append_char(out, '{');
    if (g->model->tokenizer) {
        json_write_name(out, "text");
        json_write_string(out, buf_text(&s->text));
    } else {
        json_write_name(out, "tokens");
        json_write_ints(out, s->tokens + s->n_prompt, (size_t)(s->n_tokens - s->n_prompt));
    }
    json_write_name(out, "finish_reason");
    json_write_string(out, text_of(stop_finish_name(s->finish)));
    json_write_name(out, "prompt_tokens");
    json_write_int(out, s->n_prompt);
    json_write_name(out, "completion_tokens");
    json_write_int(out, s->n_tokens - s->n_prompt);
    json_write_name(out, "logprob");
    json_write_double(out, sequence_logprob(s));
    json_write_name(out, "seed");
    json_write_uint(out, g->options.seed);
    json_write_name(out, "truncated");
    json_write_uint(out, gen->truncated);
    json_write_name(out, "model");
    adapter_set_write_name(g->options.adapters, g->model, gen->adapter, out);
    if (s->alternatives)
        write_logprobs(g, s, out);
    buf_append_char(out, '}');
}

static void write_rationales(const struct generation *gen, struct buf *members)
{
    const struct recipe *recipe = gen->generator->options.recipe;
    struct rationales rationales = {0};

    rationales_parse(&rationales, buf_text(&gen->samples[0]->text), (size_t)recipe->n);
    json_write_name(members, recipe->makes);
    rationales_write(&rationales, members);
    rationales_release(&rationales);
}

bool generator_write(const struct generation *gen, struct buf *members, struct status *status)
{
    const struct generator *g = gen->generator;
    const int n = g->options.n_samples;

    for (int i = 0; i < n; i++) {
        if (gen->samples[i]->status.code != STATUS_OK) {
            *status = gen->samples[i]->status;
            return false;
        }
    }
    if (gen->by_recipe && g->options.recipe->parse != RECIPE_PARSE_NONE)
        write_rationales(gen, members);
    json_write_name(members, g->makes[0]);
    if (n == 1) {
        write_sample(gen, gen->samples[0], members);
        return true;
    }
    buf_append_char(members, '[');
    for (int i = 0; i < n; i++) {
        json_write_comma(members);
        write_sample(gen, gen->samples[i], members);
    }
    buf_append_char(members, ']');
    return true;
}

uint64_t generator_tokens(const struct generator *g)
{
    const struct scheduler_stats *stats = scheduler_stats(g->scheduler);

    return stats->prompt_tokens - stats->shared_tokens + stats->completion_tokens;
}

void generator_write_stats(const struct generator *g, struct buf *members)
{
    const struct scheduler_stats *stats = scheduler_stats(g->scheduler);

    json_write_name(members, "prompt_tokens");
    json_write_uint(members, stats->prompt_tokens);
    json_write_name(members, "shared_tokens");
    json_write_uint(members, stats->shared_tokens);
    json_write_name(members, "completion_tokens");
    json_write_uint(members, stats->completion_tokens);
    json_write_name(members, "truncated_records");
    json_write_uint(members, g->n_truncated);
    json_write_name(members, "truncated_tokens");
    json_write_uint(members, g->n_truncated_tokens);
    json_write_name(members, "steps");
    json_write_uint(members, stats->steps);
    json_write_name(members, "max_running");
    json_write_int(members, stats->max_running);
}
