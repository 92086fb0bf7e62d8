#include "train/train_log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/json_write.h"

static bool fail(const struct train_log *log, struct status *status)
{
    return status_fail(status, STATUS_IO, "%s: %s", log->path, strerror(errno));
}

bool train_log_open(struct train_log *log, const char *path, uint64_t size, struct status *status)
{
    struct stat st;

    *log = (struct train_log){.path = path};
    log->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_APPEND, 0666);
    if (log->fd < 0 || fstat(log->fd, &st) != 0)
        return fail(log, status);
    log->size = (uint64_t)st.st_size < size ? (uint64_t)st.st_size : size;
    return ftruncate(log->fd, (off_t)log->size) == 0 || fail(log, status);
}

static bool append(struct train_log *log, struct status *status)
{
    const char *from = log->line.data;
    size_t n = log->line.len;

    while (n > 0) {
        const ssize_t put = write(log->fd, from, n);

        if (put < 0 && errno != EINTR)
            return fail(log, status);
        if (put > 0) {
            from += put;
            n -= (size_t)put;
        }
    }
    log->size += log->line.len;
    return true;
}

static void add_uint(struct buf *line, const char *name, uint64_t value)
{
    json_write_name(line, name);
    json_write_uint(line, value);
}

static void add_double(struct buf *line, const char *name, double value)
{
    json_write_name(line, name);
    json_write_double(line, value);
}

static void begin(struct train_log *log, uint64_t step)
{
    buf_reset(&log->line);
    buf_append_char(&log->line, '{');
    add_uint(&log->line, "step", step);
}

static bool end(struct train_log *log, struct status *status)
{
    buf_append_string(&log->line, "}\n");
    return append(log, status);
}

bool train_log_step(struct train_log *log, const struct train_log_step *s, struct status *status)
{
    begin(log, s->step);
    add_double(&log->line, "epoch", s->epoch);
    add_double(&log->line, "loss", s->loss);
    add_double(&log->line, "lr", s->lr);
    add_double(&log->line, "gradient_norm", s->gradient_norm);
    add_uint(&log->line, "tokens", s->tokens);
    add_uint(&log->line, "targets", s->targets);
    add_double(&log->line, "tokens_per_second",
               s->seconds > 0 ? (double)s->tokens / s->seconds : 0);
    return end(log, status);
}

bool train_log_validation(struct train_log *log, const struct train_log_validation *v,
                          struct status *status)
{
    begin(log, v->step);
    add_double(&log->line, "validation_loss", v->loss);
    add_uint(&log->line, "targets", v->targets);
    json_write_name(&log->line, "best");
    json_write_bool(&log->line, v->is_best);
    return end(log, status);
}

bool train_log_sync(struct train_log *log, struct status *status)
{
    return fsync(log->fd) == 0 || fail(log, status);
}

void train_log_close(struct train_log *log)
{
    if (log->path && log->fd >= 0)
        close(log->fd);
    buf_release(&log->line);
    *log = (struct train_log){.fd = -1};
}
