/* The line on a terminal that says how far a run is. On something that is no terminal, where it
 * has to be asked for, a line of its own every few seconds. */
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

/* Draws if it is time to. */
void progress_update(struct progress *progress, const struct run_stats *stats);

/* Off with the line: before a message, and at the end. */
void progress_clear(struct progress *progress);

/* The run is over: the line goes; what is no terminal gets a last one. */
void progress_end(struct progress *progress, const struct run_stats *stats);

/* The line itself, at most `width` columns. */
void progress_format(const struct progress *progress, const struct run_stats *stats, double seconds,
                     size_t width, struct buf *out);

#endif
