#include "cli/report.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define MAX_SHOWN 10

/* A first line that is no JSON is most often plain text, from somebody who is new here. */
static bool may_be_plain_text(const struct report *report, size_t number, const struct status *why)
{
    return report->plain_text_hint && report->n_shown == 0 && number == 1 && why->kind &&
           (strcmp(why->kind, "json") == 0 || strcmp(why->kind, "object") == 0);
}

void report_failure(struct report *report, const char *file, size_t number,
                    const struct status *why)
{
    char column[40] = "";

    if (report->quiet || report->n_shown >= MAX_SHOWN)
        return;
    progress_clear(&report->progress);
    if (why->column > 0)
        snprintf(column, sizeof(column), " (column %zu)", why->column);
    if (number > 0)
        fprintf(stderr, "%s: %s:%zu: %s%s\n", report->name, file, number, why->message, column);
    else
        fprintf(stderr, "%s: %s: %s%s\n", report->name, file, why->message, column);
    if (may_be_plain_text(report, number, why))
        fprintf(stderr, "%s: a record is a JSON object on a line; for lines of plain text: %s\n",
                report->name, report->plain_text_hint);
    report->n_shown++;
}

void report_fatal(struct report *report, const struct status *why)
{
    progress_clear(&report->progress);
    fprintf(stderr, "%s: %s\n", report->name, why->message);
}

void report_stopped(struct report *report, int signal_number, const struct run_stats *stats)
{
    const char *signal_name = signal_number == SIGTERM  ? "SIGTERM"
                              : signal_number == SIGINT ? "SIGINT"
                                                        : "SIGHUP";

    progress_clear(&report->progress);
    if (!report->quiet)
        fprintf(stderr, "%s: stopped by %s after %" PRIu64 " records\n", report->name, signal_name,
                stats->n_records);
}

void report_end(struct report *report, const struct run_stats *stats)
{
    const uint64_t here = stats->n_failed - stats->n_upstream;

    progress_end(&report->progress, stats);
    if (report->quiet)
        return;
    if (here > report->n_shown)
        fprintf(stderr, "%s: %" PRIu64 " more records failed, %" PRIu64 " of %" PRIu64 " in all\n",
                report->name, here - report->n_shown, here, stats->n_records);
    if (stats->n_upstream > 0)
        fprintf(stderr, "%s: %" PRIu64 " of %" PRIu64 " records had failed in an earlier tool\n",
                report->name, stats->n_upstream, stats->n_records);
    if (report->verbose) {
        const double seconds = run_stats_now() - stats->started;

        fprintf(stderr, "%s: %" PRIu64 " records in %.1f s (%.1f/s), %" PRIu64 " failed\n",
                report->name, stats->n_records, seconds,
                seconds > 0 ? (double)stats->n_records / seconds : 0.0, stats->n_failed);
    }
}
