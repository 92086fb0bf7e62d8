#include "cli/report.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "cli/message.h"

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
    if (report->quiet || report->n_shown >= MAX_SHOWN)
        return;
    progress_clear(&report->progress);
    message_record(file, number, why);
    if (may_be_plain_text(report, number, why))
        message(MESSAGE_INFO, "a record is a JSON object on a line; for lines of plain text: %s",
                report->plain_text_hint);
    report->n_shown++;
}

void report_fatal(struct report *report, const struct status *why)
{
    progress_clear(&report->progress);
    message(MESSAGE_ERROR, "%s", why->message);
}

void report_stopped(struct report *report, int signal_number, const struct run_stats *stats)
{
    const char *signal_name = signal_number == SIGTERM  ? "SIGTERM"
                              : signal_number == SIGINT ? "SIGINT"
                                                        : "SIGHUP";

    progress_clear(&report->progress);
    if (!report->quiet)
        message(MESSAGE_WARNING, "stopped by %s after %" PRIu64 " records", signal_name,
                stats->n_records);
}

void report_end(struct report *report, const struct run_stats *stats)
{
    const uint64_t here = stats->n_failed - stats->n_upstream;

    progress_end(&report->progress, stats);
    if (report->quiet)
        return;
    if (here > report->n_shown)
        message(MESSAGE_WARNING,
                "%" PRIu64 " more records failed, %" PRIu64 " of %" PRIu64 " in all",
                here - report->n_shown, here, stats->n_records);
    if (stats->n_upstream > 0)
        message(MESSAGE_WARNING, "%" PRIu64 " of %" PRIu64 " records had failed in an earlier tool",
                stats->n_upstream, stats->n_records);
    if (report->verbose) {
        const double seconds = run_stats_now() - stats->started;

        message(MESSAGE_INFO, "%" PRIu64 " records in %.1f s (%.1f/s), %" PRIu64 " failed",
                stats->n_records, seconds, seconds > 0 ? (double)stats->n_records / seconds : 0.0,
                stats->n_failed);
    }
}
