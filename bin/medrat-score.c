/* medrat-score: texts or tokens -> loss and perplexity under a language model. */
#include <stdio.h>

#include "cli/common_options.h"
#include "cli/model_path.h"
#include "cli/process.h"
#include "run/engine.h"
#include "run/scorer.h"

static struct common_args args = COMMON_ARGS_INIT;
static const char *const truncate_choices[] = {"head", "tail", "error", "window", NULL};
enum { WINDOW = TRUNCATE_ERROR + 1 };
static int truncate_option; /* enum truncate, or WINDOW */
static size_t stride;
static struct scorer_options wanted = {.max_length = 1024};
static struct engine engine;
static struct scorer *scorer;

static const struct cli_option options[] = {
    {.kind = CLI_HEADING, .help = "Scoring"},
    {"completion-only", 0, CLI_FLAG, &wanted.completion_only, 0, 0, NULL,
     "score the completion alone: of prompt and completion, or of a text what follows its "
     "'### Response:' line",
     NULL, NULL, NULL},
    {"max-length", 0, CLI_SIZE, &wanted.max_length, 1, 1 << 30, "N",
     "tokens of a text at most; the rest is cut and counted", NULL, NULL, NULL},
    {"truncate", 0, CLI_CHOICE, &truncate_option, 0, 0, "HOW",
     "what stays of a text that is too long; error: the record fails; window: all of it, in "
     "windows "
     "of --max-length",
     NULL, truncate_choices, NULL},
    {"stride", 0, CLI_SIZE, &stride, 1, 1 << 30, "N",
     "with --truncate window: tokens from the beginning of a window to that of the next",
     "half of --max-length", NULL, NULL},
    {"tokens", 0, CLI_FLAG, &wanted.tokens, 0, 0, NULL,
     "list ids, log-probabilities and ranks of the tokens, too", NULL, NULL, NULL},
    {.kind = CLI_HEADING, .help = "Model"},
    COMMON_MODEL_ROW(args, "the demo model smollm2"),
    COMMON_THREADS_ROW(args),
    COMMON_BATCH_ROW(args),
    COMMON_RECORD_OPTIONS(args),
};

static const struct cli_tool tool = {
    .name = "medrat-score",
    .summary = "how likely a language model finds a text: loss and perplexity",
    .usage = "[OPTION]... [FILE]...",
    .options = options,
    .n_options = sizeof(options) / sizeof(options[0]),
    .no_input_hint = "echo '{\"text\":\"Aspirin thins the blood.\"}' | medrat-score",
};

/* Ends the jobs that are complete. */
static void finish(void)
{
    struct scoring *scoring;

    while ((scoring = scorer_next_done(scorer)) != NULL) {
        struct job *job = scorer_owner(scoring);
        struct status why;

        if (scorer_write(scoring, &job->members, &why))
            job_done(job);
        else
            job_fail(job, &why);
    }
}

static bool begin(void *self, struct job *job, struct status *status)
{
    job->work = scorer_begin(self, &job->record, job, status);
    finish(); /* a text of one token is done at once */
    return job->work != NULL;
}

static bool step(void *self, struct status *status)
{
    if (!scorer_step(self, status))
        return false;
    finish();
    return true;
}

static void release(void *self, struct job *job)
{
    (void)self;
    scorer_free(job->work);
}

static void stats(void *self, struct buf *members)
{
    engine_write_stats(&engine, members);
    scorer_write_stats(self, members);
}

/* How a text that is too long is scored. */
static bool set_truncate(struct status *status)
{
    wanted.truncate = (enum truncate)truncate_option;
    if (truncate_option != WINDOW) {
        if (stride > 0)
            return status_fail(status, STATUS_USAGE,
                               "option '--stride' means nothing without --truncate window");
        return true;
    }
    wanted.truncate = TRUNCATE_ERROR; /* nothing is too long */
    wanted.stride = stride > 0 ? stride : wanted.max_length - wanted.max_length / 2;
    return true;
}

static bool open_all(struct status *status)
{
    struct buf path = {0};

    if (set_truncate(status) &&
        model_path_resolve(args.model, "smollm2", args.quiet, &path, status) &&
        engine_open(&engine, path.data, "cpu", args.threads, status)) {
        wanted.batch = args.batch;
        wanted.threads = engine.threads;
        scorer = scorer_open(engine.model, &wanted, status);
    }
    if (scorer && args.verbose)
        fprintf(stderr, "%s: %s on %s, weights %s, tokenizer %s\n", tool.name, engine.model->name,
                engine.backend->describe(engine.device), engine.model->weights_source.data,
                engine_tokenizer(&engine));
    buf_release(&path);
    return scorer != NULL;
}

int main(int argc, char **argv)
{
    static const char *const makes[] = {"score"};
    struct stream_tool stream_tool = {
        .name = tool.name,
        .makes = makes,
        .n_makes = 1,
        .begin = begin,
        .step = step,
        .release = release,
        .stats = stats,
    };
    struct cli_operands operands;
    struct stream_options stream;
    struct status status;

    process_start();
    cli_parse(&tool, argc, argv, &operands);
    common_options_stream(&tool, &args, &operands, &stream);
    if (!open_all(&status))
        cli_die(&tool, &status);
    stream_tool.self = scorer;
    stream_tool.window = 4 * (size_t)args.batch;
    return stream_run(&stream, &stream_tool);
}
