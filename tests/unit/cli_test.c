/* The option table: parsing, ranges, messages, help; and who wins of flag, environment and file. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "cli/cli.h"
#include "cli/common_options.h"
#include "cli/version.h"

static struct {
    bool quiet;
    int progress, batch, kind;
    uint64_t seed;
    size_t max_line;
    double temperature;
    const char *model;
    struct cli_strings stop;
    struct common_max_errors max_errors;
} args;

static const char *const kinds[] = {"emit", "skip", "fail", NULL};

static const struct cli_option options[] = {
    {.kind = CLI_HEADING, .help = "Things"},
    {.name = "quiet", .letter = 'q', .kind = CLI_FLAG, .value = &args.quiet, .help = "say less"},
    {.name = "progress", .kind = CLI_SWITCH, .value = &args.progress, .help = "show a bar"},
    {.name = "batch",
     .letter = 'b',
     .kind = CLI_INT,
     .value = &args.batch,
     .min = 1,
     .max = 64,
     .argument = "N",
     .help = "records at a time"},
    {.name = "seed",
     .kind = CLI_UINT64,
     .value = &args.seed,
     .argument = "N",
     .help = "random numbers"},
    {.name = "max-line",
     .kind = CLI_SIZE,
     .value = &args.max_line,
     .min = 1,
     .max = 1e9,
     .argument = "BYTES",
     .help = "longest line"},
    {.name = "temperature",
     .kind = CLI_FLOAT,
     .value = &args.temperature,
     .max = (double)INFINITY,
     .argument = "T",
     .fallback = "the recipe's",
     .help = "how freely to choose"},
    {.name = "model",
     .letter = 'm',
     .kind = CLI_STRING,
     .value = &args.model,
     .argument = "PATH",
     .help = "the model"},
    {.name = "stop",
     .kind = CLI_STRINGS,
     .value = &args.stop,
     .argument = "TEXT",
     .help = "end there; may repeat"},
    {.name = "on-error",
     .kind = CLI_CHOICE,
     .value = &args.kind,
     .argument = "HOW",
     .choices = kinds,
     .help = "what to do"},
    {.name = "max-errors",
     .kind = CLI_CUSTOM,
     .value = &args.max_errors,
     .parse = common_options_max_errors,
     .argument = "N|P%",
     .help = "so many"},
};

static const struct cli_tool tool = {
    .name = "medrat-test",
    .summary = "tests options",
    .usage = "[OPTION]... [FILE]...",
    .options = options,
    .n_options = sizeof(options) / sizeof(options[0]),
    .no_input_hint = "example: medrat-test file",
};

static struct cli_operands operands;
static struct cli_kept kept;
static enum cli_action action;
static struct status status;
static char config[64];

static int fresh(void **state)
{
    (void)state;
    free(args.stop.items);
    cli_kept_release(&kept);
    memset(&args, 0, sizeof(args));
    args.progress = -1;
    args.batch = 16;
    args.max_line = 1 << 24;
    args.temperature = (double)NAN;
    return 0;
}

/* Reads these words, the last of which is NULL. */
static bool read_words(const char *first, ...)
{
    static char *argv[24];
    va_list words;
    int argc = 1;

    argv[0] = (char *)"medrat-test";
    va_start(words, first);
    for (const char *word = first; word; word = va_arg(words, const char *))
        argv[argc++] = (char *)word;
    va_end(words);
    argv[argc] = NULL;
    return cli_read(&tool, argc, argv, &operands, &kept, &action, &status);
}

static void assert_wrong(const char *message)
{
    assert_int_equal(status.code, STATUS_USAGE);
    assert_string_equal(status.message, message);
}

static void write_config(const char *yaml)
{
    FILE *file = fopen(config, "w");

    assert_non_null(file);
    fputs(yaml, file);
    assert_int_equal(fclose(file), 0);
}

static void reads_every_kind_of_option(void **state)
{
    (void)state;
    assert_true(read_words("-qb4", "--seed=18446744073709551615", "--max-line", "2M", "a",
                           "--temperature", "0.5", "-m", "x", "--on-error", "skip", "--no-progress",
                           "--max-errors", "2.5%", "--", "-q", NULL));
    assert_int_equal(action, CLI_RUN);
    assert_true(args.quiet);
    assert_int_equal(args.batch, 4);
    assert_true(args.seed == UINT64_MAX);
    assert_int_equal(args.max_line, 2 << 20);
    assert_true(args.temperature == 0.5);
    assert_string_equal(args.model, "x");
    assert_int_equal(args.kind, 1);
    assert_int_equal(args.progress, 0);
    assert_true(args.max_errors.percent && args.max_errors.value == 2.5);
    assert_int_equal(operands.n, 2);
    assert_string_equal(operands.paths[0], "a");
    assert_string_equal(operands.paths[1], "-q");
    assert_int_equal(cli_source(&tool, &operands, &args.batch), CLI_FROM_FLAG);
    assert_int_equal(cli_source(&tool, &operands, &args.stop), CLI_FROM_DEFAULT);
}

