/* medrat-score: texts or tokens -> loss and perplexity under a language model. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/common_options.h"
#include "cli/message.h"
#include "cli/model_choice.h"
#include "cli/model_path.h"
#include "cli/plan.h"
#include "cli/process.h"
#include "cli/run_stats.h"
#include "cli/sandbox.h"
#include "cli/verify.h"
#include "run/engine.h"
#include "run/memory_plan.h"
#include "run/run_plan.h"
#include "run/score_partial.h"
#include "run/score_report.h"
#include "run/scorer.h"

static struct common_args args = COMMON_ARGS_INIT;
static const char *const truncate_choices[] = {"head", "tail", "error", "window", NULL};
enum { WINDOW = TRUNCATE_ERROR + 1 };
static int truncate_option; /* enum truncate, or WINDOW */
static size_t stride;
static struct scorer_options wanted = {.max_length = 1024};
static struct engine engine;
static struct scorer *scorer;
static struct run_plan forecast; /* of --plan */
static struct score_report report;
static struct score_totals *totals; /* NULL: no report was asked for */
static bool merge, verify;

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
     "windows of --max-length",
     NULL, truncate_choices, NULL},
    {"stride", 0, CLI_SIZE, &stride, 1, 1 << 30, "N",
     "with --truncate window: tokens from the beginning of a window to that of the next",
     "half of --max-length", NULL, NULL},
    {"compare", 0, CLI_FLAG, &wanted.compare, 0, 0, NULL,
     "score each text twice, by its adapter and by the model alone: 'score' and 'score_base'", NULL,
     NULL, NULL},
    {"tokens", 0, CLI_FLAG, &wanted.tokens, 0, 0, NULL,
     "list ids, log-probabilities and ranks of the tokens, too", NULL, NULL, NULL},
    {.kind = CLI_HEADING, .help = "The whole run"},
    {"summary", 0, CLI_STRING, &report.summary, 0, 0, "FILE",
     "write the figures of the whole run here, as the model card's evaluation file and more", NULL,
     NULL, NULL},
    {"partial", 0, CLI_STRING, &report.partial, 0, 0, "FILE",
     "write what --merge needs of a part of a run here", NULL, NULL, NULL},
    {"merge", 0, CLI_FLAG, &merge, 0, 0, NULL,
     "add up files of --partial instead of scoring; the summary goes to standard output unless "
     "--summary or --partial is there",
     NULL, NULL, NULL},
    {.kind = CLI_HEADING, .help = "Model"},
    COMMON_MODEL_ROW(args, "the demo model smollm2"),
    COMMON_ADAPTER_ROW(args),
    {"verify", 0, CLI_FLAG, &verify, 0, 0, NULL,
     "hold the files of the model, and of operands, against what was published, and end", NULL,
     NULL, NULL},
    COMMON_QUANTIZE_ROW(args),
    COMMON_THREADS_ROW(args),
    COMMON_BATCH_ROW(args),
    COMMON_MEM_ROW(args),
    COMMON_PLAN_ROW(args),
    COMMON_RECORD_OPTIONS(args),
};

static const char *const reads[] = {
    "id", "tokens", "context", "continuation", "prompt", "completion", "text", "adapter", NULL};

static const struct cli_tool tool = {
    .name = "medrat-score",
    .summary = "how likely a language model finds a text: loss and perplexity",
    .usage = "[OPTION]... [FILE]...",
    .options = options,
    .n_options = sizeof(options) / sizeof(options[0]),
    .reads = reads,
    .no_input_hint = "echo '{\"text\":\"Aspirin thins the blood.\"}' | medrat-score",
};

/* A record's results become part of the whole run's. */
static void put(void *self, const struct job *job)
{
    const struct record *record = &job->record;
    const enum scorer_leg compared[] = {SCORER_BASE, SCORER_MAIN};
    struct score_result results[SCORE_PROTOCOL_MAX_LEGS];

    (void)self;
    if (!totals)
        return;
    for (int leg = 0; leg < totals->n_legs; leg++)
        results[leg] = *scorer_result(job->work, totals->n_legs == 2 ? compared[leg] : SCORER_MAIN);
    score_totals_add(totals, record->key, record->id, results);
}

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

