#include "cli/common_options.h"

#include <stdlib.h>
#include <string.h>

#include "base/number.h"

const char *const common_options_on_error[] = {"emit", "skip", "fail", NULL};
const char *const common_options_existing[] = {"error", "replace", "keep", NULL};
const char *const common_options_format[] = {"jsonl", "lines", NULL};
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

void common_options_stream(const struct cli_tool *tool, struct common_args *args,
                           const struct cli_operands *operands, struct stream_options *stream)
{
    struct status status = {0};

    if (!settle_quiet(tool, args, operands))
        status_set(&status, STATUS_USAGE, "options '--quiet' and '--verbose' exclude each other");
    if (args->query && operands->n > 0)
        status_set(&status, STATUS_USAGE, "with option '--query' no file is read");
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
    };
    if (stream_input_is_terminal(stream))
        cli_no_input(tool);
    if (!stream_check(stream, &status))
        cli_die(tool, &status);
}
