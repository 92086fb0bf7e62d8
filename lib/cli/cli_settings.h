/* The options of a run as settings (formats/run_settings.h). */
#ifndef CLI_CLI_SETTINGS_H
#define CLI_CLI_SETTINGS_H

#include <jansson.h>

#include "cli/cli.h"

/* Those that are not neutral, by name, with their values as texts; a CLI_CUSTOM its tool has to
 * say. The caller drops them with json_decref. Text that is no UTF-8 is not in it. */
json_t *cli_settings(const struct cli_tool *tool);

#endif
