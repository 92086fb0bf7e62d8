/* A -c file: what is accepted lies in the ranges of the options, what is refused names the file and
 * a line. */
#define _GNU_SOURCE /* memfd_create */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/config_file.h"
#include "fuzz.h"

static struct {
    bool quiet;
    int progress, batch, on_error;
    size_t max_line;
    uint64_t seed;
    double top_p;
    const char *model;
    struct cli_strings stop;
} args;

static const char *const kinds[] = {"emit", "skip", NULL};

static const struct cli_option options[] = {
    {.kind = CLI_HEADING, .help = "Things"},
    {.name = "quiet", .kind = CLI_FLAG, .value = &args.quiet},
    {.name = "progress", .kind = CLI_SWITCH, .value = &args.progress},
    {.name = "batch", .kind = CLI_INT, .value = &args.batch, .min = 1, .max = 64},
    {.name = "max-line", .kind = CLI_SIZE, .value = &args.max_line, .min = 1, .max = 1e9},
    {.name = "seed", .kind = CLI_UINT64, .value = &args.seed},
    {.name = "top-p", .kind = CLI_FLOAT, .value = &args.top_p, .max = 1},
    {.name = "model", .kind = CLI_STRING, .value = &args.model},
    {.name = "stop", .kind = CLI_STRINGS, .value = &args.stop},
    {.name = "on-error", .kind = CLI_CHOICE, .value = &args.on_error, .choices = kinds},
};

static const struct cli_tool tool = {
    .name = "medrat-fuzz",
    .options = options,
    .n_options = sizeof(options) / sizeof(options[0]),
};

/* A value is the default (0) or in its option's range; strings end within what was kept. */
static void check_values(void)
{
    require(args.batch >= 0 && args.batch <= 64);
    require(args.max_line <= 1000000000);
    require(args.top_p >= 0.0 && args.top_p <= 1.0);
    require(args.on_error >= 0 && args.on_error <= 1);
    require(!args.model || strlen(args.model) < 4096 * 16);
    for (size_t i = 0; i < args.stop.n; i++)
        require(strlen(args.stop.items[i]) < 4096 * 16);
}

static void read_config(const char *path)
{
    enum cli_source sources[CLI_MAX_OPTIONS] = {CLI_FROM_DEFAULT};
    struct cli_kept kept = {0};
    struct status status = {0};

    memset(&args, 0, sizeof(args));
    if (config_file_read(&tool, path, sources, &kept, &status))
        check_values();
    else
        require(status.code == STATUS_CONFIG && strncmp(status.message, path, strlen(path)) == 0);
    free(args.stop.items);
    cli_kept_release(&kept);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1; /* one file for all inputs: making them takes longer than reading */
    char path[40];

    if (fd < 0)
        fd = memfd_create("config", 0);
    require(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    read_config(path);
    return 0;
}
