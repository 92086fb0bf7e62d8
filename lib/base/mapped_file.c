#define _DEFAULT_SOURCE /* madvise; posix_madvise does nothing here */
#include "base/mapped_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/read_files.h"

static bool map(struct mapped_file *file, int fd, const char *path, struct status *status)
{
    struct stat info;
    void *data;

    if (fstat(fd, &info) != 0)
        return status_fail(status, STATUS_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return status_fail(status, STATUS_NO_INPUT, "%s: not a regular file", path);
    if (info.st_size == 0)
        return true;
    data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return status_fail(status, STATUS_IO, "%s: %s", path, strerror(errno));
    file->data = data;
    file->size = (size_t)info.st_size;
    return true;
}

bool mapped_file_open(struct mapped_file *file, const char *path, struct status *status)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool ok;

    *file = (struct mapped_file){0};
    if (fd < 0)
        return status_fail(status, errno == ENOENT ? STATUS_NO_INPUT : STATUS_IO, "%s: %s", path,
                           strerror(errno));
    ok = map(file, fd, path, status);
    close(fd);
    if (ok)
        read_files_note(path);
    return ok;
}

void mapped_file_close(struct mapped_file *file)
{
    if (file->data)
        munmap((void *)(uintptr_t)file->data, file->size);
    *file = (struct mapped_file){0};
}

void mapped_file_drop(const struct mapped_file *file, const uint8_t *data, size_t size)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t begin = (uintptr_t)file->data, from = (uintptr_t)data;
    const uintptr_t first = (from + page - 1) / page * page, end = (from + size) / page * page;

    if (size <= file->size && from >= begin && from - begin <= file->size - size && first < end)
        madvise((void *)first, end - first, MADV_DONTNEED); /* a failure costs memory alone */
}
