/* A -c file: what it may hold, and messages with file, line and key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/config_file.h"

static struct {
    bool quiet;
    int progress, batch, on_error;
    size_t max_line;
    double top_p;
    const char *model;
    struct cli_strings stop;
} args;

static const char *const kinds[] = {"emit", "skip", NULL};

static const struct cli_option options[] = {
    {.kind = CLI_HEADING, .help = "Things"},
    {.name = "quiet", .kind = CLI_FLAG, .value = &args.quiet},
    {.name = "progress", .kind = CLI_SWITCH, .value = &args.progress},
    {.name = "batch", .kind = CLI_INT, .value = &args.batch, .min = 1, .max = 64},
    {.name = "max-line", .kind = CLI_SIZE, .value = &args.max_line, .min = 1, .max = 1e9},
    {.name = "top-p", .kind = CLI_FLOAT, .value = &args.top_p, .max = 1},
    {.name = "model", .kind = CLI_STRING, .value = &args.model},
    {.name = "stop", .kind = CLI_STRINGS, .value = &args.stop},
    {.name = "on-error", .kind = CLI_CHOICE, .value = &args.on_error, .choices = kinds},
};

static const struct cli_tool tool = {
    .name = "medrat-test",
    .options = options,
    .n_options = sizeof(options) / sizeof(options[0]),
};

static char path[64];
static struct cli_kept kept;
static struct status status;

static bool read_yaml(const char *yaml)
{
    enum cli_source sources[CLI_MAX_OPTIONS] = {CLI_FROM_DEFAULT};
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(yaml, file);
    assert_int_equal(fclose(file), 0);
    free(args.stop.items);
    cli_kept_release(&kept);
    memset(&args, 0, sizeof(args));
    return config_file_read(&tool, path, sources, &kept, &status);
}

/* Refused, with "PATH:" and these words. */
static void assert_refused(const char *yaml, const char *words)
{
    assert_false(read_yaml(yaml));
    assert_int_equal(status.code, STATUS_CONFIG);
    assert_memory_equal(status.message, path, strlen(path));
    assert_string_equal(status.message + strlen(path) + 1, words);
}

static void sets_options_by_their_long_names(void **state)
{
    (void)state;
    assert_true(read_yaml("# mine\nquiet: true\nprogress: false\nbatch: 8\nmax_line: 1M\n"
                          "top-p: 0.9\nmodel: my model\nstop: [\"a\", b]\non-error: skip\n"));
    assert_true(args.quiet);
    assert_int_equal(args.progress, 0);
    assert_int_equal(args.batch, 8);
    assert_int_equal(args.max_line, 1 << 20);
    assert_true(args.top_p == 0.9);
    assert_string_equal(args.model, "my model");
    assert_int_equal(args.stop.n, 2);
    assert_string_equal(args.stop.items[1], "b");
    assert_int_equal(args.on_error, 1);
}

static void an_empty_file_sets_nothing(void **state)
{
    (void)state;
    assert_true(read_yaml(""));
}

static void refuses_unknown_keys_wrong_types_and_ranges(void **state)
{
    (void)state;
    assert_refused("quiet: true\nbach: 8\n", "2: key 'bach': unknown key; did you mean 'batch'?");
    assert_refused("colour: red\n", "1: key 'colour': unknown key: medrat-test has no such option");
    assert_refused("quiet: yes\n", "1: key 'quiet': must be true or false");
    assert_refused("quiet: 1\n", "1: key 'quiet': must be true or false");
    assert_refused("batch: \"8\"\n", "1: key 'batch': must be a number, without quotes");
    assert_refused("batch: eight\n", "1: key 'batch': 'eight' is not a whole number from 1 to 64");
    assert_refused("\n\nbatch: 65\n", "3: key 'batch': '65' is not a whole number from 1 to 64");
    assert_refused("batch: [1]\n", "1: key 'batch': must be a single value");
    assert_refused("top-p: 1.5\n", "1: key 'top-p': '1.5' is not a number from 0 to 1");
    assert_refused("model:\n", "1: key 'model': must be a string");
    assert_refused("stop:\n  - a\n  - [b]\n", "3: must be a single value");
    assert_refused("on-error: stop\n", "1: key 'on-error': 'stop' is not emit or skip");
    assert_refused("max-line: 1\nmax_line: 2\n",
                   "2: key 'max_line': option '--max-line' was set above");
    assert_refused("batch: 1\nbatch: 2\n", "2: key 'batch' stands here twice");
    assert_refused("- batch\n", "1: a configuration is a list of 'option: value'");
    assert_refused("config: other.yaml\n",
                   "1: key 'config': unknown key: medrat-test has no such option");
}

static void a_missing_file_is_no_input(void **state)
{
    enum cli_source sources[CLI_MAX_OPTIONS] = {CLI_FROM_DEFAULT};

    (void)state;
    assert_false(config_file_read(&tool, "nosuch.yaml", sources, &kept, &status));
    assert_int_equal(status.code, STATUS_NO_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_options_by_their_long_names),
        cmocka_unit_test(an_empty_file_sets_nothing),
        cmocka_unit_test(refuses_unknown_keys_wrong_types_and_ranges),
        cmocka_unit_test(a_missing_file_is_no_input),
    };
    const char *tmp = getenv("TMPDIR");
    int file, failed;

    snprintf(path, sizeof(path), "%.40s/medrat-XXXXXX", tmp ? tmp : "/tmp");
    file = mkstemp(path);
    if (file < 0)
        return 1;
    close(file);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    remove(path);
    free(args.stop.items);
    cli_kept_release(&kept);
    return failed;
}
