/* What shapes the records of a run, by name and as texts (formats/run_settings.h): its options, its
 * model and kernels, the program's version, the shard. */
#ifndef CLI_STREAM_SETTINGS_H
#define CLI_STREAM_SETTINGS_H

#include <jansson.h>

#include "cli/stream.h"

/* The caller drops them with json_decref. */
json_t *stream_settings(const struct stream_options *options, const struct stream_tool *tool);

#endif
