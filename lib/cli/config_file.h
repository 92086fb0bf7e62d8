/* A -c FILE.yaml: one mapping, whose keys are long names of the tool's options ('-' or '_'). */
#ifndef CLI_CONFIG_FILE_H
#define CLI_CONFIG_FILE_H

#include "cli/cli.h"

/* Sets the options that the file names, and their sources to CLI_FROM_FILE. STATUS_CONFIG with
 * "file:line: key: why"; STATUS_NO_INPUT if there is no such file. Strings are added to *kept. */
bool config_file_read(const struct cli_tool *tool, const char *path, enum cli_source *sources,
                      struct cli_kept *kept, struct status *status) MUST_CHECK;

#endif
