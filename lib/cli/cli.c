#include "cli/cli.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/memory.h"
#include "base/suggest.h"
#include "cli/cli_value.h"
#include "cli/config_file.h"
#include "cli/message.h"
#include "cli/version.h"

/* What getopt_long returns: a short option's letter, or one of these, above any letter. */
enum { LONG_FIRST = 1000, NEGATED_FIRST = 2000, LONG_CONFIG = 3000, LONG_HELP, LONG_VERSION };

/* One option of the command line, kept until the configuration and the environment are read. */
struct flag {
    const struct cli_option *option;
    const char *argument;
    bool negated;
};

/* The tables that getopt_long wants, and what it has found. */
struct reader {
    const struct cli_tool *tool;
    struct option longs[2 * CLI_MAX_OPTIONS + 4];
    char negated_names[CLI_MAX_OPTIONS][40]; /* "no-progress" */
    size_t n_longs;
    char shorts[3 * CLI_MAX_OPTIONS];
    struct flag *flags;
    size_t n_flags, flags_cap;
    const char *config;
    enum cli_action action;
};

static bool takes_argument(const struct cli_option *option)
{
    return option->kind != CLI_FLAG && option->kind != CLI_SWITCH;
}

static void add_long(struct reader *r, const char *name, bool argument, int value)
{
    r->longs[r->n_longs++] =
        (struct option){name, argument ? required_argument : no_argument, NULL, value};
}

static void make_tables(struct reader *r)
{
    char *s = r->shorts;

    *s++ = ':'; /* tell a missing argument from an unknown option */
    for (size_t i = 0; i < r->tool->n_options; i++) {
        const struct cli_option *option = &r->tool->options[i];

        if (option->kind == CLI_HEADING)
            continue;
        add_long(r, option->name, takes_argument(option), LONG_FIRST + (int)i);
        if (option->kind == CLI_SWITCH) {
            snprintf(r->negated_names[i], sizeof(r->negated_names[i]), "no-%s", option->name);
            add_long(r, r->negated_names[i], false, NEGATED_FIRST + (int)i);
        }
        if (option->letter) {
            *s++ = option->letter;
            if (takes_argument(option))
                *s++ = ':';
        }
    }
    add_long(r, "config", true, LONG_CONFIG);
    add_long(r, "help", false, LONG_HELP);
    add_long(r, "version", false, LONG_VERSION);
    memcpy(s, "c:h", sizeof("c:h"));
}

static bool fail_unknown_long(const struct reader *r, const char *typed, struct status *status)
{
    const char *names[2 * CLI_MAX_OPTIONS + 4];
    char name[64];
    const char *near;
    size_t n_same = 0;

    snprintf(name, sizeof(name), "%.*s", (int)strcspn(typed, "="), typed);
    for (size_t i = 0; i < r->n_longs; i++) {
        names[i] = r->longs[i].name;
        n_same += strncmp(names[i], name, strlen(name)) == 0;
    }
    if (n_same > 1)
        return status_fail(status, STATUS_USAGE, "option '--%s' is short for %zu options", name,
                           n_same);
    near = suggest(name, names, r->n_longs);
    if (near)
        return status_fail(status, STATUS_USAGE, "unknown option '--%s'; did you mean '--%s'?",
                           name, near);
    return status_fail(status, STATUS_USAGE, "unknown option '--%s'", name);
}

/* getopt_long returned '?': optopt is the letter, or the value of a long option that takes no
 * argument and got one, or 0 for an unknown long option. */
static bool fail_unknown(const struct reader *r, const char *word, struct status *status)
{
    if (optopt >= LONG_FIRST)
        return status_fail(status, STATUS_USAGE, "option '%.*s' takes no argument",
                           (int)strcspn(word, "="), word);
    if (optopt != 0)
        return status_fail(status, STATUS_USAGE, "unknown option '-%c'", optopt);
    return fail_unknown_long(r, word + 2, status);
}

static const struct cli_option *find_option(const struct cli_tool *tool, int found)
{
    if (found >= NEGATED_FIRST)
        return &tool->options[found - NEGATED_FIRST];
    if (found >= LONG_FIRST)
        return &tool->options[found - LONG_FIRST];
    for (size_t i = 0; i < tool->n_options; i++) {
        if (tool->options[i].letter == found)
            return &tool->options[i];
    }
    return NULL; /* not reached: getopt_long knows the letters from this table */
}

