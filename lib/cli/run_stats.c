#include "cli/run_stats.h"

#include <sys/resource.h>
#include <time.h>

#include "cli/version.h"
#include "formats/json_write.h"

double run_stats_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void run_stats_start(struct run_stats *stats)
{
    stats->started = run_stats_now();
    stats->started_at = (int64_t)time(NULL);
}

static void write_count(struct buf *out, const char *name, uint64_t value)
{
    json_write_name(out, name);
    json_write_uint(out, value);
}

static void write_seconds(struct buf *out, const char *name, double value)
{
    json_write_name(out, name);
    json_write_double(out, (double)(int64_t)(value * 1e6 + 0.5) / 1e6);
}

static void write_time(struct buf *out, const char *name, int64_t seconds)
{
    const time_t time = (time_t)seconds;
    char text[40];
    struct tm utc;

    if (!gmtime_r(&time, &utc) || strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
        return;
    json_write_name(out, name);
    json_write_string(out, text_of(text));
}

static double cpu_seconds(const struct rusage *usage)
{
    return (double)usage->ru_utime.tv_sec + (double)usage->ru_utime.tv_usec * 1e-6 +
           (double)usage->ru_stime.tv_sec + (double)usage->ru_stime.tv_usec * 1e-6;
}

void run_stats_write(const struct run_stats *stats, const char *tool, int exit_status,
                     struct buf *out)
{
    const double seconds = run_stats_now() - stats->started;
    struct rusage usage;

    json_write_name(out, "tool");
    json_write_string(out, text_of(tool));
    json_write_name(out, "version");
    json_write_string(out, text_of(VERSION_STRING));
    write_time(out, "started", stats->started_at);
    write_seconds(out, "seconds", seconds);
    json_write_name(out, "exit_status");
    json_write_int(out, exit_status);
    write_count(out, "records", stats->n_records);
    write_count(out, "done", stats->n_done);
    write_count(out, "kept", stats->n_kept);
    write_count(out, "failed", stats->n_failed);
    write_count(out, "failed_upstream", stats->n_upstream);
    write_count(out, "bytes_in", stats->bytes_in);
    write_count(out, "bytes_out", stats->bytes_out);
    json_write_name(out, "records_per_second");
    json_write_double(out, seconds > 0 ? (double)stats->n_records / seconds : 0);
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        write_seconds(out, "cpu_seconds", cpu_seconds(&usage));
        write_count(out, "peak_memory", (uint64_t)usage.ru_maxrss * 1024); /* Linux: KiB */
    }
}
