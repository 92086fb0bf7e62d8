/* The loop that all tools share: read a line, begin it, step until it is done, write it.
 *
 * A thread reads lines ahead into a queue bounded by records and bytes, so that records leave as
 * soon as they and those before them are done, also while the input stays open. Records leave in
 * input order. What every tool does the same is done here: bad lines, records that failed earlier,
 * --existing, --on-error, --errors, --max-errors, --expect, -o, --stats, progress, signals.
 */
#ifndef CLI_STREAM_H
#define CLI_STREAM_H

#include <jansson.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "cli/job.h"
#include "formats/jsonl.h"
#include "formats/member_map.h"

enum stream_on_error { STREAM_EMIT, STREAM_SKIP, STREAM_FAIL };
enum stream_existing { STREAM_EXISTING_ERROR, STREAM_EXISTING_REPLACE, STREAM_EXISTING_KEEP };
enum stream_progress { STREAM_PROGRESS_AUTO, STREAM_PROGRESS_ON, STREAM_PROGRESS_OFF };
enum stream_format {
    STREAM_JSONL,
    STREAM_LINES, /* a line is plain text: it becomes {"query":...}, see lines_member */
};

/* Zeroed = the defaults of the command line. */
struct stream_options {
    const char *const *files; /* operands; "-" is standard input */
    size_t n_files;           /* 0: standard input */
    struct member_map map;    /* --map; what it points to is not ours */
    const char *query;        /* --query: this one record instead of any input; NULL: none */
    enum stream_format format;
    size_t max_line; /* bytes a line may have; 0: STREAM_MAX_LINE_DEFAULT */
    enum stream_existing existing;
    const char *output; /* -o; NULL or "-": standard output */
    enum stream_on_error on_error;
    const char *errors;      /* --errors FILE; NULL: none */
    double max_errors;       /* failures that are still exit 0: a count, or ... */
    bool max_errors_percent; /* ... a share of the records in percent */
    bool expect_set;         /* --expect N ... */
    uint64_t expect;         /* ... this many records */
    const char *expect_file; /* --expect FILE: as many as it has; NULL: none */
    const char *retry;       /* --retry FILE; NULL: none */
    const char *stats;       /* --stats FILE; NULL: none */
    enum stream_progress progress;
    bool update;                 /* an output that would stay the same is left alone */
    const char *dep_file;        /* --dep-file FILE; NULL: none */
    bool meta;                   /* OUTPUT.meta.json */
    bool plan;                   /* cli/plan.h: too many failures are exit 65 */
    bool quiet;                  /* no messages about single records, no progress */
    bool verbose;                /* a summary at the end */
    bool resume;                 /* -o is written as cli/resume.h says */
    uint64_t checkpoint_records; /* how often: after so many records; 0: ... */
    double checkpoint_seconds;   /* ... after so many seconds */
    struct jsonl_shard shard;    /* of the one file; zeroed: all of it */
    double grace;                /* seconds after SIGTERM in which begun records may end */
    const struct cli_tool *cli;  /* whose options are settings of the run; for resume */
};

#define STREAM_MAX_LINE_DEFAULT ((size_t)16 << 20)
#define STREAM_CHECKPOINT_SECONDS 20

struct cli_tool;  /* cli/cli.h */
struct run_stats; /* cli/run_stats.h */

struct stream_tool {
    const char *name; /* "medrat-score": in messages, and "tool" of error records */
    void *self;
    const char *const *makes; /* the members this tool adds; --existing is about them */
    size_t n_makes;
    /* Take the record in; the tool may end it here already by job_done. False with STATUS_INPUT:
     * this record failed; any other code ends the run. */
    bool (*begin)(void *self, struct job *job, struct status *status);
    /* Go on with what was begun, for a fraction of a second; called as long as a job is not ended.
     * False ends the run. NULL if begin always ends its job. */
    bool (*step)(void *self, struct status *status);
    /* Free job->work. Once for each job that begin got, whatever became of it; may be NULL. */
    void (*release)(void *self, struct job *job);
    /* The job is done and its turn to be written has come: in input order, and never again. What
     * adds records up does it here. May be NULL. */
    void (*put)(void *self, const struct job *job);
    /* For --resume: what shapes the records beside the options (models by name and hash, kernels,
     * ...) as texts; may be NULL. */
    void (*settings)(void *self, json_t *settings);
    /* What has been added up so far, as text, and back; both NULL: nothing is. */
    void (*save)(void *self, struct buf *state);
    bool (*load)(void *self, struct text state, struct status *status);
    /* How many tokens were computed so far; NULL: they are not counted. */
    uint64_t (*tokens)(void *self);
    /* Append `"tokens":12,...` to the members of --stats; may be NULL. */
    void (*stats)(void *self, struct buf *members);
    /* The run is complete: every record was dealt with, the output is in place. What is about the
     * whole run is written here; may be NULL. */
    bool (*complete)(void *self, const struct run_stats *counts, struct status *status);
    size_t window; /* records begun and not yet written, at most; 0: 64 */
    /* The member that a plain line of --format lines, or --query, becomes. NULL: the tool has no
     * such options, and names the one that has. */
    const char *lines_member;
    bool takes_all; /* records end here: nothing is written of them, whatever -o says */
};

/* True if the records would come from a terminal that nobody asked for: print help instead. */
bool stream_input_is_terminal(const struct stream_options *options);

/* What can be known before a model is loaded: operands and --expect FILE can be read, no file is
 * read and written at once. False: STATUS_NO_INPUT or STATUS_USAGE. */
bool stream_check(const struct stream_options *options, struct status *status) MUST_CHECK;

/* The run. Prints its own messages; returns the exit status of the program. On SIGINT it does not
 * return: it dies of the signal once what is finished is written. */
int stream_run(const struct stream_options *options, const struct stream_tool *tool);

#endif
