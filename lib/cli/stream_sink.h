/* Where ended jobs go: the output, the file of failed lines, the counts, the messages. */
#ifndef CLI_STREAM_SINK_H
#define CLI_STREAM_SINK_H

#include "base/buf.h"
#include "base/status.h"
#include "cli/error_file.h"
#include "cli/report.h"
#include "cli/resume.h"
#include "cli/run_stats.h"
#include "cli/stream.h"
#include "formats/output_file.h"

/* Zeroed = valid and empty. */
struct stream_sink {
    const struct stream_options *options;
    const struct stream_tool *tool;
    struct output_file *output; /* ours; NULL where it is not this that writes */
    struct resume resume;       /* on: the output is this one's */
    uint64_t input_hash;        /* of the lines that were dealt with */
    struct error_file *errors;  /* ours; NULL: not asked for */
    struct report report;
    struct run_stats stats;
    struct buf ready;   /* ours: output not written yet */
    double ready_since; /* run_stats_now(), if `ready` is not empty */
};

bool stream_sink_open(struct stream_sink *sink, const struct stream_options *options,
                      const struct stream_tool *tool, struct status *status) MUST_CHECK;

/* The next job in input order, which has ended. Its line may stay in `ready`. STATUS_DATA: it
 * failed under --on-error fail; STATUS_IO. */
bool stream_sink_put(struct stream_sink *sink, const struct job *job,
                     struct status *status) MUST_CHECK;

/* Output has waited long enough for more to join it. */
bool stream_sink_is_due(const struct stream_sink *sink);
bool stream_sink_write(struct stream_sink *sink, struct status *status) MUST_CHECK;

/* With --resume: writes what is ready, and down where the run is. */
bool stream_sink_save(struct stream_sink *sink, struct status *status) MUST_CHECK;

/* The output is complete. */
bool stream_sink_commit(struct stream_sink *sink, struct status *status) MUST_CHECK;

/* Drops an output that was not committed; what standard output has got stays. */
void stream_sink_close(struct stream_sink *sink);

#endif
