#include "cli/plan.h"

int plan_run(const struct stream_options *options, const struct stream_tool *tool)
{
    struct stream_options reading = *options;
    struct stream_tool reader = *tool;

    reading.plan = true;
    reading.on_error = STREAM_SKIP; /* all that is bad, not the first alone */
    if (options->on_error == STREAM_FAIL)
        reading.max_errors = 0;
    reading.output = reading.errors = reading.dep_file = NULL;
    reading.resume = reading.update = reading.meta = false;
    reading.stats = "-";
    reader.takes_all = true;
    return stream_run(&reading, &reader);
}
