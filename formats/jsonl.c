#include "formats/jsonl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/memory.h"
#include "formats/byte_source.h"

#define CHUNK_SIZE 65536

static const char *const stdin_alone[] = {"-"};

struct jsonl {
    const char *const *paths; /* the caller's */
    size_t n_paths;
    size_t next_path; /* to open when `source` is at its end */
    size_t max_line;
    uint64_t total_size;
    struct byte_source *source; /* NULL between files */
    const char *file;
    size_t number;         /* of the line last handed out */
    bool at_start;         /* nothing of this file was taken yet: a byte order mark may come */
    uint64_t closed_bytes; /* of files that are done */
    char chunk[CHUNK_SIZE];
    size_t start, end;             /* of chunk: read, not yet handed on */
    uint64_t chunk_offset;         /* of chunk, in the file as it is unpacked */
    uint64_t first_byte, end_byte; /* a line is ours whose first byte is at one of these */
    struct buf line;               /* the line that is being put together */
    uint64_t line_size;
    int stop[2]; /* a pipe: readable once interrupted */
};

static bool open_next(struct jsonl *jsonl, struct status *status)
{
    jsonl->source = byte_source_open(jsonl->paths[jsonl->next_path], jsonl->stop[0], status);
    if (!jsonl->source)
        return false;
    jsonl->next_path++;
    jsonl->file = byte_source_name(jsonl->source);
    jsonl->number = 0;
    jsonl->at_start = true;
    return true;
}

static void close_current(struct jsonl *jsonl)
{
    if (jsonl->source)
        jsonl->closed_bytes += byte_source_position(jsonl->source);
    byte_source_close(jsonl->source);
    jsonl->source = NULL;
}

/* 0 as soon as one of them is not a plain file on disk. */
static uint64_t total_size(const char *const *paths, size_t n_paths)
{
    uint64_t total = 0;

    for (size_t i = 0; i < n_paths; i++) {
        const bool is_stdin = strcmp(paths[i], "-") == 0;
        struct stat st;
        off_t taken = 0;

        if ((is_stdin ? fstat(STDIN_FILENO, &st) : stat(paths[i], &st)) != 0 ||
            !S_ISREG(st.st_mode))
            return 0;
        if (is_stdin) /* somebody may have read from it before us */
            taken = lseek(STDIN_FILENO, 0, SEEK_CUR);
        if (st.st_size > taken)
            total += (uint64_t)(st.st_size - taken);
    }
    return total;
}

struct jsonl *jsonl_open(const char *const *paths, size_t n_paths, size_t max_line,
                         struct status *status)
{
    struct jsonl *jsonl = memory_zeroed(1, sizeof(*jsonl));

    jsonl->paths = n_paths > 0 ? paths : stdin_alone;
    jsonl->n_paths = n_paths > 0 ? n_paths : 1;
    jsonl->max_line = max_line < SIZE_MAX / 4 ? max_line : SIZE_MAX / 4;
    jsonl->total_size = total_size(jsonl->paths, jsonl->n_paths);
    jsonl->end_byte = UINT64_MAX;
    if (pipe(jsonl->stop) != 0) {
        status_set(status, STATUS_IO, "cannot make a pipe: %s", strerror(errno));
        free(jsonl);
        return NULL;
    }
    fcntl(jsonl->stop[0], F_SETFD, FD_CLOEXEC);
    fcntl(jsonl->stop[1], F_SETFD, FD_CLOEXEC);
    if (!open_next(jsonl, status)) {
        jsonl_close(jsonl);
        return NULL;
    }
    return jsonl;
}

void jsonl_close(struct jsonl *jsonl)
{
    if (!jsonl)
        return;
    byte_source_close(jsonl->source);
    close(jsonl->stop[0]);
    close(jsonl->stop[1]);
    buf_release(&jsonl->line);
    free(jsonl);
}

void jsonl_interrupt(struct jsonl *jsonl)
{
    ssize_t ignored = write(jsonl->stop[1], "", 1); /* never full: nothing else is written */

    (void)ignored;
}

uint64_t jsonl_total_size(const struct jsonl *jsonl)
{
    return jsonl->total_size;
}

static bool is_packed(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint8_t magic[2] = {0};
    const bool is = fd >= 0 && read(fd, magic, 2) == 2 && magic[0] == 0x1f && magic[1] == 0x8b;

    if (fd >= 0)
        close(fd);
    return is;
}

bool jsonl_shard_check(const char *const *paths, size_t n_paths, struct status *status)
{
    struct stat st;

    if (n_paths != 1 || strcmp(paths[0], "-") == 0)
        return status_fail(status, STATUS_USAGE,
                           "option '--shard' wants one file as operand: there is no part of %s",
                           n_paths > 1 ? "several" : "standard input");
    if (stat(paths[0], &st) == 0 && !S_ISREG(st.st_mode))
        return status_fail(status, STATUS_USAGE,
                           "%s: is a pipe or a device: option '--shard' wants a plain file",
                           paths[0]);
    if (is_packed(paths[0]))
        return status_fail(status, STATUS_USAGE,
                           "%s: is packed (gzip): option '--shard' wants a plain file", paths[0]);
    return true;
}

/* Where part k of n begins, from 0. */
static uint64_t part_begins(uint64_t size, uint64_t k, uint64_t n)
{
    return size / n * k + size % n * k / n; /* n is at most JSONL_MOST_SHARDS */
}

