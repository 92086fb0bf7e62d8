#include "cli/common_options.h"

#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "cli/resume.h"
#include "cli/run_lock.h"
#include "cli/sandbox.h"

const char *const common_options_on_error[] = {"emit", "skip", "fail", NULL};
const char *const common_options_existing[] = {"error", "replace", "keep", NULL};
const char *const common_options_format[] = {"jsonl", "lines", NULL};
const char *const common_options_log_format[] = {"text", "json", NULL};
const char *const common_options_quantize[] = {"off", "nf4", "nf4-dq", NULL};
const char *const common_options_truncate[] = {"head", "tail", "error", NULL};

bool common_options_max_errors(void *value, const char *argument, struct status *status)
{
    const size_t len = strlen(argument);
    struct common_max_errors *max = value;
    char number[32];
    double percent;
    uint64_t n;

    if (number_uint64(argument, &n)) {
        *max = (struct common_max_errors){.value = (double)n};
        return true;
    }
    if (len > 1 && len < sizeof(number) && argument[len - 1] == '%') {
        memcpy(number, argument, len - 1);
        number[len - 1] = '\0';
        if (number_double(number, &percent) && percent >= 0 && percent <= 100) {
            *max = (struct common_max_errors){.value = percent, .percent = true};
            return true;
        }
    }
    return status_fail(status, STATUS_USAGE, "'%.64s' is not a number of records or a share as 5%%",
                       argument);
}

bool common_options_expect(void *value, const char *argument, struct status *status)
{
    struct common_expect *expect = value;
    uint64_t n;

    if (argument[0] == '\0')
        return status_fail(status, STATUS_USAGE, "'' is not a number of records or a file");
    if (number_uint64(argument, &n))
        *expect = (struct common_expect){.set = true, .n = n};
    else
        *expect = (struct common_expect){.file = argument};
    return true;
}

static bool variable(const char *name, uint64_t *value)
{
    const char *text = getenv(name);

    return text && number_uint64(text, value);
}

/* Task ids begin anywhere, and may be some apart. */
static bool shard_of_slurm(struct jsonl_shard *shard, struct status *status)
{
    uint64_t id, least, step = 1, n;

    if (!variable("SLURM_ARRAY_TASK_ID", &id) || !variable("SLURM_ARRAY_TASK_MIN", &least) ||
        !variable("SLURM_ARRAY_TASK_COUNT", &n))
        return status_fail(status, STATUS_USAGE,
                           "'auto' is for a task of a Slurm array: SLURM_ARRAY_TASK_ID, _MIN and "
                           "_COUNT are not set");
    variable("SLURM_ARRAY_TASK_STEP", &step);
    *shard = (struct jsonl_shard){(id - least) / (step > 0 ? step : 1) + 1, n};
    return true;
}

static bool parse_shard(struct jsonl_shard *shard, const char *argument)
{
    const char *slash = strchr(argument, '/');
    char k[24];

    if (!slash || (size_t)(slash - argument) >= sizeof(k))
        return false;
    memcpy(k, argument, (size_t)(slash - argument));
    k[slash - argument] = '\0';
    return number_uint64(k, &shard->k) && number_uint64(slash + 1, &shard->n);
}

bool common_options_shard(void *value, const char *argument, struct status *status)
{
    struct jsonl_shard shard = {0};

    if (strcmp(argument, "auto") == 0) {
        if (!shard_of_slurm(&shard, status))
            return false;
    } else if (!parse_shard(&shard, argument)) {
        return status_fail(status, STATUS_USAGE, "'%.64s' is not a part as 3/8, or auto", argument);
    }
    if (shard.k < 1 || shard.k > shard.n || shard.n > JSONL_MOST_SHARDS)
        return status_fail(status, STATUS_USAGE, "'%.64s': part %llu of %llu", argument,
                           (unsigned long long)shard.k, (unsigned long long)shard.n);
    *(struct jsonl_shard *)value = shard;
    return true;
}

bool common_options_every(void *value, const char *argument, struct status *status)
{
    const size_t len = strlen(argument);
    struct common_every every = {0};
    char number[32];

    if (number_uint64(argument, &every.records) && every.records > 0) {
        *(struct common_every *)value = every;
        return true;
    }
    if (len > 1 && len < sizeof(number) && argument[len - 1] == 's') {
        memcpy(number, argument, len - 1);
        number[len - 1] = '\0';
        if (number_double(number, &every.seconds) && every.seconds >= 0 && every.seconds < 1e9) {
            every.records = 0;
            *(struct common_every *)value = every;
            return true;
        }
    }
    return status_fail(status, STATUS_USAGE,
                       "'%.64s' is not a number of records or of seconds, as 500 or 30s", argument);
}