static void add_flag(struct reader *r, int found)
{
    if (r->n_flags == r->flags_cap) {
        r->flags_cap = r->flags_cap ? 2 * r->flags_cap : 16;
        r->flags = memory_resize(r->flags, r->flags_cap, sizeof(*r->flags));
    }
    r->flags[r->n_flags++] =
        (struct flag){find_option(r->tool, found), optarg, found >= NEGATED_FIRST};
}

static bool fail_no_argument(const struct reader *r, struct status *status)
{
    const struct cli_option *option =
        optopt == 'c' || optopt == LONG_CONFIG ? NULL : find_option(r->tool, optopt);

    return status_fail(status, STATUS_USAGE, "option '--%s' needs an argument",
                       option ? option->name : "config");
}

/* Finds the options without reading their arguments. */
static bool find_flags(struct reader *r, int argc, char **argv, struct status *status)
{
    opterr = 0;
    optind = 0; /* glibc: begin anew */
    for (;;) {
        const int found = getopt_long(argc, argv, r->shorts, r->longs, NULL);
        const char *word = optind > 0 && optind <= argc ? argv[optind - 1] : "";

        if (found == -1)
            return true;
        switch (found) {
        case '?':
            return fail_unknown(r, word, status);
        case ':':
            return fail_no_argument(r, status);
        case 'h':
        case LONG_HELP:
            r->action = CLI_SHOW_HELP;
            return true;
        case LONG_VERSION:
            r->action = CLI_SHOW_VERSION;
            return true;
        case 'c':
        case LONG_CONFIG:
            r->config = optarg;
            break;
        default:
            add_flag(r, found);
        }
    }
}

/* MEDRAT_MAX_LENGTH for "max-length" */
static void variable_name(const char *option, char variable[64])
{
    snprintf(variable, 64, "MEDRAT_%s", option);
    for (char *p = variable; *p; p++) {
        if (*p == '-')
            *p = '_';
        else if (*p >= 'a' && *p <= 'z')
            *p = (char)(*p - 'a' + 'A');
    }
}

/* NULL if it is not set or empty. */
static const char *environment(const char *variable)
{
    const char *value = getenv(variable);

    return value && value[0] != '\0' ? value : NULL;
}

const char *cli_kept_add(struct cli_kept *kept, const char *bytes, size_t len)
{
    char *copy = memory_string(bytes, len);

    kept->strings = memory_resize(kept->strings, kept->n + 1, sizeof(*kept->strings));
    kept->strings[kept->n++] = copy;
    return copy;
}

void cli_kept_release(struct cli_kept *kept)
{
    for (size_t i = 0; i < kept->n; i++)
        free(kept->strings[i]);
    free(kept->strings);
    *kept = (struct cli_kept){0};
}

static bool set_variable(const struct cli_option *option, const char *value, struct cli_kept *kept,
                         struct status *status)
{
    const bool flag = !takes_argument(option);

    if (option->kind == CLI_STRINGS) {
        for (const char *line = value; *line;) {
            const size_t n = strcspn(line, "\n");

            if (n > 0 && !cli_value_set(option, cli_kept_add(kept, line, n), status))
                return false;
            line += n + (line[n] == '\n');
        }
        return true;
    }
    if (flag && strcmp(value, "1") == 0)
        value = "true";
    if (flag && strcmp(value, "0") == 0)
        value = "false";
    return cli_value_set(option, value, status);
}

static bool read_environment(const struct cli_tool *tool, enum cli_source *sources,
                             struct cli_kept *kept, struct status *status)
{
    for (size_t i = 0; i < tool->n_options; i++) {
        const struct cli_option *option = &tool->options[i];
        char variable[64];
        const char *value;
        struct status why;

        if (option->kind == CLI_HEADING)
            continue;
        variable_name(option->name, variable);
        value = environment(variable);
        if (!value)
            continue;
        cli_value_reset(option);
        if (!set_variable(option, value, kept, &why))
            return status_fail(status, STATUS_CONFIG, "environment variable %s: %s", variable,
                               why.message);
        sources[i] = CLI_FROM_ENVIRONMENT;
    }
    return true;
}

