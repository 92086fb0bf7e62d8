#include "cli/stream_sink.h"

#include <string.h>

#include "cli/signals.h"
#include "formats/json_write.h"

#define WRITE_SIZE                                                                                 \
    ((size_t)64 << 10)      /* output is written at the latest when it is this long ...            \
                             */
#define WRITE_INTERVAL 0.02 /* ... or so many seconds old */

static bool open_output(struct stream_sink *sink, struct status *status)
{
    if (sink->tool->takes_all)
        return true;
    if (sink->options->resume)
        return resume_open(&sink->resume, sink->options, sink->tool, status);
    sink->output = output_file_open(sink->options->output, status);
    if (!sink->output)
        return false;
    if (sink->options->update)
        output_file_keep_same(sink->output);
    signals_remove_at_end(output_file_temporary(sink->output));
    return true;
}

/* What an earlier run has counted. */
static void take_counts(struct stream_sink *sink)
{
    const struct run_stats *counts = &sink->resume.state.counts;

    sink->stats.n_records = sink->stats.first_record = counts->n_records;
    sink->stats.n_done = counts->n_done;
    sink->stats.n_kept = counts->n_kept;
    sink->stats.n_failed = counts->n_failed;
    sink->stats.n_upstream = counts->n_upstream;
    sink->stats.bytes_in = counts->bytes_in;
    sink->stats.bytes_out = counts->bytes_out;
}

bool stream_sink_open(struct stream_sink *sink, const struct stream_options *options,
                      const struct stream_tool *tool, struct status *status)
{
    sink->options = options;
    sink->tool = tool;
    if (!open_output(sink, status))
        return false;
    sink->input_hash = sink->resume.input_hash;
    take_counts(sink);
    if (!options->errors)
        return true;
    sink->errors = error_file_open(options->errors, sink->resume.state.errors, status);
    return sink->errors != NULL;
}

static bool write_output(struct stream_sink *sink, struct text bytes, struct status *status)
{
    if (bytes.len == 0)
        return true;
    return sink->resume.part ? part_file_write(sink->resume.part, bytes, status)
                             : output_file_write(sink->output, bytes, status);
}

bool stream_sink_write(struct stream_sink *sink, struct status *status)
{
    const struct text ready = buf_text(&sink->ready);
    bool ok = write_output(sink, ready, status);

    sink->stats.bytes_out += ready.len;
    if (sink->ready.cap > 4 * WRITE_SIZE)
        buf_release(&sink->ready);
    buf_reset(&sink->ready);
    return ok;
}

bool stream_sink_save(struct stream_sink *sink, struct status *status)
{
    return !resume_is_on(&sink->resume) ||
           (stream_sink_write(sink, status) &&
            resume_save(&sink->resume, &sink->stats, sink->input_hash, sink->errors, false,
                        status));
}

static void put_done(struct stream_sink *sink, const struct job *job)
{
    const struct stream_tool *tool = sink->tool;
    const bool replace = sink->options->existing == STREAM_EXISTING_REPLACE;
    struct buf missing = {0};

    if (sink->options->existing == STREAM_EXISTING_KEEP) {
        record_missing_members(&job->record, buf_text(&job->members), &missing);
        record_write(&job->record, buf_text(&missing), NULL, 0, &sink->ready);
        buf_release(&missing);
    } else {
        record_write(&job->record, buf_text(&job->members), tool->makes,
                     replace ? tool->n_makes : 0, &sink->ready);
    }
}

static void put_line(struct stream_sink *sink, const struct job *job)
{
    buf_append_text(&sink->ready, buf_text(&job->record.line));
    buf_append_char(&sink->ready, '\n');
}

static bool note_failure(struct stream_sink *sink, const struct job *job, struct status *status)
{
    const bool plain = job->raw.len > 0;
    const struct error_file_entry entry = {
        .tool = sink->tool->name,
        .file = job->record.file,
        .number = job->record.number,
        .why = &job->why,
        .raw = buf_text(plain ? &job->raw : &job->record.line),
        .size = job->size,
    };

    if (job->state == JOB_UPSTREAM)
        sink->stats.n_upstream++;
    else
        report_failure(&sink->report, job->record.file,
                       sink->options->query ? 0 : job->record.number, &job->why);
    sink->stats.n_failed++;
    return !sink->errors || error_file_write(sink->errors, &entry, status);
}

/* The failed record's place in the output. Under --on-error fail, the end of the run. */
static bool put_failed(struct stream_sink *sink, const struct job *job, struct status *status)
{
    if (!note_failure(sink, job, status))
        return false;
    switch (sink->options->on_error) {
    case STREAM_EMIT:
        if (job->state == JOB_UPSTREAM)
            put_line(sink, job);
        else
            record_write_error(&job->record, sink->tool->name, &job->why, job->record.number,
                               &sink->ready);
        return true;
    case STREAM_SKIP:
        return true;
    case STREAM_FAIL:
        break;
    }
    return status_fail(status, STATUS_DATA, "stopped at %s:%zu, the first failed record",
                       job->record.file, job->record.number);
}

bool stream_sink_put(struct stream_sink *sink, const struct job *job, struct status *status)
{
    const bool was_empty = sink->ready.len == 0;

    sink->stats.n_records++;
    sink->stats.bytes_in += job->size;
    sink->stats.position = job->position;
    sink->input_hash = job->input_hash;
    if (job->state == JOB_FAILED || job->state == JOB_UPSTREAM) {
        if (!put_failed(sink, job, status))
            return false;
    } else {
        sink->stats.n_done++;
        sink->stats.n_kept += job->state == JOB_KEPT;
        if (job->state == JOB_KEPT)
            put_line(sink, job);
        else if (!sink->tool->takes_all)
            put_done(sink, job);
        if (job->state == JOB_DONE && sink->tool->put)
            sink->tool->put(sink->tool->self, job);
    }
    if (was_empty)
        sink->ready_since = run_stats_now();
    return true;
}

bool stream_sink_is_due(const struct stream_sink *sink)
{
    return sink->ready.len >= WRITE_SIZE ||
           (sink->ready.len > 0 && run_stats_now() - sink->ready_since >= WRITE_INTERVAL);
}

static bool commit_resumed(struct stream_sink *sink, struct status *status)
{
    return resume_save(&sink->resume, &sink->stats, sink->input_hash, sink->errors, true, status) &&
           resume_commit(&sink->resume, status);
}

bool stream_sink_commit(struct stream_sink *sink, struct status *status)
{
    struct output_file *output = sink->output;

    if (resume_is_on(&sink->resume))
        return commit_resumed(sink, status);
    sink->output = NULL;
    return (!output || output_file_commit(output, status)) &&
           (!sink->errors || error_file_sync(sink->errors, status));
}

void stream_sink_close(struct stream_sink *sink)
{
    output_file_discard(sink->output);
    resume_close(&sink->resume);
    signals_remove_at_end(NULL);
    error_file_close(sink->errors);
    buf_release(&sink->ready);
    sink->output = NULL;
    sink->errors = NULL;
}
