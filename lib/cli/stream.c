#include "cli/stream.h"

#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "cli/dep_file.h"
#include "cli/line_queue.h"
#include "cli/retry.h"
#include "cli/run_meta.h"
#include "cli/signals.h"
#include "cli/stream_line.h"
#include "cli/stream_sink.h"
#include "formats/jsonl.h"
#include "formats/output_file.h"

#define DEFAULT_WINDOW 64
#define MAX_HELD_BYTES ((size_t)32 << 20) /* of lines in the window, or one line */
#define KEEP_SIZE ((size_t)64 << 10)      /* memory a job may keep for its next record */

/* Jobs stand in a ring in input order: begun at its end, written from its front. */
struct stream {
    const struct stream_options *options;
    const struct stream_tool *tool;
    sem_t wake; /* posted by signals, and by the queue when it has something */
    struct line_queue *queue;
    struct queued_line taken;
    struct stream_sink sink;
    struct retry *retry; /* NULL: not asked for */
    struct job **jobs;   /* [window] */
    size_t window, first, n_jobs;
    struct job_counts counts;
    size_t held_bytes;   /* of their lines */
    uint64_t n_expected; /* by --expect */
    double deadline;     /* run_stats_now() when --grace is over; 0: no signal has come */
    bool input_ended;
    bool input_failed; /* ... for this reason: */
    struct status input_status;
};

/* ---- jobs ---- */

static struct job *new_job(struct stream *stream)
{
    struct job **slot = &stream->jobs[(stream->first + stream->n_jobs) % stream->window];

    if (!*slot)
        *slot = memory_zeroed(1, sizeof(**slot));
    (*slot)->counts = &stream->counts;
    (*slot)->record.map = stream->options->map.n > 0 ? &stream->options->map : NULL;
    (*slot)->state = JOB_OPEN;
    stream->n_jobs++;
    stream->counts.n_open++;
    return *slot;
}

/* The front of the ring is free for a new job. */
static void drop_first_job(struct stream *stream)
{
    struct job *job = stream->jobs[stream->first];

    if (job->begun && stream->tool->release)
        stream->tool->release(stream->tool->self, job);
    if (job->state == JOB_OPEN)
        stream->counts.n_open--;
    stream->held_bytes -= job->held_bytes;
    job_reset(job, KEEP_SIZE);
    stream->first = (stream->first + 1) % stream->window;
    stream->n_jobs--;
}

/* ---- in: lines become jobs ---- */

/* How many of the tool's members are there already, and the first of them. */
static size_t count_existing(const struct stream_tool *tool, const struct record *record,
                             const char **first)
{
    size_t n = 0;

    for (size_t i = tool->n_makes; i-- > 0;) {
        if (record_has(record, tool->makes[i])) {
            *first = tool->makes[i];
            n++;
        }
    }
    return n;
}

/* False: STATUS_INPUT, or the run ends. */
static bool begin_record(struct stream *stream, struct job *job, struct status *status)
{
    const struct stream_tool *tool = stream->tool;
    const char *existing = NULL;
    const size_t n_existing = count_existing(tool, &job->record, &existing);

    if (n_existing > 0 && stream->options->existing == STREAM_EXISTING_ERROR)
        return record_fail(&job->record, status, "exists", existing,
                           "member '%s' is there already (see --existing)", existing);
    if (n_existing > 0 && n_existing == tool->n_makes &&
        stream->options->existing == STREAM_EXISTING_KEEP) {
        job_end(job, JOB_KEPT);
        return true;
    }
    job->begun = true;
    return tool->begin(tool->self, job, status);
}

/* What a plain line becomes, as the tool reads it: under its other name, if it has one. */
static const char *text_member(const struct stream *stream)
{
    const struct stream_options *o = stream->options;
    const char *member = stream->tool->lines_member ? stream->tool->lines_member : "query";
    const struct member_name *mapped = member_map_find(&o->map, text_of(member));

    if (o->format != STREAM_LINES && !o->query)
        return NULL;
    return mapped ? mapped->name : member;
}

/* An error record whose line was mended becomes the record of that. */
static bool parse_mended(struct stream *stream, struct job *job, const struct line *line,
                         struct status *status)
{
    struct line mended = *line;

    if (!stream->retry || !retry_take(stream->retry, &job->record, &mended.number, &mended.bytes))
        return true;
    mended.too_long = mended.unfinished = false;
    mended.size = mended.bytes.len;
    return stream_line_parse(job, &mended, text_member(stream), status);
}

/* Of --retry the lines are an output, whatever the mended ones are. */
static bool parse_line(struct stream *stream, struct job *job, const struct line *line,
                       struct status *status)
{
    const char *member = stream->retry ? NULL : text_member(stream);

