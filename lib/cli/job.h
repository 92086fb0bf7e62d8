/* One record on its way through a tool. */
#ifndef CLI_JOB_H
#define CLI_JOB_H

#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "formats/record.h"

enum job_state {
    JOB_OPEN, /* begun, not ended */
    JOB_DONE,
    JOB_KEPT, /* --existing keep, and nothing was missing */
    JOB_FAILED,
    JOB_UPSTREAM, /* came as an error record */
};

/* The tool reads `record`, keeps what it likes in `work`, and appends what it makes to `members` as
 * `"score":{...}` (formats/json_write.h). The address stays the same until the tool's release. */
struct job {
    struct record record;
    void *work;
    struct buf members;
    /* the rest belongs to the stream */
    enum job_state state;
    bool begun;          /* the tool has seen it */
    struct status why;   /* it failed */
    struct buf raw;      /* of --format lines: the line as it came */
    uint64_t size;       /* of the line as it came */
    uint64_t position;   /* in the input, behind the line */
    uint64_t input_hash; /* of all lines up to this one */
    size_t held_bytes;   /* counted against the window */
    struct job_counts *counts;
};

struct job_counts {
    size_t n_open;   /* jobs not ended */
    size_t n_failed; /* jobs ended as JOB_FAILED or JOB_UPSTREAM */
};

/* End a job, from begin or step of its tool: its members are complete, or it failed (STATUS_INPUT).
 */
void job_done(struct job *job);
void job_fail(struct job *job, const struct status *why);

/* For the stream. */
void job_end(struct job *job, enum job_state state);
/* Empty; memory for records of up to keep_size bytes is kept for the next. */
void job_reset(struct job *job, size_t keep_size);
void job_release(struct job *job);

#endif