static void leaves_what_is_not_given_alone(void **state)
{
    (void)state;
    assert_true(read_words(NULL));
    assert_int_equal(args.batch, 16);
    assert_int_equal(args.progress, -1);
    assert_true(isnan(args.temperature));
    assert_int_equal(operands.n, 0);
}

static void collects_options_that_repeat(void **state)
{
    (void)state;
    assert_true(read_words("--stop", "a", "--stop", "b", NULL));
    assert_int_equal(args.stop.n, 2);
    assert_string_equal(args.stop.items[1], "b");
}

static void refuses_unknown_options_and_suggests(void **state)
{
    (void)state;
    assert_false(read_words("--temprature", "1", NULL));
    assert_wrong("unknown option '--temprature'; did you mean '--temperature'?");
    assert_false(read_words("--temprature=1", NULL));
    assert_wrong("unknown option '--temprature'; did you mean '--temperature'?");
    assert_false(read_words("--frobnicate", NULL));
    assert_wrong("unknown option '--frobnicate'");
    assert_false(read_words("-qx", NULL));
    assert_wrong("unknown option '-x'");
    assert_false(read_words("--ma", "1", NULL));
    assert_wrong("option '--ma' is short for 2 options");
}

static void refuses_missing_and_needless_arguments(void **state)
{
    (void)state;
    assert_false(read_words("-q", "--batch", NULL));
    assert_wrong("option '--batch' needs an argument");
    assert_false(read_words("-qm", NULL));
    assert_wrong("option '--model' needs an argument");
    assert_false(read_words("-c", NULL));
    assert_wrong("option '--config' needs an argument");
    assert_false(read_words("--quiet=1", NULL));
    assert_wrong("option '--quiet' takes no argument");
}

static void refuses_values_out_of_range_with_the_range(void **state)
{
    (void)state;
    assert_false(read_words("-b0", NULL));
    assert_wrong("option '--batch': '0' is not a whole number from 1 to 64");
    assert_false(read_words("-b", "9999999999999999999999", NULL));
    assert_wrong("option '--batch': '9999999999999999999999' is not a whole number from 1 to 64");
    assert_false(read_words("-b", "4x", NULL));
    assert_false(read_words("-b", " 4", NULL));
    assert_false(read_words("-b", "", NULL));
    assert_wrong("option '--batch': '' is not a whole number from 1 to 64");
    assert_false(read_words("--temperature", "-1", NULL));
    assert_wrong("option '--temperature': '-1' is not a number of 0 or more");
    assert_false(read_words("--temperature", "nan", NULL));
    assert_false(read_words("--max-line", "2000M", NULL));
    assert_false(read_words("--max-line", "99999999999999999999G", NULL));
    assert_false(read_words("--max-line", "M", NULL));
    assert_false(read_words("--seed", "-1", NULL));
    assert_false(read_words("--on-error", "skp", NULL));
    assert_wrong("option '--on-error': 'skp' is not emit, skip or fail; did you mean 'skip'?");
    assert_false(read_words("--max-errors", "101%", NULL));
    assert_wrong("option '--max-errors': '101%' is not a number of records or a share as 5%");
}

static void help_and_version_go_before_everything_else(void **state)
{
    (void)state;
    assert_true(read_words("--help", "-b", "0", NULL));
    assert_int_equal(action, CLI_SHOW_HELP);
    assert_true(read_words("-c", "nosuch", "--version", NULL));
    assert_int_equal(action, CLI_SHOW_VERSION);
}

static void the_environment_stands_in_for_flags(void **state)
{
    (void)state;
    setenv("MEDRAT_MAX_LINE", "1K", 1);
    setenv("MEDRAT_QUIET", "1", 1);
    setenv("MEDRAT_STOP", "a\nb", 1);
    setenv("MEDRAT_MODEL", "", 1); /* empty: not set */
    assert_true(read_words("--stop", "c", NULL));
    assert_int_equal(args.max_line, 1024);
    assert_true(args.quiet);
    assert_null(args.model);
    assert_int_equal(args.stop.n, 1); /* the flags replace the list */
    assert_string_equal(args.stop.items[0], "c");
    assert_int_equal(cli_source(&tool, &operands, &args.quiet), CLI_FROM_ENVIRONMENT);
    setenv("MEDRAT_MAX_LINE", "long", 1);
    assert_false(read_words(NULL));
    assert_int_equal(status.code, STATUS_CONFIG);
    assert_string_equal(status.message, "environment variable MEDRAT_MAX_LINE: 'long' is not a "
                                        "size from 1 to 1000000000");
    unsetenv("MEDRAT_MAX_LINE");
    unsetenv("MEDRAT_QUIET");
    unsetenv("MEDRAT_STOP");
    unsetenv("MEDRAT_MODEL");
}

