/* One table of options a tool. It parses the command line, the environment and the -c file, and it
 * prints --help; names, ranges, defaults and help stand nowhere else.
 *
 *   flag > environment MEDRAT_<LONG_NAME_WITH_UNDERSCORES> > key of the -c/--config file > default
 *
 * Every tool has --config, --help and --version without a row of its own. An empty environment
 * variable counts as not set. A wrong flag ends the program with exit 64, a wrong variable or key
 * with exit 78.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

enum cli_kind {
    CLI_FLAG,    /* bool: --name sets it; true or false elsewhere */
    CLI_SWITCH,  /* int: --name stores 1, --no-name 0; true or false elsewhere */
    CLI_INT,     /* int in [min, max] */
    CLI_UINT64,  /* uint64_t, any */
    CLI_SIZE,    /* size_t in [min, max]; K, M or G behind the number: times 1024 and so on */
    CLI_FLOAT,   /* double in [min, max] */
    CLI_STRING,  /* const char *: not the option's */
    CLI_STRINGS, /* struct cli_strings: one more each time; a line each in the environment */
    CLI_CHOICE,  /* int: index into choices */
    CLI_CUSTOM,  /* whatever `parse` makes of it */
    CLI_HEADING, /* no option: `help` is a heading of --help */
};

struct cli_strings {
    const char **items; /* the array is its owner's, the strings are not */
    size_t n;
};

/* Reads one argument into *value. A failure's message says what is wrong with it in words that fit
 * behind "option '--cut': ". */
typedef bool cli_parse_function(void *value, const char *argument, struct status *status);

/* Members that a kind does not name stay zero. */
struct cli_option {
    const char *name; /* long name, without dashes */
    char letter;      /* short name, 0: none */
    enum cli_kind kind;
    void *value; /* holds the default until an option is read */
    double min, max;
    const char *argument;       /* name of the argument in --help: "N", "FILE" */
    const char *help;           /* lower case, no full stop */
    const char *fallback;       /* the default in words; NULL: *value shown; "": none shown */
    const char *const *choices; /* CLI_CHOICE: names, ended by NULL */
    cli_parse_function *parse;  /* CLI_CUSTOM */
};

enum { CLI_MAX_OPTIONS = 64 };

struct cli_tool {
    const char *name;    /* "medrat-gen" */
    const char *summary; /* one line */
    const char *usage;   /* behind the name: "[OPTION]... [FILE]..." */
    const struct cli_option *options;
    size_t n_options; /* at most CLI_MAX_OPTIONS */
    const char *const
        *reads; /* what --map may rename, NULL behind the last; NULL: the tool checks it */
    const char *no_input_hint; /* shown when there is no input: one line with an example to paste */
};

enum cli_source { CLI_FROM_DEFAULT, CLI_FROM_FILE, CLI_FROM_ENVIRONMENT, CLI_FROM_FLAG };

struct cli_operands {
    const char *const *paths; /* into argv */
    size_t n;
    enum cli_source sources[CLI_MAX_OPTIONS]; /* of each option of the table */
};

/* Strings out of configuration files and the environment: options point to them. */
struct cli_kept {
    char **strings; /* ours, and each of them */
    size_t n;
};

/* A copy that lives until cli_kept_release. */
const char *cli_kept_add(struct cli_kept *kept, const char *bytes, size_t len);
void cli_kept_release(struct cli_kept *kept);

enum cli_action { CLI_RUN, CLI_SHOW_HELP, CLI_SHOW_VERSION };

/* What cli_parse does, without printing and ending: fills the options' values and *operands, and
 * adds to *kept what they point to. When *action is not CLI_RUN, nothing was read. Fails with
 * STATUS_USAGE or STATUS_CONFIG; or what reading the configuration file gives. */
bool cli_read(const struct cli_tool *tool, int argc, char **argv, struct cli_operands *operands,
              struct cli_kept *kept, enum cli_action *action, struct status *status) MUST_CHECK;

/* cli_read for main: prints --help or --version and ends with 0; ends by cli_die when it fails. */
void cli_parse(const struct cli_tool *tool, int argc, char **argv, struct cli_operands *operands);

/* Where the option that fills *value came from. `value` must be in the table. */
enum cli_source cli_source(const struct cli_tool *tool, const struct cli_operands *operands,
                           const void *value);

/* Nothing to read: a short help on standard error, exit 64. */
_Noreturn void cli_no_input(const struct cli_tool *tool);

/* "name: message" on standard error, with the usage line for STATUS_USAGE, and the end of the
 * program with the status's exit code. */
_Noreturn void cli_die(const struct cli_tool *tool, const struct status *status);

struct buf;
void cli_help(const struct cli_tool *tool, struct buf *out); /* the text of --help */

#endif
