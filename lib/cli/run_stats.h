/* What a run did, in numbers: for the progress line, the exit status and --stats. */
#ifndef CLI_RUN_STATS_H
#define CLI_RUN_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct run_stats {
    uint64_t n_records;  /* lines read, and dealt with */
    uint64_t n_done;     /* done by this tool */
    uint64_t n_kept;     /* of those: passed on as they were, by --existing keep */
    uint64_t n_failed;   /* n_records = n_done + n_failed */
    uint64_t n_upstream; /* of those: failed already when they came */
    uint64_t bytes_in;   /* of the lines read, without line ends */
    uint64_t bytes_out;  /* written, before compression */
    uint64_t n_tokens;   /* computed by this run; 0: the tool does not count them */
    uint64_t position;   /* bytes of the input files behind the last record dealt with */
    uint64_t total_size; /* bytes of the input files; 0: not known */
    uint64_t first_record, first_position; /* where this run went on from another one */
    double started;                        /* run_stats_now() */
    int64_t started_at;                    /* seconds since 1970 */
};

/* Seconds of a clock that only goes forward. */
double run_stats_now(void);
void run_stats_start(struct run_stats *stats);

/* Appends the members of --stats: formats/README.md has their list. */
void run_stats_write(const struct run_stats *stats, const char *tool, int exit_status,
                     struct buf *out);

#endif