    return stream_line_parse(job, line, member, status) &&
           (!job->record.failed_upstream || parse_mended(stream, job, line, status));
}

static bool begin_line(struct stream *stream, const struct line *line, struct status *status)
{
    struct job *job = new_job(stream);
    bool ok;

    job->position = line->position;
    job->size = line->size;
    job->held_bytes = line->bytes.len;
    job->input_hash = stream->sink.resume.input_hash;
    stream->held_bytes += job->held_bytes;
    ok = parse_line(stream, job, line, status);
    if (ok && job->record.failed_upstream) {
        status_set_record(&job->why, "upstream", NULL, "failed in an earlier tool");
        job_end(job, JOB_UPSTREAM);
    } else if (ok) {
        ok = begin_record(stream, job, status);
    }
    if (!ok && status->code == STATUS_INPUT) {
        job_fail(job, status);
        ok = true;
    }
    return ok;
}

/* A record failed under --on-error fail: no more are taken in. */
static bool refuses(const struct stream *stream)
{
    return stream->options->on_error == STREAM_FAIL && stream->counts.n_failed > 0;
}

static bool may_take(const struct stream *stream)
{
    return !stream->input_ended && signals_caught() == 0 && !refuses(stream) &&
           stream->n_jobs < stream->window &&
           (stream->n_jobs == 0 || stream->held_bytes < MAX_HELD_BYTES);
}

/* A line that was taken, or with --resume has been dealt with. */
static bool take(struct stream *stream, const struct line *line, struct status *status)
{
    struct stream_sink *sink = &stream->sink;
    bool skip = false;

    if (resume_is_on(&sink->resume) && !resume_take(&sink->resume, line, &skip, status))
        return false;
    if (!skip)
        return begin_line(stream, line, status);
    sink->stats.position = sink->stats.first_position = line->position;
    return true;
}

/* Takes a line in, if there is one and room for it. */
static bool take_line(struct stream *stream, bool *took, struct status *status)
{
    enum line_queue_result result = QUEUE_EMPTY;

    if (may_take(stream))
        result = line_queue_take(stream->queue, &stream->taken, &stream->input_status);
    *took = result == QUEUE_LINE;
    if (result == QUEUE_FAILED)
        stream->input_failed = true;
    if (result == QUEUE_FAILED || result == QUEUE_END)
        stream->input_ended = true;
    if (result == QUEUE_END)
        return resume_take_end(&stream->sink.resume, status);
    return !*took || take(stream, &stream->taken.line, status);
}

/* ---- out: ended jobs become lines ---- */

static bool put_ended(struct stream *stream, struct status *status)
{
    while (stream->n_jobs > 0 && stream->jobs[stream->first]->state != JOB_OPEN) {
        const bool ok = stream_sink_put(&stream->sink, stream->jobs[stream->first], status);

        drop_first_job(stream);
        if (!ok)
            return false;
        if (stream_sink_is_due(&stream->sink) && !stream_sink_write(&stream->sink, status))
            return false;
    }
    return true;
}

/* ---- the loop ---- */

/* Until there is input or a signal; for the progress line, a second at most. */
static void wait_for_input(struct stream *stream)
{
    struct timespec until;

    if (!stream->sink.report.progress.on) {
        sem_wait(&stream->wake);
        return;
    }
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;
    sem_timedwait(&stream->wake, &until);
}

/* Nothing to do but wait. Posts about what is known already are taken back first. */
static bool idle(struct stream *stream, struct status *status)
{
    bool took;

    while (sem_trywait(&stream->wake) == 0)
        continue;
    if (!take_line(stream, &took, status))
        return false;
    if (!took && !stream->input_ended && signals_caught() == 0)
        wait_for_input(stream);
    return true;
}

static bool step(struct stream *stream, struct status *status)
{
    if (!stream->tool->step)
        return status_fail(status, STATUS_INTERNAL, "a record was begun and never ended");
    if (stream->tool->step(stream->tool->self, status))
        return true;
    if (status->code == STATUS_INPUT) /* job_fail is for that */
        status->code = STATUS_INTERNAL;
    return false;
}

/* No signal has come, or it leaves time for what has been begun. */
static bool may_go_on(struct stream *stream)
{
    if (signals_caught() == 0)
        return true;
    if (signals_caught() != SIGTERM || stream->counts.n_open == 0)
        return false;
    if (stream->deadline <= 0)
        stream->deadline = run_stats_now() + stream->options->grace;
    return run_stats_now() < stream->deadline;
}

