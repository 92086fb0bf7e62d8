#define _GNU_SOURCE /* flock */
#include "formats/part_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file_io.h"
#include "base/memory.h"
#include "formats/output_file.h"

enum { COPY_SIZE = 1 << 16 };

struct part_file {
    int fd;
    char *path;      /* ours: where it is to appear */
    struct buf name; /* PATH.part */
    uint64_t size;
    bool is_ours; /* locked */
};

static bool fail(const struct part_file *part, struct status *status)
{
    return status_fail(status, STATUS_IO, "%s: %s", part->name.data, strerror(errno));
}

/* Whoever had the lock may have given the file its name since we opened it. */
static bool is_still_there(const struct part_file *part)
{
    struct stat ours, there;

    return fstat(part->fd, &ours) == 0 && stat(part->name.data, &there) == 0 &&
           ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

static bool lock(struct part_file *part, struct status *status)
{
    struct stat st;
    bool busy;

    part->fd = open(part->name.data, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
    if (part->fd < 0)
        return fail(part, status);
    busy = flock(part->fd, LOCK_EX | LOCK_NB) != 0;
    if (busy && errno != EWOULDBLOCK)
        return fail(part, status);
    if (busy || !is_still_there(part))
        return status_fail(status, STATUS_AGAIN, "%s: another run is at work on it",
                           part->name.data);
    if (fstat(part->fd, &st) != 0)
        return fail(part, status);
    if (!S_ISREG(st.st_mode))
        return status_fail(status, STATUS_USAGE, "%s: is not a regular file", part->name.data);
    part->size = (uint64_t)st.st_size;
    part->is_ours = true;
    return true;
}

struct part_file *part_file_open(const char *path, struct status *status)
{
    struct part_file *part = memory_zeroed(1, sizeof(*part));
    struct stat st;

    part->fd = -1;
    part->path = file_resolve(path);
    buf_printf(&part->name, "%s.part", part->path);
    if (stat(part->path, &st) == 0 && !S_ISREG(st.st_mode))
        status_set(status, STATUS_USAGE, "%s: is not a regular file: --resume has no use for it",
                   path);
    else if (lock(part, status))
        return part;
    part_file_close(part);
    return NULL;
}

uint64_t part_file_size(const struct part_file *part)
{
    return part->size;
}

bool part_file_cut(struct part_file *part, uint64_t size, struct status *status)
{
    if (part->size < size)
        return status_fail(status, STATUS_DATA, "%s: has %llu bytes, but %llu were written",
                           part->name.data, (unsigned long long)part->size,
                           (unsigned long long)size);
    if (ftruncate(part->fd, (off_t)size) != 0 || lseek(part->fd, (off_t)size, SEEK_SET) < 0)
        return fail(part, status);
    part->size = size;
    return true;
}

bool part_file_write(struct part_file *part, struct text bytes, struct status *status)
{
    part->size += bytes.len;
    return file_write_all(part->fd, bytes.ptr, bytes.len) || fail(part, status);
}

bool part_file_sync(struct part_file *part, struct status *status)
{
    return fdatasync(part->fd) == 0 || fail(part, status);
}

static mode_t mode_of(const struct part_file *part)
{
    struct stat st;

    return stat(part->path, &st) == 0 ? st.st_mode & 0777 : file_mode_of_new();
}

static bool is_packed(const struct part_file *part)
{
    const size_t len = strlen(part->path);

    return len > 3 && strcmp(part->path + len - 3, ".gz") == 0;
}

static bool copy(struct part_file *part, struct output_file *to, struct status *status)
{
    char *bytes = memory_zeroed(COPY_SIZE, 1);
    ssize_t n = 0;
    bool ok = true;

    for (off_t at = 0; ok && (n = pread(part->fd, bytes, COPY_SIZE, at)) > 0; at += n)
        ok = output_file_write(to, (struct text){bytes, (size_t)n}, status);
    free(bytes);
    return ok && (n == 0 || fail(part, status));
}

/* To PATH by way of PATH.part.gz; nobody needs PATH.part then. */
static bool pack(struct part_file *part, bool keep_same, struct status *status)
{
    struct buf temporary = {0};
    struct output_file *to;
    bool ok = false;

    buf_printf(&temporary, "%s.gz", part->name.data);
    to = output_file_open_as(part->path, temporary.data, status);
    buf_release(&temporary);
    if (to && keep_same)
        output_file_keep_same(to);
    if (to && !copy(part, to, status))
        output_file_discard(to);
    else
        ok = to && output_file_commit(to, status);
    if (ok)
        unlink(part->name.data);
    return ok;
}

bool part_file_commit(struct part_file *part, bool keep_same, struct status *status)
{
    if (is_packed(part))
        return pack(part, keep_same, status);
    if (keep_same && file_is_same(part->name.data, part->path))
        return unlink(part->name.data) == 0 || fail(part, status);
    if (fchmod(part->fd, mode_of(part)) != 0 || fsync(part->fd) != 0 ||
        rename(part->name.data, part->path) != 0)
        return fail(part, status);
    file_sync_folder_of(part->path);
    return true;
}

void part_file_close(struct part_file *part)
{
    if (!part)
        return;
    if (part->fd >= 0) {
        if (part->is_ours && part->size == 0 && is_still_there(part))
            unlink(part->name.data);
        close(part->fd);
    }
    buf_release(&part->name);
    free(part->path);
    free(part);
}
