/* metrics.jsonl: what training tells of each step and of each validation, a JSON object a line.
 * formats/README.md lists the members.
 */
#ifndef TRAIN_TRAIN_LOG_H
#define TRAIN_TRAIN_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"

struct train_log_step {
    uint64_t step; /* from 1 */
    double epoch;  /* passed by then */
    double loss;   /* nats a target */
    double lr, gradient_norm;
    uint64_t tokens, targets;
    double seconds;
};

struct train_log_validation {
    uint64_t step;
    double loss;
    uint64_t targets;
    bool is_best;
};

struct train_log {
    int fd;
    const char *path; /* the caller's */
    uint64_t size;
    struct buf line;
};

/* Goes on behind the first `size` bytes of the file, or of what it has of them. STATUS_IO. */
bool train_log_open(struct train_log *log, const char *path, uint64_t size,
                    struct status *status) MUST_CHECK;
bool train_log_step(struct train_log *log, const struct train_log_step *step,
                    struct status *status) MUST_CHECK;
bool train_log_validation(struct train_log *log, const struct train_log_validation *validation,
                          struct status *status) MUST_CHECK;
/* Everything on disk. */
bool train_log_sync(struct train_log *log, struct status *status) MUST_CHECK;
void train_log_close(struct train_log *log); /* zeroed or with fd -1: nothing */

#endif