/* Takes what has come, writes what has ended; where there is neither, steps or waits. */
static bool run_jobs(struct stream *stream, struct status *status)
{
    struct stream_sink *sink = &stream->sink;

    while (may_go_on(stream)) {
        bool took;

        if (!take_line(stream, &took, status) || !put_ended(stream, status))
            return false;
        if (stream->tool->tokens)
            sink->stats.n_tokens = stream->tool->tokens(stream->tool->self);
        progress_update(&sink->report.progress, &sink->stats);
        if (resume_is_due(&sink->resume, &sink->stats) && !stream_sink_save(sink, status))
            return false;
        if (took)
            continue;
        if (!stream_sink_write(sink, status))
            return false;
        if (stream->n_jobs == 0 && stream->input_ended)
            break;
        if (!(stream->counts.n_open > 0 ? step(stream, status) : idle(stream, status)))
            return false;
    }
    return true;
}

/* ---- beginning ---- */

static size_t max_line(const struct stream_options *options)
{
    return options->max_line > 0 ? options->max_line : STREAM_MAX_LINE_DEFAULT;
}

static bool count_expected(const struct stream_options *options, uint64_t *n, struct status *status)
{
    const char *const paths[] = {options->expect_file};
    enum jsonl_result result;
    struct jsonl *jsonl;
    struct line line;

    *n = options->expect;
    if (!options->expect_file)
        return true;
    jsonl = jsonl_open(paths, 1, max_line(options), status);
    if (!jsonl)
        return false;
    for (*n = 0; (result = jsonl_next(jsonl, &line, status)) == JSONL_LINE; ++*n)
        continue;
    jsonl_close(jsonl);
    return result == JSONL_END;
}

static bool open_queue(struct stream *stream, struct status *status)
{
    const struct stream_options *options = stream->options;
    struct jsonl *jsonl;

    if (options->query) {
        const struct text query = text_of(options->query);

        stream->queue = line_queue_of(
            &(struct line){.bytes = query, .file = "--query", .number = 1, .size = query.len});
        return true;
    }
    jsonl = jsonl_open(options->files, options->n_files, max_line(options), status);
    if (!jsonl)
        return false;
    if (options->shard.n > 0)
        jsonl_shard_set(jsonl, options->shard);
    stream->sink.stats.total_size = jsonl_total_size(jsonl);
    stream->queue = line_queue_open(jsonl, &stream->wake, status);
    return stream->queue != NULL;
}

static void start_report(struct stream *stream)
{
    const struct stream_options *options = stream->options;
    struct report *report = &stream->sink.report;
    const bool progress =
        options->progress == STREAM_PROGRESS_ON || (options->progress == STREAM_PROGRESS_AUTO &&
                                                    !options->quiet && isatty(STDERR_FILENO) == 1);

    report->name = stream->tool->name;
    report->quiet = options->quiet;
    report->verbose = options->verbose;
    if (!text_member(stream))
        report->plain_text_hint =
            stream->tool->lines_member ? "--format lines" : "medrat-gen --format lines";
    progress_start(&report->progress, stream->tool->name, progress);
    run_stats_start(&stream->sink.stats);
}

static bool open_retry(struct stream *stream, struct status *status)
{
    const struct stream_options *o = stream->options;

    if (!o->retry)
        return true;
    stream->retry = retry_open(o->retry, stream->tool->name, max_line(o), status);
    return stream->retry != NULL;
}

static bool open_stream(struct stream *stream, struct status *status)
{
    const struct stream_options *options = stream->options;

    stream->window = stream->tool->window > 0 ? stream->tool->window : DEFAULT_WINDOW;
    stream->jobs = memory_zeroed(stream->window, sizeof(struct job *));
    sem_init(&stream->wake, 0, 0);
    start_report(stream);
    signals_begin(&stream->wake);
    return stream_check(options, status) && count_expected(options, &stream->n_expected, status) &&
           open_retry(stream, status) &&
           stream_sink_open(&stream->sink, options, stream->tool, status) &&
           open_queue(stream, status);
}

/* ---- end ---- */

static void close_stream(struct stream *stream)
{
    line_queue_close(stream->queue);
    line_queue_release_line(&stream->taken);
    while (stream->n_jobs > 0)
        drop_first_job(stream);
    for (size_t i = 0; i < stream->window; i++) {
        struct job *job = stream->jobs[i];

        if (job)
            job_release(job);
        free(job);
    }
    free(stream->jobs);
    stream_sink_close(&stream->sink);
    retry_close(stream->retry);
    signals_end();
    sem_destroy(&stream->wake);
}

static bool write_stats(struct stream *stream, int exit_status, struct status *status)
{
    const struct stream_tool *tool = stream->tool;
    struct buf stats = {0};
    bool ok;

    if (!stream->options->stats)
        return true;
    buf_append_char(&stats, '{');
    run_stats_write(&stream->sink.stats, tool->name, exit_status, &stats);
    if (tool->stats) {
        buf_append_char(&stats, ',');
        tool->stats(tool->self, &stats);
    }
    buf_append_string(&stats, "}\n");
    ok = output_file_put(stream->options->stats, buf_text(&stats), status);
    buf_release(&stats);
    return ok;
}

