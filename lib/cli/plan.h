/* --plan: every record is read and measured, none computed; standard output gets what --stats would
 * get, with a forecast. */
#ifndef CLI_PLAN_H
#define CLI_PLAN_H

#include "cli/stream.h"

/* `tool->begin` measures a record and ends its job; `tool->stats` writes the forecast. No other
 * file is written. Returns the program's exit status: 65 where more records fail than --max-errors
 * allows, or one under --on-error fail. */
int plan_run(const struct stream_options *options, const struct stream_tool *tool);

#endif
