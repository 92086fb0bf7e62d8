/* One argument -> the value of its option. */
#ifndef CLI_CLI_VALUE_H
#define CLI_CLI_VALUE_H

#include "base/buf.h"
#include "cli/cli.h"

/* Reads `argument` into *option->value. Flags and switches take "true" or "false". Strings are
 * kept, not copied. A failure's message says what is wrong, to stand behind the option's name; its
 * code is STATUS_USAGE. */
bool cli_value_set(const struct cli_option *option, const char *argument,
                   struct status *status) MUST_CHECK;

/* Empties a CLI_STRINGS, before a better source fills it anew. */
void cli_value_reset(const struct cli_option *option);

/* "1 to 4096; default 16", for --help; nothing where there is neither. */
void cli_value_describe(const struct cli_option *option, struct buf *out);

#endif
