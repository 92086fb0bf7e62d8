#include "cli/line_queue.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define MAX_LINES 256
#define MAX_BYTES ((size_t)4 << 20) /* or one line, if that is longer */
#define KEEP_SIZE ((size_t)64 << 10)

/* A ring with one writer, the thread, and one reader, who calls line_queue_take. A slot belongs to
 * the writer until n_lines counts it, and again once it is taken. */
struct line_queue {
    struct jsonl *jsonl; /* NULL: no thread either */
    sem_t *wake;
    pthread_t thread;
    pthread_mutex_t lock; /* of all below but the slots' contents */
    pthread_cond_t room;
    struct queued_line slots[MAX_LINES];
    size_t first, n_lines, n_bytes;
    bool stopped; /* nobody takes any more */
    bool ended;   /* nothing comes any more */
    enum jsonl_result result;
    struct status status; /* if result is JSONL_FAILED */
};

static bool is_full(const struct line_queue *queue, size_t n)
{
    return queue->n_lines == MAX_LINES || (queue->n_lines > 0 && queue->n_bytes + n > MAX_BYTES);
}

/* The slot for the next line; NULL: stop. */
static struct queued_line *wait_for_slot(struct line_queue *queue, size_t n_bytes)
{
    struct queued_line *slot = NULL;

    pthread_mutex_lock(&queue->lock);
    while (!queue->stopped && is_full(queue, n_bytes))
        pthread_cond_wait(&queue->room, &queue->lock);
    if (!queue->stopped)
        slot = &queue->slots[(queue->first + queue->n_lines) % MAX_LINES];
    pthread_mutex_unlock(&queue->lock);
    return slot;
}

static void hand_over(struct line_queue *queue, size_t n_bytes)
{
    bool was_empty;

    pthread_mutex_lock(&queue->lock);
    was_empty = queue->n_lines++ == 0;
    queue->n_bytes += n_bytes;
    pthread_mutex_unlock(&queue->lock);
    if (was_empty)
        sem_post(queue->wake);
}

/* One long line must not leave its size in every slot. */
static void copy_line(struct queued_line *slot, const struct line *line)
{
    if (slot->bytes.cap > KEEP_SIZE)
        buf_release(&slot->bytes);
    buf_reset(&slot->bytes);
    buf_append_text(&slot->bytes, line->bytes);
    slot->line = *line;
    slot->line.bytes = buf_text(&slot->bytes);
}

static void *read_lines(void *argument)
{
    struct line_queue *queue = argument;
    struct status status = {0};
    enum jsonl_result result;
    struct line line;

    while ((result = jsonl_next(queue->jsonl, &line, &status)) == JSONL_LINE) {
        struct queued_line *slot = wait_for_slot(queue, line.bytes.len);

        if (!slot)
            return NULL;
        copy_line(slot, &line);
        hand_over(queue, line.bytes.len);
    }
    pthread_mutex_lock(&queue->lock);
    queue->ended = true;
    queue->result = result;
    queue->status = status;
    pthread_mutex_unlock(&queue->lock);
    sem_post(queue->wake);
    return NULL;
}

/* Signals are for the thread that waits for them, not for this one. */
static int start_thread(struct line_queue *queue)
{
    sigset_t all, before;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&queue->thread, NULL, read_lines, queue);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

struct line_queue *line_queue_open(struct jsonl *jsonl, sem_t *wake, struct status *status)
{
    struct line_queue *queue = memory_zeroed(1, sizeof(*queue));
    int error;

    queue->jsonl = jsonl;
    queue->wake = wake;
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->room, NULL);
    error = start_thread(queue);
    if (error != 0) {
        status_set(status, STATUS_MEMORY, "cannot start a thread: %s", strerror(error));
        jsonl_close(jsonl);
        free(queue);
        return NULL;
    }
    return queue;
}

struct line_queue *line_queue_of(const struct line *line)
{
    struct line_queue *queue = memory_zeroed(1, sizeof(*queue));

    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->room, NULL);
    copy_line(&queue->slots[0], line);
    queue->n_lines = 1;
    queue->n_bytes = line->bytes.len;
    queue->ended = true;
    queue->result = JSONL_END;
    return queue;
}

enum line_queue_result line_queue_take(struct line_queue *queue, struct queued_line *line,
                                       struct status *status)
{
    enum line_queue_result result = QUEUE_EMPTY;

    pthread_mutex_lock(&queue->lock);
    if (queue->n_lines > 0) {
        struct queued_line *slot = &queue->slots[queue->first];
        const struct queued_line taken = *slot;

        *slot = *line;
        *line = taken;
        queue->first = (queue->first + 1) % MAX_LINES;
        queue->n_lines--;
        queue->n_bytes -= taken.line.bytes.len;
        pthread_cond_signal(&queue->room);
        result = QUEUE_LINE;
    } else if (queue->ended) {
        result = queue->result == JSONL_FAILED ? QUEUE_FAILED : QUEUE_END;
        if (result == QUEUE_FAILED)
            *status = queue->status;
    }
    pthread_mutex_unlock(&queue->lock);
    return result;
}

static void stop_thread(struct line_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->stopped = true;
    pthread_cond_signal(&queue->room);
    pthread_mutex_unlock(&queue->lock);
    jsonl_interrupt(queue->jsonl);
    pthread_join(queue->thread, NULL);
}

void line_queue_close(struct line_queue *queue)
{
    if (!queue)
        return;
    if (queue->jsonl)
        stop_thread(queue);
    jsonl_close(queue->jsonl);
    for (size_t i = 0; i < MAX_LINES; i++)
        line_queue_release_line(&queue->slots[i]);
    pthread_cond_destroy(&queue->room);
    pthread_mutex_destroy(&queue->lock);
    free(queue);
}

void line_queue_release_line(struct queued_line *line)
{
    buf_release(&line->bytes);
    line->line = (struct line){0};
}
