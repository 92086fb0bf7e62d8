#include "formats/output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/file_io.h"
#include "base/memory.h"

#define TEMPORARY_NAME ".medrat-XXXXXX"
#define COMPRESSED_SIZE 65536

struct output_file {
    int fd;
    bool is_stdout;
    bool keep_same;  /* a file that would become what it is stays */
    char *name;      /* ours: for messages */
    char *path;      /* ours: where the file is to appear; NULL: written in place */
    char *temporary; /* ours: where it is written; NULL: in place */
    mode_t mode;     /* on commit */
    uint64_t size;
    bool gzip;
    z_stream deflate;
    uint8_t *compressed; /* ours, if gzip: [COMPRESSED_SIZE] */
};

static bool fail(const struct output_file *output, struct status *status)
{
    return status_fail(status, STATUS_IO, "%s: %s", output->name, strerror(errno));
}

static bool ends_in_gz(const char *path)
{
    const size_t len = strlen(path);

    return len > 3 && strcmp(path + len - 3, ".gz") == 0;
}

/* The directory part of a path with its slash, "" for none, and TEMPORARY_NAME behind it. */
static char *temporary_beside(const char *path)
{
    const char *slash = strrchr(path, '/');
    const size_t directory = slash ? (size_t)(slash - path) + 1 : 0;
    char *name = memory_zeroed(directory + sizeof(TEMPORARY_NAME), 1);

    memcpy(name, path, directory);
    memcpy(name + directory, TEMPORARY_NAME, sizeof(TEMPORARY_NAME));
    return name;
}

/* temporary: the name to write at; NULL: one that nothing has. Mode 0600. */
static bool open_temporary(struct output_file *output, const char *temporary, struct status *status)
{
    if (temporary) {
        output->temporary = memory_string(temporary, strlen(temporary));
        output->fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    } else {
        output->temporary = temporary_beside(output->path);
        output->fd = mkstemp(output->temporary);
    }
    if (output->fd < 0) {
        free(output->temporary);
        output->temporary = NULL;
        return fail(output, status);
    }
    fcntl(output->fd, F_SETFD, FD_CLOEXEC);
    return true;
}

static bool open_file(struct output_file *output, const char *path, const char *temporary,
                      struct status *status)
{
    struct stat st;
    const bool exists = stat(path, &st) == 0;

    if (exists && !S_ISREG(st.st_mode)) {
        output->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        return output->fd >= 0 || fail(output, status);
    }
    output->mode = exists ? st.st_mode & 0777 : file_mode_of_new();
    output->path = file_resolve(path);
    return open_temporary(output, temporary, status);
}

static bool open_gzip(struct output_file *output, struct status *status)
{
    output->compressed = memory_zeroed(COMPRESSED_SIZE, 1);
    if (deflateInit2(&output->deflate, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return status_fail(status, STATUS_MEMORY, "%s: no memory to pack gzip", output->name);
    output->gzip = true;
    return true;
}

struct output_file *output_file_open(const char *path, struct status *status)
{
    return output_file_open_as(path, NULL, status);
}

struct output_file *output_file_open_as(const char *path, const char *temporary,
                                        struct status *status)
{
    struct output_file *output = memory_zeroed(1, sizeof(*output));

    output->is_stdout = !path || strcmp(path, "-") == 0;
    output->name =
        output->is_stdout ? memory_string("stdout", 6) : memory_string(path, strlen(path));
    output->fd = output->is_stdout ? STDOUT_FILENO : -1;
    if (output->is_stdout)
        return output;
    if (open_file(output, path, temporary, status) &&
        (!ends_in_gz(path) || open_gzip(output, status)))
        return output;
    output_file_discard(output);
    return NULL;
}

static void release(struct output_file *output)
{
    if (output->gzip)
        deflateEnd(&output->deflate);
    free(output->compressed);
    free(output->temporary);
    free(output->path);
    free(output->name);
    free(output);
}

void output_file_discard(struct output_file *output)
{
    if (!output)
        return;
    if (output->fd >= 0 && !output->is_stdout)
        close(output->fd);
    if (output->temporary)
        unlink(output->temporary);
    release(output);
}

void output_file_keep_private(struct output_file *output)
{
    output->mode = 0600;
}

void output_file_keep_same(struct output_file *output)
{
    output->keep_same = true;
}

static bool deflate_all(struct output_file *output, struct text bytes, int flush,
                        struct status *status)
{
    z_stream *z = &output->deflate;

    /* zlib reads through a pointer that is not const, and counts in 32 bits */
    z->next_in = (Bytef *)(uintptr_t)bytes.ptr;
    do {
        const size_t left = bytes.len;

        z->avail_in = left < UINT_MAX ? (uInt)left : UINT_MAX;
        do {
            const size_t before = z->avail_in;

            z->next_out = output->compressed;
            z->avail_out = COMPRESSED_SIZE;
            deflate(z, flush);
            bytes.len -= before - z->avail_in;
            if (!file_write_all(output->fd, output->compressed, COMPRESSED_SIZE - z->avail_out))
                return fail(output, status);
        } while (z->avail_out == 0);
    } while (bytes.len > 0);
    return true;
}

bool output_file_write(struct output_file *output, struct text bytes, struct status *status)
{
    output->size += bytes.len;
    if (output->gzip)
        return bytes.len == 0 || deflate_all(output, bytes, Z_NO_FLUSH, status);
    return file_write_all(output->fd, bytes.ptr, bytes.len) || fail(output, status);
}

/* Some file systems report a full disk only when a descriptor is closed. */
static bool close_copy(struct output_file *output, struct status *status)
{
    const int copy = fcntl(output->fd, F_DUPFD_CLOEXEC, 3);

    return copy < 0 || close(copy) == 0 || fail(output, status);
}

static bool finish(struct output_file *output, struct status *status)
{
    int closed;

    if (output->gzip && !deflate_all(output, (struct text){"", 0}, Z_FINISH, status))
        return false;
    if (output->is_stdout)
        return output->size == 0 || close_copy(output, status);
    if (output->temporary && (fchmod(output->fd, output->mode) != 0 || fsync(output->fd) != 0))
        return fail(output, status);
    closed = close(output->fd);
    output->fd = -1;
    if (closed != 0)
        return fail(output, status);
    if (!output->temporary)
        return true;
    if (output->keep_same && file_is_same(output->temporary, output->path)) {
        unlink(output->temporary);
    } else {
        if (rename(output->temporary, output->path) != 0)
            return fail(output, status);
        file_sync_folder_of(output->path);
    }
    free(output->temporary);
    output->temporary = NULL;
    return true;
}

bool output_file_commit(struct output_file *output, struct status *status)
{
    if (!finish(output, status)) {
        output_file_discard(output);
        return false;
    }
    release(output);
    return true;
}

bool output_file_put(const char *path, struct text bytes, struct status *status)
{
    struct output_file *output = output_file_open(path, status);

    if (output && output_file_write(output, bytes, status))
        return output_file_commit(output, status);
    output_file_discard(output);
    return false;
}

const char *output_file_temporary(const struct output_file *output)
{
    return output->temporary;
}

uint64_t output_file_size(const struct output_file *output)
{
    return output->size;
}