/* -q in the environment or a file gives way to -v on the command line, and the other way round. */
static bool settle_quiet(const struct cli_tool *tool, struct common_args *args,
                         const struct cli_operands *operands)
{
    const enum cli_source quiet = cli_source(tool, operands, &args->quiet);
    const enum cli_source verbose = cli_source(tool, operands, &args->verbose);

    if (!args->quiet || !args->verbose)
        return true;
    args->quiet = quiet > verbose;
    args->verbose = verbose > quiet;
    return quiet != verbose;
}

/* Outputs beside these a tool has named before (cli/sandbox.h). */
static void close_off(const struct common_args *args)
{
    struct buf text = {0};

    sandbox_allow(args->output);
    sandbox_allow(args->errors);
    sandbox_allow(args->stats);
    sandbox_allow(args->dep_file);
    sandbox_enter();
    if (args->verbose) {
        sandbox_describe(&text);
        message(MESSAGE_INFO, "%s", text.data);
    }
    buf_release(&text);
}

static void needs_output(const struct common_args *args, bool given, const char *option,
                         struct status *status)
{
    if (given && (!args->output || strcmp(args->output, "-") == 0))
        status_set(status, STATUS_USAGE, "option '--%s' needs an output file (-o)", option);
}

void common_options_stream(const struct cli_tool *tool, struct common_args *args,
                           const struct cli_operands *operands, struct stream_options *stream)
{
    static struct member_map map; /* of the whole run */
    struct status status = {0};

    if (!settle_quiet(tool, args, operands))
        status_set(&status, STATUS_USAGE, "options '--quiet' and '--verbose' exclude each other");
    if (args->query && operands->n > 0)
        status_set(&status, STATUS_USAGE, "with option '--query' no file is read");
    if (args->shard.n > 0 && args->expect.file)
        status_set(&status, STATUS_USAGE,
                   "with option '--shard' only a number can be expected: '--expect N'");
    if (args->retry && (args->resume || args->query || args->shard.n > 0))
        status_set(&status, STATUS_USAGE,
                   "option '--retry' means nothing with --resume, --query or --shard");
    if (args->retry && cli_source(tool, operands, &args->existing) == CLI_FROM_DEFAULT)
        args->existing = STREAM_EXISTING_KEEP;
    needs_output(args, args->resume, "resume", &status);
    needs_output(args, args->update, "update", &status);
    needs_output(args, args->dep_file != NULL, "dep-file", &status);
    needs_output(args, args->meta, "meta", &status);
    if (status.code != STATUS_OK)
        cli_die(tool, &status);
    *stream = (struct stream_options){
        .files = operands->paths,
        .n_files = operands->n,
        .query = args->query,
        .format = (enum stream_format)args->format,
        .max_line = args->max_line,
        .existing = (enum stream_existing)args->existing,
        .output = args->output,
        .on_error = (enum stream_on_error)args->on_error,
        .errors = args->errors,
        .retry = args->retry,
        .max_errors = args->max_errors.value,
        .max_errors_percent = args->max_errors.percent,
        .expect_set = args->expect.set,
        .expect = args->expect.n,
        .expect_file = args->expect.file,
        .stats = args->stats,
        .progress = args->progress < 0 ? STREAM_PROGRESS_AUTO
                    : args->progress   ? STREAM_PROGRESS_ON
                                       : STREAM_PROGRESS_OFF,
        .quiet = args->quiet,
        .verbose = args->verbose,
        .shard = args->shard,
        .update = args->update,
        .dep_file = args->dep_file,
        .meta = args->meta,
        .resume = args->resume,
        .checkpoint_records = args->checkpoint_every.records,
        .checkpoint_seconds = args->checkpoint_every.seconds,
        .grace = args->grace,
        .cli = tool,
    };
    if (args->map && !member_map_parse(&map, args->map, tool->reads, &status)) {
        status_prefix(&status, "option '--map'");
        cli_die(tool, &status);
    }
    stream->map = map;
    if (stream_input_is_terminal(stream))
        cli_no_input(tool);
    if (args->lock && !run_lock_take(args->lock, args->lock_wait, &status))
        cli_die(tool, &status);
    if (!stream_check(stream, &status) || (args->resume && !resume_pin(args->output, &status)))
        cli_die(tool, &status);
    close_off(args);
}
