/* The line on a terminal that says how far a run is. On something that is no terminal, where it
 * has to be asked for, a line of its own every few seconds. SIGUSR1 asks for one line, anywhere. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/run_stats.h"

/* Zeroed = off. */
struct progress {
    const char *name; /* of the tool */
    bool on;
    bool on_terminal;
    size_t drawn;      /* columns of the line that stands there now */
    double last_drawn; /* run_stats_now() */
};

void progress_start(struct progress *progress, const char *name, bool on);

/* Draws if it is time to, or if somebody has asked. */
void progress_update(struct progress *progress, const struct run_stats *stats);

/* Off with the line: before a message, and at the end. */
void progress_clear(struct progress *progress);

/* The run is over: the line goes; what is no terminal gets a last one. */
void progress_end(struct progress *progress, const struct run_stats *stats);

/* The line itself, `seconds` after the run began: at most `width` columns, for which the bar goes
 * first. */
void progress_format(const struct run_stats *stats, double seconds, size_t width, struct buf *out);

/* The same as members of a JSON object: "records", "failed", "records_per_second"; "tokens",
 * "tokens_per_second" where they are counted; "share" (of the input's bytes, 0 to 1) and
 * "eta_seconds" where its size is known. */
void progress_members(const struct run_stats *stats, double seconds, struct buf *out);

#endif