void jsonl_shard_set(struct jsonl *jsonl, struct jsonl_shard shard)
{
    const uint64_t size = jsonl->total_size;

    jsonl->first_byte = part_begins(size, shard.k - 1, shard.n);
    jsonl->end_byte = shard.k == shard.n ? size : part_begins(size, shard.k, shard.n);
    jsonl->total_size = jsonl->end_byte - jsonl->first_byte;
}

/* More bytes into the empty chunk; none: the file is at its end. */
static bool fill_chunk(struct jsonl *jsonl, struct status *status)
{
    jsonl->chunk_offset += jsonl->end;
    jsonl->start = jsonl->end = 0;
    return byte_source_read(jsonl->source, jsonl->chunk, CHUNK_SIZE, &jsonl->end, status);
}

/* Bytes over the limit that are kept: a byte order mark and "\r" do not count as the line's. */
#define SLACK 4

static void take(struct jsonl *jsonl, size_t n)
{
    const size_t room = jsonl->max_line + SLACK - jsonl->line.len;

    buf_append(&jsonl->line, jsonl->chunk + jsonl->start, n < room ? n : room);
    jsonl->line_size += n;
    jsonl->start += n;
}

static void drop_byte_order_mark(struct jsonl *jsonl)
{
    if (jsonl->line.len >= 3 && memcmp(jsonl->line.data, "\xef\xbb\xbf", 3) == 0) {
        memmove(jsonl->line.data, jsonl->line.data + 3, jsonl->line.len - 3);
        jsonl->line.len -= 3;
        jsonl->line_size -= 3;
    }
    jsonl->at_start = false;
}

/* What was gathered, as a line. False: it is the empty rest at the end of a file. */
static bool hand_out(struct jsonl *jsonl, bool ended, char last, struct line *line)
{
    if (jsonl->at_start)
        drop_byte_order_mark(jsonl);
    if (!ended && jsonl->line_size == 0)
        return false;
    if (jsonl->line_size > 0 && last == '\r') {
        jsonl->line_size--;
        if (jsonl->line.len > jsonl->line_size)
            jsonl->line.len--;
    }
    *line = (struct line){
        .bytes = buf_text(&jsonl->line),
        .file = jsonl->file,
        .number = ++jsonl->number,
        .too_long = jsonl->line_size > jsonl->max_line,
        .unfinished = !ended,
        .size = jsonl->line_size,
        .position = jsonl->closed_bytes + byte_source_position(jsonl->source) - jsonl->first_byte,
    };
    if (line->too_long)
        line->bytes.len = 0;
    return true;
}

static bool interrupted(const struct jsonl *jsonl)
{
    return jsonl->source && byte_source_stopped(jsonl->source);
}

/* To behind the next line end, or the end of the file. */
static bool skip_line(struct jsonl *jsonl, struct status *status)
{
    for (;;) {
        const char *from = jsonl->chunk + jsonl->start;
        const size_t held = jsonl->end - jsonl->start;
        const char *line_end = held > 0 ? memchr(from, '\n', held) : NULL;

        jsonl->start = line_end ? (size_t)(line_end - jsonl->chunk) + 1 : jsonl->end;
        if (line_end)
            return true;
        if (!fill_chunk(jsonl, status))
            return false;
        if (jsonl->end == 0)
            return true;
    }
}

/* Passes over the lines of the parts before. */
static bool skip_to_part(struct jsonl *jsonl, struct status *status)
{
    while (jsonl->chunk_offset + jsonl->start < jsonl->first_byte) {
        if (!skip_line(jsonl, status))
            return false;
        jsonl->number++;
        jsonl->at_start = false;
        if (interrupted(jsonl))
            break;
    }
    return true;
}

/* The rest of the current file up to its next line end; JSONL_END: the file has no more. */
static enum jsonl_result next_in_file(struct jsonl *jsonl, struct line *line, struct status *status)
{
    char last = '\0';

    if (!skip_to_part(jsonl, status))
        return JSONL_FAILED;
    if (jsonl->chunk_offset + jsonl->start >= jsonl->end_byte)
        return JSONL_END;
    buf_reset(&jsonl->line);
    jsonl->line_size = 0;
    for (;;) {
        const char *from = jsonl->chunk + jsonl->start;
        const size_t held = jsonl->end - jsonl->start;
        const char *line_end = held > 0 ? memchr(from, '\n', held) : NULL;
        const size_t n = line_end ? (size_t)(line_end - from) : held;

        if (n > 0) {
            last = from[n - 1];
            take(jsonl, n);
        }
        if (line_end) {
            jsonl->start++;
            hand_out(jsonl, true, last, line);
            return JSONL_LINE;
        }
        if (!fill_chunk(jsonl, status))
            return JSONL_FAILED;
        if (jsonl->end == 0)
            return hand_out(jsonl, false, last, line) ? JSONL_LINE : JSONL_END;
    }
}

enum jsonl_result jsonl_next(struct jsonl *jsonl, struct line *line, struct status *status)
{
    for (;;) {
        enum jsonl_result result;

        if (!jsonl->source) {
            if (jsonl->next_path == jsonl->n_paths)
                return JSONL_END;
            if (!open_next(jsonl, status))
                return JSONL_FAILED;
        }
        result = next_in_file(jsonl, line, status);
        if (interrupted(jsonl))
            return JSONL_END; /* what was cut off is not a line */
        if (result != JSONL_END)
            return result;
        close_current(jsonl);
    }
}
