/* What a run says on standard error: records that failed, why it ended, what it did. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include "base/status.h"
#include "cli/progress.h"
#include "cli/run_stats.h"

/* Zeroed but for name = valid. */
struct report {
    const char *name;            /* of the tool */
    bool quiet;                  /* nothing about single records */
    bool verbose;                /* a summary also when all went well */
    const char *plain_text_hint; /* how plain text is read, if it should be; NULL: it is */
    struct progress progress;
    uint64_t n_shown; /* records whose failure was told */
};

/* A record failed: the first few are told one by one, the rest are counted. number 0: the record
 * is no line of a file. */
void report_failure(struct report *report, const char *file, size_t number,
                    const struct status *why);

/* Why the run ends before its time. */
void report_fatal(struct report *report, const struct status *why);

/* The run ends because a signal asked for it. */
void report_stopped(struct report *report, int signal_number, const struct run_stats *stats);

/* The end: what there was of failures, and what --verbose adds. Clears the progress line. */
void report_end(struct report *report, const struct run_stats *stats);

#endif