static int exit_status_of_failures(const struct stream_options *options,
                                   const struct run_stats *stats)
{
    const double n_failed = (double)stats->n_failed;
    const double n_records = (double)stats->n_records;

    if (options->max_errors_percent ? n_failed * 100 > options->max_errors * n_records
                                    : n_failed > options->max_errors)
        return status_exit_code(options->plan ? STATUS_DATA : STATUS_INPUT);
    return 0;
}

/* Beside the output, which is in place. */
static bool describe_output(const struct stream *stream, struct status *status)
{
    const struct stream_options *o = stream->options;
    const struct run_stats *counts = &stream->sink.stats;

    if (o->meta &&
        !run_meta_write(o, stream->tool, counts, exit_status_of_failures(o, counts), status))
        return false;
    return !o->dep_file || dep_file_write(o->dep_file, o->output, status);
}

/* All lines were read and dealt with: is that what was asked for? */
static bool is_whole(const struct stream *stream, struct status *status)
{
    const struct stream_options *options = stream->options;
    const uint64_t n = stream->sink.stats.n_records;

    if (stream->input_failed) {
        *status = stream->input_status;
        return false;
    }
    if ((options->expect_set || options->expect_file) && n != stream->n_expected)
        return status_fail(status, STATUS_DATA, "expected %llu records, but %llu came",
                           (unsigned long long)stream->n_expected, (unsigned long long)n);
    return !stream->retry || retry_all_taken(stream->retry, status);
}

static bool complete(struct stream *stream, struct status *status)
{
    if (!stream_sink_commit(&stream->sink, status) ||
        (stream->tool->complete &&
         !stream->tool->complete(stream->tool->self, &stream->sink.stats, status)) ||
        !describe_output(stream, status))
        return false;
    if (resume_is_on(&stream->sink.resume))
        resume_end(&stream->sink.resume);
    return true;
}

/* The run ends before its time: what has ended still goes out, as whole lines. */
static bool put_rest(struct stream *stream, struct status *status)
{
    if (refuses(stream))
        return stream_sink_write(&stream->sink, status);
    return put_ended(stream, status) && stream_sink_write(&stream->sink, status) &&
           stream_sink_save(&stream->sink, status);
}

/* Asked to stop, with lines left. */
static bool end_early(struct stream *stream, struct status *status)
{
    if (!put_rest(stream, status))
        return false;
    report_stopped(&stream->sink.report, signals_caught(), &stream->sink.stats);
    return true;
}

/* What an open stream comes to: the program's exit status. */
static int run(struct stream *stream, struct status *status)
{
    struct stream_sink *sink = &stream->sink;
    struct status ignored;

    if (!run_jobs(stream, status)) {
        /* the failure to tell is the first one; if it was writing, there is no more of that */
        if (status->code != STATUS_IO && !put_rest(stream, &ignored))
            *status = ignored;
    } else if (stream->n_jobs > 0 || !stream->input_ended) {
        if (end_early(stream, status))
            return status_exit_code(STATUS_AGAIN);
    } else if (!is_whole(stream, status)) {
        if (!stream_sink_save(sink, &ignored)) /* more may come another time */
            *status = ignored;
    } else if (complete(stream, status)) {
        return exit_status_of_failures(stream->options, &sink->stats);
    }
    report_fatal(&sink->report, status);
    return status_exit_code(status->code);
}

bool stream_input_is_terminal(const struct stream_options *options)
{
    return options->n_files == 0 && !options->query && isatty(STDIN_FILENO) == 1;
}

int stream_run(const struct stream_options *options, const struct stream_tool *tool)
{
    struct stream stream = {.options = options, .tool = tool};
    struct status status = {0};
    int exit_status, stopped_by = 0;

    if (open_stream(&stream, &status)) {
        exit_status = run(&stream, &status);
        if (exit_status == status_exit_code(STATUS_AGAIN))
            stopped_by = signals_caught();
    } else {
        report_fatal(&stream.sink.report, &status);
        exit_status = status_exit_code(status.code);
    }
    if (!write_stats(&stream, exit_status, &status)) {
        report_fatal(&stream.sink.report, &status);
        exit_status = status_exit_code(STATUS_IO);
    }
    report_end(&stream.sink.report, &stream.sink.stats);
    close_stream(&stream);
    if (stopped_by != 0 && stopped_by != SIGTERM)
        signals_die_of(stopped_by);
    return exit_status;
}
