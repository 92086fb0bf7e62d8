#include "cli/job.h"

#include <assert.h>

void job_end(struct job *job, enum job_state state)
{
    assert(job->state == JOB_OPEN && "a job ends once");
    job->state = state;
    job->counts->n_open--;
    if (state == JOB_FAILED || state == JOB_UPSTREAM)
        job->counts->n_failed++;
}

void job_done(struct job *job)
{
    job_end(job, JOB_DONE);
}

void job_fail(struct job *job, const struct status *why)
{
    job->why = *why;
    job_end(job, JOB_FAILED);
}

static void reset_buf(struct buf *buf, size_t keep_size)
{
    buf_reset(buf);
    if (buf->cap > keep_size)
        buf_release(buf);
}

void job_reset(struct job *job, size_t keep_size)
{
    record_reset(&job->record, keep_size);
    reset_buf(&job->members, keep_size);
    reset_buf(&job->raw, keep_size);
    job->work = NULL;
    job->begun = false;
}

void job_release(struct job *job)
{
    record_release(&job->record);
    buf_release(&job->members);
    buf_release(&job->raw);
}
