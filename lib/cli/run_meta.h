/* --meta: OUTPUT.meta.json, what an output was made of: formats/README.md has its members. No text
 * of a record is in it. */
#ifndef CLI_RUN_META_H
#define CLI_RUN_META_H

#include "base/status.h"
#include "cli/run_stats.h"
#include "cli/stream.h"

/* Once the output is in place. Reads it and the input once more, for their hashes. STATUS_IO. */
bool run_meta_write(const struct stream_options *options, const struct stream_tool *tool,
                    const struct run_stats *counts, int exit_status,
                    struct status *status) MUST_CHECK;

#endif
