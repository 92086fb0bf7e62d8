/* medrat-gen: questions, prompts, messages or tokens -> rationales, or any generation. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/common_options.h"
#include "cli/message.h"
#include "cli/model_choice.h"
#include "cli/plan.h"
#include "cli/process.h"
#include "cli/share_path.h"
#include "run/engine.h"
#include "run/generator.h"
#include "run/memory_plan.h"
#include "run/run_plan.h"
#include "run/sequence.h"

static struct common_args args = COMMON_ARGS_INIT;
static const char *recipe_option = "rationales";
static struct cli_strings stops;
static int truncate_option; /* enum truncate */
static struct generator_options wanted = GENERATOR_OPTIONS_INIT;
static struct recipe recipe;
static struct engine engine;
static struct generator *generator;
static struct run_plan forecast; /* of --plan */

static const struct cli_option options[] = {
    {.kind = CLI_HEADING, .help = "Prompt"},
    {"recipe", 'r', CLI_STRING, &recipe_option, 0, 0, "NAME|FILE",
     "how a question becomes a prompt, how its answer is sampled and read", NULL, NULL, NULL},
    COMMON_QUESTION_OPTIONS(args),
    {"max-length", 0, CLI_SIZE, &wanted.max_length, 1, 1 << 30, "N",
     "tokens of a prompt at most; the question is cut, never its frame", "the recipe's", NULL,
     NULL},
    {"truncate", 0, CLI_CHOICE, &truncate_option, 0, 0, "HOW",
     "what stays of a longer prompt; error: the record fails", NULL, common_options_truncate, NULL},
    {.kind = CLI_HEADING, .help = "Generation"},
    {"max-tokens", 'n', CLI_INT, &wanted.max_tokens, 1, 1 << 20, "N", "new tokens at most",
     "the recipe's", NULL, NULL},
    {"stop", 0, CLI_STRINGS, &stops, 0, 0, "STRING",
     "ends the text before this string; may be repeated", "the recipe's", NULL, NULL},
    {"greedy", 0, CLI_FLAG, &wanted.sampling.greedy, 0, 0, NULL,
     "always the most likely token; the other sampling options have no effect", NULL, NULL, NULL},
    {"temperature", 't', CLI_FLOAT, &wanted.sampling.temperature, 0, 100, "T",
     "divides the logits; 0 is greedy", "the recipe's", NULL, NULL},
    {"top-k", 0, CLI_INT, &wanted.sampling.top_k, 0, 1 << 20, "N",
     "sample among the N most likely tokens; 0: all", "the recipe's", NULL, NULL},
    {"top-p", 0, CLI_FLOAT, &wanted.sampling.top_p, 0, 1, "P",
     "and among the fewest that hold P of their probability; 1: all", "the recipe's", NULL, NULL},
    {"min-p", 0, CLI_FLOAT, &wanted.sampling.min_p, 0, 1, "P",
     "and among those at least P times as likely as the best; 0: all", "the recipe's", NULL, NULL},
    {"samples", 0, CLI_INT, &wanted.n_samples, 1, 1024, "K",
     "generations of each record; more than one are listed in 'generations'", NULL, NULL, NULL},
    {"logprobs", 0, CLI_INT, &wanted.sampling.n_logprobs, 0, REQUEST_MAX_ALTERNATIVES, "N",
     "each token's log-probability, and those of the N most likely in its place", NULL, NULL, NULL},
    COMMON_SEED_ROW(args),
    {.kind = CLI_HEADING, .help = "Model"},
    COMMON_MODEL_ROW(args, "the demo model smollm2"),
    COMMON_ADAPTER_ROW(args),
    COMMON_QUANTIZE_ROW(args),
    COMMON_THREADS_ROW(args),
    COMMON_BATCH_ROW(args),
    COMMON_MEM_ROW(args),
    COMMON_PLAN_ROW(args),
    COMMON_RECORD_OPTIONS(args),
};

/* What --map may rename beside the recipe's members. */
static const char *const reads[] = {"id", "tokens", "messages", "prompt", "adapter", NULL};

static const struct cli_tool tool = {
    .name = "medrat-gen",
    .summary = "write rationales for medical questions with a language model",
    .usage = "[OPTION]... [FILE]...",
    .options = options,
    .n_options = sizeof(options) / sizeof(options[0]),
    .no_input_hint = "medrat-gen --query 'Does vitamin D prevent falls in older adults?'",
};

static bool begin(void *self, struct job *job, struct status *status)
{
    job->work = generator_begin(self, &job->record, job, status);
    return job->work != NULL;
}

static bool step(void *self, struct status *status)
{
    struct generation *generation;

    if (!generator_step(self, status))
        return false;
    while ((generation = generator_next_done(self)) != NULL) {
        struct job *job = generator_owner(generation);
        struct status why;

        if (generator_write(generation, &job->members, &why))
            job_done(job);
        else
            job_fail(job, &why);
    }
    return true;
}

static void release(void *self, struct job *job)
{
    (void)self;
    generator_free(job->work);
}

static uint64_t tokens(void *self)
{
    return generator_tokens(self);
}

static void stats(void *self, struct buf *members)
{
    engine_write_stats(&engine, members);
    generator_write_stats(self, members);
}

