#define _GNU_SOURCE /* flock */
#include "cli/run_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#include "cli/run_stats.h"

static const struct timespec between = {.tv_nsec = 50000000};

bool run_lock_take(const char *path, double wait, struct status *status)
{
    const double end = run_stats_now() + wait;
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);

    if (fd < 0)
        return status_fail(status, STATUS_IO, "%s: %s", path, strerror(errno));
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return status_fail(status, STATUS_IO, "%s: %s", path, strerror(errno));
        if (run_stats_now() >= end)
            return status_fail(status, STATUS_AGAIN, "%s: another run has the lock", path);
        nanosleep(&between, NULL);
    }
    return true;
}
