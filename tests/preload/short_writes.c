/* LD_PRELOAD: every write is cut short or interrupted in turn, as POSIX allows each to be. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

ssize_t write(int fd, const void *bytes, size_t n)
{
    static atomic_uint calls;
    const unsigned call = atomic_fetch_add(&calls, 1);
    const size_t some = 1 + call % 61;

    if (call % 5 == 3) {
        errno = EINTR;
        return -1;
    }
    return syscall(SYS_write, fd, bytes, n < some ? n : some);
}
