#include "formats/byte_source.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/memory.h"
#include "base/read_files.h"

#define INPUT_SIZE 65536

struct byte_source {
    int fd;
    bool owns_fd;
    int stop_fd;
    const char *name; /* the caller's */
    uint64_t position;
    bool known;     /* whether it is gzip has been seen */
    bool gzip;      /* `inflate` is initialised */
    bool at_end;    /* the file gave no more */
    bool stopped;   /* stop_fd became readable */
    bool in_member; /* between a gzip member's first byte and its checksum */
    bool pending;   /* inflate filled the room it had: it may hold more */
    size_t n_members;
    z_stream inflate;
    uint8_t input[INPUT_SIZE]; /* taken from the file, not yet handed on: [start, end) */
    size_t start, end;
};

/* A fifo nobody writes to yet must not block us here, where no stop_fd is watched: open it without
 * waiting, and wait in poll. */
static int open_file(const char *path)
{
    const int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

    if (fd >= 0)
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    return fd;
}

struct byte_source *byte_source_open(const char *path, int stop_fd, struct status *status)
{
    const bool is_stdin = strcmp(path, "-") == 0;
    struct byte_source *source = memory_zeroed(1, sizeof(*source));
    struct stat st;

    source->name = is_stdin ? "stdin" : path;
    source->owns_fd = !is_stdin;
    source->stop_fd = stop_fd;
    source->fd = is_stdin ? STDIN_FILENO : open_file(path);
    if (source->fd < 0) {
        status_set(status, STATUS_NO_INPUT, "%s: %s", source->name, strerror(errno));
    } else if (fstat(source->fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        status_set(status, STATUS_NO_INPUT, "%s: %s", source->name, strerror(EISDIR));
    } else {
        read_files_note(path);
        return source;
    }
    byte_source_close(source);
    return NULL;
}

void byte_source_close(struct byte_source *source)
{
    if (!source)
        return;
    if (source->gzip)
        inflateEnd(&source->inflate);
    if (source->owns_fd && source->fd >= 0)
        close(source->fd);
    free(source);
}

bool byte_source_stopped(const struct byte_source *source)
{
    return source->stopped;
}

const char *byte_source_name(const struct byte_source *source)
{
    return source->name;
}

uint64_t byte_source_position(const struct byte_source *source)
{
    return source->position;
}

/* Until there is something to read (true) or stop_fd calls us off (false). */
static bool wait_for_bytes(struct byte_source *source)
{
    struct pollfd fds[2] = {
        {.fd = source->fd, .events = POLLIN},
        {.fd = source->stop_fd, .events = POLLIN}, /* poll skips a negative one */
    };

    while (poll(fds, 2, -1) < 0) {
        if (errno != EINTR && errno != EAGAIN)
            return true; /* read will say what is wrong */
    }
    source->stopped = fds[1].revents != 0;
    return !source->stopped;
}

/* One read into `to`; *n = 0: at_end or stopped. */
static bool read_file(struct byte_source *source, void *to, size_t size, size_t *n,
                      struct status *status)
{
    *n = 0;
    while (!source->at_end && wait_for_bytes(source)) {
        const ssize_t got = read(source->fd, to, size);

        if (got > 0) {
            *n = (size_t)got;
            source->position += *n;
            return true;
        }
        if (got == 0)
            source->at_end = true;
        else if (errno != EINTR && errno != EAGAIN)
            return status_fail(status, STATUS_IO, "%s: %s", source->name, strerror(errno));
    }
    return true;
}

static bool fill_input(struct byte_source *source, struct status *status)
{
    size_t n;

    if (source->start == source->end)
        source->start = source->end = 0;
    if (!read_file(source, source->input + source->end, INPUT_SIZE - source->end, &n, status))
        return false;
    source->end += n;
    return true;
}

/* Looks at the first two bytes, waiting for the second only if the first is gzip's. */
static bool recognise(struct byte_source *source, struct status *status)
{
    while (source->end < 2 && !source->at_end && !source->stopped &&
           (source->end == 0 || source->input[0] == 0x1f)) {
        if (!fill_input(source, status))
            return false;
    }
    if (source->stopped)
        return true;
    source->known = true;
    if (source->end < 2 || source->input[0] != 0x1f || source->input[1] != 0x8b)
        return true;
    if (inflateInit2(&source->inflate, 15 + 16) != Z_OK) /* 16: gzip and nothing else */
        return status_fail(status, STATUS_MEMORY, "%s: no memory to unpack gzip", source->name);
    source->gzip = true;
    return true;
}

static bool read_plain(struct byte_source *source, void *to, size_t size, size_t *n,
                       struct status *status)
{
    const size_t held = source->end - source->start;

    if (held == 0)
        return read_file(source, to, size, n, status);
    *n = held < size ? held : size;
    memcpy(to, source->input + source->start, *n);
    source->start += *n;
    return true;
}

/* At the first byte after a member: another one begins, or it is garbage. */
static bool begin_member(struct byte_source *source, struct status *status)
{
    if (source->n_members > 0 && source->input[source->start] != 0x1f)
        return status_fail(status, STATUS_DATA, "%s: something that is not gzip follows gzip data",
                           source->name);
    if (source->n_members > 0)
        inflateReset(&source->inflate);
    source->n_members++;
    source->in_member = true;
    return true;
}

/* Unpacks what is in `input` into `to`; *n may stay 0 while headers are read. */
static bool inflate_some(struct byte_source *source, void *to, size_t size, size_t *n,
                         struct status *status)
{
    z_stream *z = &source->inflate;
    const uInt room = size < 1 << 30 ? (uInt)size : 1 << 30;
    int result;

    z->next_in = source->input + source->start;
    z->avail_in = (uInt)(source->end - source->start);
    z->next_out = to;
    z->avail_out = room;
    result = inflate(z, Z_NO_FLUSH);
    source->start = source->end - z->avail_in;
    source->pending = z->avail_out == 0 && result == Z_OK;
    *n = room - z->avail_out;
    if (result == Z_STREAM_END)
        source->in_member = false;
    else if (result == Z_MEM_ERROR)
        return status_fail(status, STATUS_MEMORY, "%s: no memory to unpack gzip", source->name);
    else if (result != Z_OK && result != Z_BUF_ERROR)
        return status_fail(status, STATUS_DATA, "%s: broken gzip data: %s", source->name,
                           z->msg ? z->msg : "cannot be unpacked");
    return true;
}

static bool read_gzip(struct byte_source *source, void *to, size_t size, size_t *n,
                      struct status *status)
{
    *n = 0;
    while (*n == 0) {
        if (source->start == source->end && !source->pending) {
            if (!fill_input(source, status))
                return false;
            if (source->stopped)
                return true;
        }
        if (source->start == source->end && !source->pending && source->at_end) {
            if (source->in_member)
                return status_fail(status, STATUS_DATA, "%s: gzip data is cut short", source->name);
            return true;
        }
        if (!source->in_member && source->start < source->end && !begin_member(source, status))
            return false;
        if (!inflate_some(source, to, size, n, status))
            return false;
    }
    return true;
}

bool byte_source_read(struct byte_source *source, void *to, size_t size, size_t *n,
                      struct status *status)
{
    *n = 0;
    if (!source->known && !recognise(source, status))
        return false;
    if (source->stopped)
        return true;
    return source->gzip ? read_gzip(source, to, size, n, status)
                        : read_plain(source, to, size, n, status);
}
