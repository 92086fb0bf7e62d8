#include "cli/process.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/memory.h"
#include "cli/signals.h"

/* A closed descriptor gets a file that cannot be used the way this one is: reading standard input
 * fails with EBADF, as it would have, and so does writing the others. */
static void guard_descriptor(int fd, int flags)
{
    if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
        const int opened = open("/dev/null", flags);

        if (opened >= 0 && opened != fd) { /* a lower one was closed as well: never so in order */
            dup2(opened, fd);
            close(opened);
        }
    }
}

static void *allocate(size_t size)
{
    return memory_resize(NULL, size, 1);
}

void process_start(void)
{
    const struct rlimit none = {0, 0};

    guard_descriptor(STDIN_FILENO, O_WRONLY);
    guard_descriptor(STDOUT_FILENO, O_RDONLY);
    guard_descriptor(STDERR_FILENO, O_RDONLY);
    setrlimit(RLIMIT_CORE, &none);
    signal(SIGXFSZ, SIG_IGN);
    json_set_alloc_funcs(allocate, free); /* no memory for a tree: exit 71 as for the rest */
    signals_prepare();
}