static bool read_flags(const struct reader *r, enum cli_source *sources, struct status *status)
{
    for (size_t i = 0; i < r->n_flags; i++) {
        const struct flag *flag = &r->flags[i];
        enum cli_source *source = &sources[flag->option - r->tool->options];
        const char *argument = flag->argument;

        if (!takes_argument(flag->option))
            argument = flag->negated ? "false" : "true";
        if (*source != CLI_FROM_FLAG)
            cli_value_reset(flag->option);
        if (!cli_value_set(flag->option, argument, status))
            return status_context(status, "option '--%s'", flag->option->name);
        *source = CLI_FROM_FLAG;
    }
    return true;
}

bool cli_read(const struct cli_tool *tool, int argc, char **argv, struct cli_operands *operands,
              struct cli_kept *kept, enum cli_action *action, struct status *status)
{
    struct reader r = {.tool = tool};
    bool ok;

    *operands = (struct cli_operands){0};
    make_tables(&r);
    ok = find_flags(&r, argc, argv, status);
    *action = r.action;
    if (ok && r.action == CLI_RUN) {
        const char *config = r.config ? r.config : environment("MEDRAT_CONFIG");

        operands->paths = (const char *const *)argv + optind;
        operands->n = (size_t)(argc - optind);
        ok = (!config || config_file_read(tool, config, operands->sources, kept, status)) &&
             read_environment(tool, operands->sources, kept, status) &&
             read_flags(&r, operands->sources, status);
    }
    free(r.flags);
    return ok;
}

/* Ahead of the options, whose mistakes are messages too. */
static void choose_message_format(int argc, char **argv)
{
    static const char option[] = "--log-format";
    const char *format = environment("MEDRAT_LOG_FORMAT");

    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strncmp(argv[i], option, sizeof(option) - 1) != 0)
            continue;
        if (argv[i][sizeof(option) - 1] == '=')
            format = argv[i] + sizeof(option);
        else if (argv[i][sizeof(option) - 1] == '\0' && i + 1 < argc)
            format = argv[i + 1];
    }
    if (format && strcmp(format, "json") == 0)
        message_format = MESSAGE_JSON;
}

void cli_parse(const struct cli_tool *tool, int argc, char **argv, struct cli_operands *operands)
{
    static struct cli_kept kept; /* of the whole run: the tool's options point to it */
    struct status status;
    struct buf text = {0};
    enum cli_action action;

    message_tool(tool->name);
    choose_message_format(argc, argv);
    if (!cli_read(tool, argc, argv, operands, &kept, &action, &status))
        cli_die(tool, &status);
    if (action == CLI_RUN)
        return;
    if (action == CLI_SHOW_HELP)
        cli_help(tool, &text);
    else
        version_text(tool->name, &text);
    if (fwrite(text.data, 1, text.len, stdout) != text.len || fflush(stdout) != 0) {
        status_set(&status, STATUS_IO, "standard output: write failed");
        cli_die(tool, &status);
    }
    exit(0);
}

enum cli_source cli_source(const struct cli_tool *tool, const struct cli_operands *operands,
                           const void *value)
{
    for (size_t i = 0; i < tool->n_options; i++) {
        if (tool->options[i].value == value)
            return operands->sources[i];
    }
    return CLI_FROM_DEFAULT;
}

void cli_no_input(const struct cli_tool *tool)
{
    fprintf(stderr, "%s: %s\nusage: %s %s\n%s\ntry '%s --help'\n", tool->name, tool->summary,
            tool->name, tool->usage, tool->no_input_hint, tool->name);
    exit(status_exit_code(STATUS_USAGE));
}

void cli_die(const struct cli_tool *tool, const struct status *status)
{
    message_tool(tool->name);
    message(MESSAGE_ERROR, "%s", status->message);
    if (status->code == STATUS_USAGE && message_format == MESSAGE_TEXT)
        fprintf(stderr, "usage: %s %s\ntry '%s --help'\n", tool->name, tool->usage, tool->name);
    exit(status_exit_code(status->code));
}