static void flag_goes_before_environment_before_file_before_default(void **state)
{
    (void)state;
    write_config("batch: 2\nseed: 2\nmodel: file\n");
    assert_true(read_words("-c", config, NULL));
    assert_int_equal(args.batch, 2);
    setenv("MEDRAT_BATCH", "3", 1);
    setenv("MEDRAT_SEED", "3", 1);
    assert_true(read_words("--batch", "4", "-c", config, NULL));
    assert_int_equal(args.batch, 4);
    assert_int_equal(args.seed, 3);
    assert_string_equal(args.model, "file");
    assert_int_equal(cli_source(&tool, &operands, &args.model), CLI_FROM_FILE);
    unsetenv("MEDRAT_BATCH");
    unsetenv("MEDRAT_SEED");
    setenv("MEDRAT_CONFIG", config, 1);
    fresh(NULL);
    assert_true(read_words(NULL));
    assert_int_equal(args.batch, 2);
    unsetenv("MEDRAT_CONFIG");
}

static void the_help_names_options_ranges_and_defaults_within_80_columns(void **state)
{
    struct buf help = {0};
    size_t column = 0;

    (void)state;
    cli_help(&tool, &help);
    assert_memory_equal(help.data, "usage: medrat-test [OPTION]... [FILE]...\n", 41);
    assert_non_null(strstr(help.data, "\nThings:\n"));
    assert_non_null(strstr(help.data, "  -b, --batch N             records at a time [1 to 64; "
                                      "default 16]\n"));
    assert_non_null(strstr(help.data, "      --progress, --no-progress\n"));
    assert_non_null(strstr(help.data, "how freely to choose [0 or more; default the"));
    assert_non_null(strstr(help.data, "[emit, skip, fail; default emit]"));
    assert_non_null(strstr(help.data, "[default 16M]"));
    assert_non_null(strstr(help.data, "  -c, --config FILE "));
    assert_non_null(strstr(help.data, "      --version "));
    for (size_t i = 0; i < help.len; i++) {
        column = help.data[i] == '\n' ? 0 : column + 1;
        assert_true(column <= 80);
    }
    buf_release(&help);
}

static void the_version_names_libraries_and_the_intended_use(void **state)
{
    struct buf text = {0};

    (void)state;
    version_text("medrat-test", &text);
    assert_memory_equal(text.data, "medrat-test " VERSION_STRING "\n",
                        strlen("medrat-test " VERSION_STRING "\n"));
    assert_non_null(strstr(text.data, "Unicode 1"));
    assert_non_null(strstr(text.data, "jansson 2."));
    assert_non_null(strstr(text.data, "research"));
    buf_release(&text);
}

static void expect_is_a_number_or_a_file(void **state)
{
    struct common_expect expect = {0};

    (void)state;
    assert_true(common_options_expect(&expect, "12", &status));
    assert_true(expect.set && expect.n == 12 && !expect.file);
    assert_true(common_options_expect(&expect, "12.jsonl", &status));
    assert_true(!expect.set && strcmp(expect.file, "12.jsonl") == 0);
    assert_false(common_options_expect(&expect, "", &status));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(reads_every_kind_of_option, fresh),
        cmocka_unit_test_setup(leaves_what_is_not_given_alone, fresh),
        cmocka_unit_test_setup(collects_options_that_repeat, fresh),
        cmocka_unit_test_setup(refuses_unknown_options_and_suggests, fresh),
        cmocka_unit_test_setup(refuses_missing_and_needless_arguments, fresh),
        cmocka_unit_test_setup(refuses_values_out_of_range_with_the_range, fresh),
        cmocka_unit_test_setup(help_and_version_go_before_everything_else, fresh),
        cmocka_unit_test_setup(the_environment_stands_in_for_flags, fresh),
        cmocka_unit_test_setup(flag_goes_before_environment_before_file_before_default, fresh),
        cmocka_unit_test_setup(the_help_names_options_ranges_and_defaults_within_80_columns, fresh),
        cmocka_unit_test(the_version_names_libraries_and_the_intended_use),
        cmocka_unit_test(expect_is_a_number_or_a_file),
    };
    const char *tmp = getenv("TMPDIR");
    int file, failed;

    snprintf(config, sizeof(config), "%.40s/medrat-XXXXXX", tmp ? tmp : "/tmp");
    file = mkstemp(config);
    if (file < 0)
        return 1;
    close(file);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    remove(config);
    fresh(NULL);
    return failed;
}