/* For --plan: a record is begun and given up. */
static bool measure(void *self, struct job *job, struct status *status)
{
    struct scoring *scoring = scorer_begin(self, &job->record, job, status);
    size_t tokens, truncated;

    if (!scoring)
        return false;
    scorer_size(scoring, &tokens, &truncated);
    scorer_free(scoring);
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

static int plan(const struct stream_options *stream, const struct stream_tool *run)
{
    const struct stream_tool planner = {.name = run->name,
                                        .self = run->self,
                                        .makes = run->makes,
                                        .n_makes = run->n_makes,
                                        .begin = measure,
                                        .stats = write_plan};

    run_plan_take_speed(&forecast, args.stats, tool.name, "scored_tokens", &engine);
    return plan_run(stream, &planner);
}

static void release(void *self, struct job *job)
{
    (void)self;
    scorer_free(job->work);
}

static uint64_t tokens(void *self)
{
    return scorer_tokens(self);
}

static void stats(void *self, struct buf *members)
{
    engine_write_stats(&engine, members);
    scorer_write_stats(self, members);
}

static void settings(void *self, json_t *list)
{
    (void)self;
    engine_settings(&engine, list);
}

static void save(void *self, struct buf *state)
{
    (void)self;
    if (totals)
        score_partial_write(totals, state);
}

static bool load(void *self, struct text state, struct status *status)
{
    struct score_totals *saved = score_partial_parse(state, status);

    (void)self;
    if (!saved)
        return false;
    score_totals_free(totals);
    totals = saved;
    return true;
}

/* The run is over, and all of its records were dealt with. */
static bool complete(void *self, const struct run_stats *counts, struct status *status)
{
    (void)self;
    if (!totals)
        return true;
    totals->counts.failed = counts->n_failed;
    totals->counts.kept = counts->n_kept;
    return score_report_write(&report, totals, status);
}

/* All adapters, with their hashes; of several also what records call them. */
static void write_adapters(const struct adapter_set *set, struct buf *out)
{
    for (int i = 0; i < set->n; i++) {
        if (set->n > 1)
            buf_printf(out, "%s%s=", i > 0 ? ", " : "", set->names[i]);
        buf_append_string(out, set->adapters[i]->name);
    }
}

/* By another path, too. */
static bool is_same_file(const char *a, const char *b)
{
    struct stat x, y;

    return strcmp(a, b) == 0 || (stat(a, &x) == 0 && stat(b, &y) == 0 && S_ISREG(x.st_mode) &&
                                 x.st_dev == y.st_dev && x.st_ino == y.st_ino);
}

/* A report overwrites nothing that the run reads or writes beside it: `others` (NULL: none) and
 * `files`. */
static bool check_report(const char *const *others, size_t n_others, const char *const *files,
                         size_t n_files, struct status *status)
{
    const char *const reports[] = {report.summary, report.partial};

    for (int i = 0; i < 2; i++) {
        bool taken = false;

        for (size_t k = 0; reports[i] && k < n_others; k++)
            taken = taken || (others[k] && is_same_file(others[k], reports[i]));
        for (size_t k = 0; reports[i] && k < n_files; k++)
            taken = taken || is_same_file(files[k], reports[i]);
        if (taken)
            return status_fail(status, STATUS_USAGE, "option '--%s': '%s' is used otherwise",
                               i == 0 ? "summary" : "partial", reports[i]);
    }
    return score_report_check(&report, status);
}

/* Of a run that scores: records go to standard output where nothing else is said. */
static bool check_report_of_run(const struct stream_options *stream, struct status *status)
{
    const char *const others[] = {stream->output ? stream->output : "-", stream->stats,
                                  stream->errors};

    return check_report(others, sizeof(others) / sizeof(others[0]), stream->files, stream->n_files,
                        status);
}

/* What makes this run another one than others. */
static void open_totals(void)
{
    const char *device = engine.backend->describe(engine.device);
    struct score_protocol p = {
        .max_length = wanted.max_length,
        .stride = wanted.stride,
        .completion_only = wanted.completion_only,
        .compare = wanted.compare,
    };
    struct buf adapters = {0};

    if (!report.summary && !report.partial)
        return;
    score_protocol_set(p.model, sizeof(p.model), engine.model->name);
    write_adapters(&engine.adapters, &adapters);
    score_protocol_set(p.adapters, sizeof(p.adapters), buf_text(&adapters).ptr);
    buf_release(&adapters);
    score_protocol_set(p.tokenizer, sizeof(p.tokenizer), engine_tokenizer(&engine));
    score_protocol_set(p.kernels, sizeof(p.kernels), device);
    p.kernels[strcspn(p.kernels, ",")] = '\0'; /* threads change nothing */
    score_protocol_set(p.truncate, sizeof(p.truncate), truncate_choices[truncate_option]);
    totals = score_totals_new(&p, (uint64_t)args.batch);
}

/* With --merge or --verify, which score nothing, other options than `used` mean nothing. */
static bool check_flags(const char *with, const void *const *used, size_t n,
                        const struct cli_operands *operands, struct status *status)
{
    for (size_t i = 0; i < tool.n_options; i++) {
        bool is_used = operands->sources[i] != CLI_FROM_FLAG;

        for (size_t k = 0; k < n && !is_used; k++)
            is_used = options[i].value == used[k];
        if (!is_used)
            return status_fail(status, STATUS_USAGE, "option '--%s' means nothing with --%s",
                               options[i].name, with);
    }
    return true;
}

/* --merge: files of --partial -> one more, or a summary. */
static bool merge_files(const struct cli_operands *operands, struct status *status)
{
    const bool is_told = report.summary || report.partial;
    const void *const used[] = {&merge,      &report.summary, &report.partial,
                                &args.quiet, &args.verbose,   is_told ? NULL : &args.output};

    if (!check_flags("merge", used, sizeof(used) / sizeof(used[0]), operands, status))
        return false;
    if (operands->n == 0)
        return status_fail(status, STATUS_USAGE, "option '--merge' needs files of --partial");
    if (!is_told)
        report.summary = args.output ? args.output : "-";
    if (!check_report(NULL, 0, operands->paths, operands->n, status))
        return false;
    totals = score_report_merge(operands->paths, operands->n, status);
    return totals && score_report_write(&report, totals, status);
}

/* --verify: the model, and whatever else is named. */
static bool verify_files(const struct cli_operands *operands, struct status *status)
{
    const void *const used[] = {&verify, &args.model, &args.quiet, &args.verbose};
    struct buf path = {0};
    bool ok = check_flags("verify", used, sizeof(used) / sizeof(used[0]), operands, status) &&
              model_path_resolve(args.model, "smollm2", true, &path, status) &&
              verify_print(path.data, status);

    for (size_t i = 0; ok && i < operands->n; i++)
        ok = verify_print(operands->paths[i], status);
    buf_release(&path);
    return ok;
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

static bool check_compare(const struct model_choice *choice, struct status *status)
{
    if (wanted.compare && choice->n_adapters == 0)
        return status_fail(status, STATUS_USAGE, "option '--compare' needs an adapter (--adapter)");
    return true;
}

static bool check_memory(const struct model_choice *choice, struct status *status)
{
    const struct memory_plan_options plan = {
        .model_path = choice->model.data,
        .quantize = (enum quantize)args.quantize,
        .device_name = "cpu",
        .threads = args.threads,
        .batch = args.batch,
        .longest = wanted.max_length,
        .legs = wanted.compare ? 2 : 1,
        .adapters = choice->adapter_paths,
        .n_adapters = choice->n_adapters,
    };

    return memory_plan_check(&plan, args.mem, status) &&
           (!args.plan || memory_plan_make(&forecast.memory, &plan, status));
}

static bool open_all(struct status *status)
{
    struct model_choice choice = {0};
    struct buf notes = {0};

    if (set_truncate(status) &&
        model_choice_make(&choice, args.model, "smollm2", NULL, &args.adapters, args.quiet,
                          status) &&
        check_compare(&choice, status) && check_memory(&choice, status) &&
        (args.plan ? engine_open_headers : engine_open)(&engine, choice.model.data,
                                                        (enum quantize)args.quantize, "cpu",
                                                        args.threads, status) &&
        engine_open_adapters(&engine, choice.adapter_names, choice.adapter_paths, choice.n_adapters,
                             status)) {
        wanted.adapters = &engine.adapters;
        wanted.batch = args.batch;
        wanted.threads = engine.threads;
        scorer = scorer_open(engine.model, &wanted, status);
        open_totals();
    }
    if (scorer && args.verbose)
        message(MESSAGE_INFO, "%s on %s, weights %s, tokenizer %s", engine.model->name,
                engine.backend->describe(engine.device), engine.model->weights_source.data,
                engine_tokenizer(&engine));
    if (scorer && !args.quiet) {
        adapter_set_describe(&engine.adapters, args.verbose, &notes);
        message_lines(MESSAGE_INFO, &notes);
    }
    buf_release(&notes);
    model_choice_release(&choice);
    return scorer != NULL;
}

int main(int argc, char **argv)
{
    static const char *const makes[] = {"score", "score_base"};
    struct stream_tool stream_tool = {
        .name = tool.name,
        .makes = makes,
        .begin = begin,
        .step = step,
        .release = release,
        .put = put,
        .settings = settings,
        .save = save,
        .load = load,
        .tokens = tokens,
        .stats = stats,
        .complete = complete,
    };
    struct cli_operands operands;
    struct stream_options stream;
    struct status status;

    process_start();
    cli_parse(&tool, argc, argv, &operands);
    sandbox_allow(report.summary);
    sandbox_allow(report.partial);
    if (merge || verify) {
        sandbox_allow(args.output);
        sandbox_enter();
        if (!(merge ? merge_files(&operands, &status) : verify_files(&operands, &status)))
            cli_die(&tool, &status);
        return 0;
    }
    common_options_stream(&tool, &args, &operands, &stream);
    if (!check_report_of_run(&stream, &status) || !open_all(&status))
        cli_die(&tool, &status);
    stream_tool.self = scorer;
    stream_tool.n_makes = wanted.compare ? 2 : 1;
    stream_tool.window = 4 * (size_t)args.batch;
    return args.plan ? plan(&stream, &stream_tool) : stream_run(&stream, &stream_tool);
}
