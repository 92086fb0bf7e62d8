/* Where a run with --resume is: PATH.state beside the output, a JSON object in one line, mode 0600,
 * that replaces the one before it as a whole.
 *
 *     {"format": "medrat-run 1", "lines": N, "input": "16 hex digits", "output": BYTES,
 *      "errors": BYTES, "ended": BOOL, "done": N, "kept": N, "failed": N, "upstream": N,
 *      "bytes_in": N, "bytes_out": N, "settings": {"max-length": "512", ...}, "tool": TEXT or null}
 *
 * No text of a record is in it.
 */
#ifndef CLI_RUN_STATE_H
#define CLI_RUN_STATE_H

#include <jansson.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "cli/run_stats.h"

struct run_state {
    uint64_t n_lines;        /* of the input that were dealt with */
    uint64_t input_hash;     /* of those lines */
    uint64_t output, errors; /* bytes of either file by then */
    bool ended;              /* there was no further line */
    struct run_stats counts; /* what is counted in records and bytes */
    struct buf tool;         /* ours: what the tool wants to go on from; empty: nothing */
};

/* STATUS_IO. settings: names and texts; whatever would make other records. */
bool run_state_write(const struct run_state *state, const json_t *settings, const char *path,
                     struct status *status) MUST_CHECK;

/* The state and its settings; the caller drops them with json_decref. NULL: STATUS_NO_INPUT if
 * there is none, STATUS_CONFIG if it is damaged. */
json_t *run_state_read(struct run_state *state, const char *path, struct status *status) MUST_CHECK;

/* STATUS_CONFIG unless each setting is what it was; names the first that is not. */
bool run_state_compare(const json_t *were, const json_t *are, struct status *status) MUST_CHECK;

/* The same of bytes in memory; messages have no file name. */
json_t *run_state_parse(struct run_state *state, struct text bytes,
                        struct status *status) MUST_CHECK;
void run_state_text(const struct run_state *state, const json_t *settings, struct buf *out);

void run_state_release(struct run_state *state);

#endif
