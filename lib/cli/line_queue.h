/* Lines read ahead by a thread, so that waiting for input never holds up what is in work.
 *
 * Bounded by records and by bytes: when the queue is full, reading waits.
 */
#ifndef CLI_LINE_QUEUE_H
#define CLI_LINE_QUEUE_H

#include <semaphore.h>

#include "base/buf.h"
#include "base/status.h"
#include "formats/jsonl.h"

struct queued_line {
    struct line line; /* bytes into `bytes` */
    struct buf bytes; /* ours */
};

struct line_queue;

enum line_queue_result {
    QUEUE_LINE,
    QUEUE_EMPTY,  /* nothing yet: *wake is posted when that changes */
    QUEUE_END,    /* no more lines */
    QUEUE_FAILED, /* no more lines; *status says why */
};

/* Takes the reader over, and starts to read. wake must outlive the queue. NULL: no thread to be
 * had; the reader is closed. */
struct line_queue *line_queue_open(struct jsonl *jsonl, sem_t *wake,
                                   struct status *status) MUST_CHECK;

/* A queue of this one line, which must live as long, and no more; no thread. */
struct line_queue *line_queue_of(const struct line *line);

/* The next line, without waiting. What *line held is dropped; its memory is used again. */
enum line_queue_result line_queue_take(struct line_queue *queue, struct queued_line *line,
                                       struct status *status) MUST_CHECK;

/* Stops reading, wherever it is. NULL allowed. */
void line_queue_close(struct line_queue *queue);

void line_queue_release_line(struct queued_line *line);

#endif
