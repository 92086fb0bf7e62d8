/* The files about a whole run: --summary and --partial, made of a run's totals or of shards'. */
#ifndef RUN_SCORE_REPORT_H
#define RUN_SCORE_REPORT_H

#include "base/status.h"
#include "run/score_totals.h"

struct score_report {
    const char *summary, *partial; /* where to; NULL: not asked for, "-": standard output */
};

/* Can these files be written? Says so before hours of work. */
bool score_report_check(const struct score_report *report, struct status *status) MUST_CHECK;

/* Writes what is asked for; each file appears when it is complete. */
bool score_report_write(const struct score_report *report, struct score_totals *totals,
                        struct status *status) MUST_CHECK;

/* The totals of all these files of --partial, one in memory at a time. NULL: a file cannot be read,
 * or does not go with those before it. The caller frees. */
struct score_totals *score_report_merge(const char *const *paths, size_t n,
                                        struct status *status) MUST_CHECK;

#endif
