#include "cli/stream_settings.h"

#include "cli/cli_settings.h"
#include "cli/version.h"

json_t *stream_settings(const struct stream_options *options, const struct stream_tool *tool)
{
    json_t *settings = cli_settings(options->cli);

    json_object_set_new(settings, "version", json_string(VERSION_STRING));
    if (options->shard.n > 0)
        json_object_set_new(settings, "shard",
                            json_sprintf("%llu/%llu", (unsigned long long)options->shard.k,
                                         (unsigned long long)options->shard.n));
    if (tool->settings)
        tool->settings(tool->self, settings);
    return settings;
}