static void settings(void *self, json_t *list)
{
    char hash[17];

    (void)self;
    engine_settings(&engine, list);
    snprintf(hash, sizeof(hash), "%016" PRIx64, recipe.hash);
    json_object_set_new(list, "recipe-hash", json_string(hash));
}

/* For --plan: a record is begun and given up. */
static bool measure(void *self, struct job *job, struct status *status)
{
    struct generation *generation = generator_begin(self, &job->record, job, status);
    size_t tokens, truncated;

    if (!generation)
        return false;
    generator_size(generation, &tokens, &truncated);
    generator_free(generation);
    run_plan_add(&forecast, tokens, truncated);
    job_done(job);
    return true;
}

static void write_plan(void *self, struct buf *members)
{
    (void)self;
    engine_write_stats(&engine, members);
    run_plan_write(&forecast, members);
}

/* Prompts that no --max-length bounds may be as long as the model's context. */
static bool check_memory(const struct model_choice *choice, struct status *status)
{
    const size_t new_tokens =
        (size_t)(wanted.max_tokens > 0 ? wanted.max_tokens : recipe.max_tokens);
    const struct memory_plan_options plan = {
        .model_path = choice->model.data,
        .quantize = (enum quantize)args.quantize,
        .device_name = "cpu",
        .threads = args.threads,
        .batch = args.batch,
        .longest = wanted.max_length > 0 ? wanted.max_length + new_tokens : 0,
        .legs = 1,
        .adapters = choice->adapter_paths,
        .n_adapters = choice->n_adapters,
    };

    forecast.max_new_tokens = new_tokens * (size_t)wanted.n_samples;
    return memory_plan_check(&plan, args.mem, status) &&
           (!args.plan || memory_plan_make(&forecast.memory, &plan, status));
}

/* The demo model has learned one recipe, by an adapter. */
static const char *default_adapter(void)
{
    return strcmp(recipe_option, "rationales") == 0 ? "rationales-smollm2" : NULL;
}

static bool recipe_takes(const void *self, const char *member)
{
    return recipe_reads(self, member);
}

static bool open_all(const struct member_map *map, struct status *status)
{
    struct model_choice choice = {0};
    struct buf path = {0}, notes = {0};

    if (share_path_recipe(recipe_option, &path, status) &&
        recipe_read(&recipe, path.data, status) &&
        member_map_check(map, reads, recipe_takes, &recipe, status) &&
        model_choice_make(&choice, args.model, "smollm2", default_adapter(), &args.adapters,
                          args.quiet, status) &&
        check_memory(&choice, status) &&
        (args.plan ? engine_open_headers : engine_open)(&engine, choice.model.data,
                                                        (enum quantize)args.quantize, "cpu",
                                                        args.threads, status) &&
        engine_open_adapters(&engine, choice.adapter_names, choice.adapter_paths, choice.n_adapters,
                             status)) {
        wanted.adapters = &engine.adapters;
        wanted.recipe = &recipe;
        wanted.seed = args.seed;
        wanted.stops = stops.items;
        wanted.n_stops = stops.n;
        wanted.truncate = (enum truncate)truncate_option;
        wanted.batch = args.batch;
        wanted.threads = engine.threads;
        generator = generator_open(engine.model, &wanted, status);
    }
    if (generator && args.verbose)
        message(MESSAGE_INFO, "%s on %s, weights %s, tokenizer %s, recipe %s", engine.model->name,
                engine.backend->describe(engine.device), engine.model->weights_source.data,
                engine_tokenizer(&engine), recipe_option);
    if (generator && !args.quiet && (args.verbose || args.model || args.adapters.n > 0)) {
        adapter_set_describe(&engine.adapters, args.verbose, &notes);
        message_lines(MESSAGE_INFO, &notes);
    }
    buf_release(&path);
    buf_release(&notes);
    model_choice_release(&choice);
    return generator != NULL;
}

static int plan(const struct stream_options *stream, const struct stream_tool *run)
{
    const struct stream_tool planner = {.name = run->name,
                                        .self = run->self,
                                        .makes = run->makes,
                                        .n_makes = run->n_makes,
                                        .begin = measure,
                                        .stats = write_plan,
                                        .lines_member = run->lines_member};

    run_plan_take_speed(&forecast, args.stats, tool.name, "prompt_tokens", &engine);
    return plan_run(stream, &planner);
}

int main(int argc, char **argv)
{
    struct stream_tool stream_tool = {.name = tool.name,
                                      .begin = begin,
                                      .step = step,
                                      .release = release,
                                      .tokens = tokens,
                                      .stats = stats,
                                      .settings = settings,
                                      .lines_member = "query"};
    struct cli_operands operands;
    struct stream_options stream;
    struct status status;

    process_start();
    cli_parse(&tool, argc, argv, &operands);
    common_options_stream(&tool, &args, &operands, &stream);
    if (!open_all(&stream.map, &status))
        cli_die(&tool, &status);
    stream_tool.self = generator;
    stream_tool.makes = generator_makes(generator, &stream_tool.n_makes);
    stream_tool.window = 4 * (size_t)args.batch; /* stragglers shall not starve the batch */
    return args.plan ? plan(&stream, &stream_tool) : stream_run(&stream, &stream_tool);
}
