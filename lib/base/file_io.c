#define _XOPEN_SOURCE 700 /* realpath */
#include "base/file_io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

bool file_write_all(int fd, const void *bytes, size_t n)
{
    const char *from = bytes;

    while (n > 0) {
        const ssize_t put = write(fd, from, n);

        if (put >= 0) {
            from += put;
            n -= (size_t)put;
        } else if (errno == EAGAIN) {
            struct pollfd wait = {.fd = fd, .events = POLLOUT};

            poll(&wait, 1, -1);
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

char *file_resolve(const char *path)
{
    char *real = realpath(path, NULL);

    return real ? real : memory_string(path, strlen(path));
}

static bool streams_are_same(FILE *a, FILE *b)
{
    char x[1 << 13], y[1 << 13];
    size_t n;

    do {
        n = fread(x, 1, sizeof(x), a);
        if (fread(y, 1, sizeof(y), b) != n || memcmp(x, y, n) != 0)
            return false;
    } while (n == sizeof(x));
    return !ferror(a) && !ferror(b);
}

bool file_is_same(const char *a, const char *b)
{
    FILE *x = fopen(a, "rb"), *y = fopen(b, "rb");
    const bool same = x && y && streams_are_same(x, y);

    if (x)
        fclose(x);
    if (y)
        fclose(y);
    return same;
}

/* The umask can only be read by setting it. */
mode_t file_mode_of_new(void)
{
    const mode_t mask = umask(0);

    umask(mask);
    return 0666 & ~mask;
}

void file_sync_folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? memory_string(path, slash == path ? 1 : (size_t)(slash - path))
                         : memory_string(".", 1);
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    free(folder);
}
