#include "run/score_report.h"

#include <string.h>

#include "formats/output_file.h"
#include "run/score_partial.h"
#include "run/score_summary.h"

static bool check_file(const char *path, struct status *status)
{
    struct output_file *file;

    if (!path || strcmp(path, "-") == 0)
        return true;
    file = output_file_open(path, status);
    output_file_discard(file);
    return file != NULL;
}

bool score_report_check(const struct score_report *report, struct status *status)
{
    if (report->summary && report->partial && strcmp(report->summary, report->partial) == 0)
        return status_fail(status, STATUS_USAGE,
                           "options '--summary' and '--partial' name the same file");
    return check_file(report->summary, status) && check_file(report->partial, status);
}

typedef void writer(struct score_totals *totals, struct buf *out);

static bool write_file(const char *path, writer *write, struct score_totals *totals,
                       struct status *status)
{
    struct buf bytes = {0};
    bool ok;

    if (!path)
        return true;
    write(totals, &bytes);
    ok = output_file_put(path, buf_text(&bytes), status);
    buf_release(&bytes);
    return ok;
}

bool score_report_write(const struct score_report *report, struct score_totals *totals,
                        struct status *status)
{
    return write_file(report->partial, score_partial_write, totals, status) &&
           write_file(report->summary, score_summary_write, totals, status);
}

struct score_totals *score_report_merge(const char *const *paths, size_t n, struct status *status)
{
    struct score_totals *totals = score_partial_read(paths[0], status);

    for (size_t i = 1; totals && i < n; i++) {
        struct score_totals *shard = score_partial_read(paths[i], status);
        bool ok = shard != NULL;

        if (ok && !score_totals_merge(totals, shard, paths, (uint32_t)i, status))
            ok = status_context(status, "%s", paths[i]);
        score_totals_free(shard);
        if (!ok) {
            score_totals_free(totals);
            totals = NULL;
        }
    }
    return totals;
}
