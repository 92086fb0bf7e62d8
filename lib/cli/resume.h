/* --resume: an output that is made over several runs of one command, each record exactly once.
 *
 * The output grows as PATH.part (formats/part_file.h); PATH.state (cli/run_state.h) says how much
 * of it counts, and of which lines of the input. A run first reads as many lines again, which must
 * be the same. Both files are on disk before the state that speaks of them is: whatever ends a run,
 * and wherever, the next one goes on from the last state.
 */
#ifndef CLI_RESUME_H
#define CLI_RESUME_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "cli/error_file.h"
#include "cli/run_state.h"
#include "cli/stream.h"
#include "formats/jsonl.h"
#include "formats/part_file.h"

/* Zeroed = off. */
struct resume {
    const struct stream_options *options;
    const struct stream_tool *tool;
    struct part_file *part; /* ours; NULL: off, or the output is at its place already */
    bool is_placed;
    struct buf path;        /* ours: of the state */
    json_t *settings;       /* ours: of this run */
    struct run_state state; /* as it was found, then as it was last written */
    uint64_t n_to_skip;     /* lines that are still to be read again */
    uint64_t input_hash;    /* of all lines that were taken */
    double saved_at;        /* run_stats_now() */
};

/* Before a model is opened: a run that goes on takes the kernel set of the one before it, unless
 * MEDRAT_KERNELS says another. STATUS_CONFIG: the state beside `output` is damaged. */
bool resume_pin(const char *output, struct status *status) MUST_CHECK;

/* Finds out where to go on. STATUS_AGAIN: another run is at it; STATUS_CONFIG: a setting is not
 * what it was; STATUS_DATA: a file is shorter than it was. */
bool resume_open(struct resume *resume, const struct stream_options *options,
                 const struct stream_tool *tool, struct status *status) MUST_CHECK;
bool resume_is_on(const struct resume *resume);

/* A line was taken from the input. *skip: it has been dealt with. STATUS_CONFIG: the input is not
 * the one that it was. */
bool resume_take(struct resume *resume, const struct line *line, bool *skip,
                 struct status *status) MUST_CHECK;
/* The same: the input has ended. */
bool resume_take_end(const struct resume *resume, struct status *status) MUST_CHECK;

/* Is it time to write down where the run is? */
bool resume_is_due(const struct resume *resume, const struct run_stats *stats);

/* Writes it down: everything before was written. input_hash: of the lines that stats counts. */
bool resume_save(struct resume *resume, const struct run_stats *stats, uint64_t input_hash,
                 struct error_file *errors, bool ended, struct status *status) MUST_CHECK;

/* The output is complete. */
bool resume_commit(struct resume *resume, struct status *status) MUST_CHECK;
/* Nothing is left to do: the state goes. */
void resume_end(struct resume *resume);

void resume_close(struct resume *resume);

#endif
