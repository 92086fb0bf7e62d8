/* A process that has closed itself off, and what it tries then. Each case is a child of its own. */
#define _GNU_SOURCE
#include "cli/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char base[] = "/tmp/medrat-sandbox-XXXXXX";

static const char *in(const char *name)
{
    static char paths[4][256];
    static int n;
    char *path = paths[n++ % 4];

    snprintf(path, sizeof(paths[0]), "%s/%s", base, name);
    return path;
}

static int make_folders(void **state)
{
    (void)state;
    return !mkdtemp(base) || mkdir(in("out"), 0700) != 0 || mkdir(in("other"), 0700) != 0 ||
           close(open(in("other/there"), O_CREAT | O_WRONLY, 0600)) != 0;
}

static int remove_folders(void **state)
{
    char command[300];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf '%s'", base);
    return system(command);
}

/* errno of the call, 0 if it went well. */
static int try_open(const char *path, int flags)
{
    const int fd = open(path, flags, 0600);

    if (fd < 0)
        return errno;
    close(fd);
    return 0;
}

static bool has_landlock(void)
{
    struct buf text = {0};
    bool has;

    sandbox_describe(&text);
    has = strstr(text.data, "Landlock ") != NULL;
    buf_release(&text);
    return has;
}

/* Child: 0 if `body` was, 77 without what it is about, else the line that was not as it should. */
static int in_child(int (*body)(void))
{
    int status;
    const pid_t child = fork();

    if (child == 0) {
        sandbox_allow(in("out/file"));
        sandbox_allow("/dev/null");
        sandbox_allow(NULL);
        sandbox_enter();
        _exit(body());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void run(int (*body)(void))
{
    const int line = in_child(body);

    if (line == 77)
        skip();
    assert_int_equal(line, 0);
}

#define EXPECT(call, wanted)                                                                       \
    do {                                                                                           \
        if ((call) != (wanted))                                                                    \
            return __LINE__ % 256;                                                                 \
    } while (0)

static int outputs(void)
{
    EXPECT(try_open(in("out/.temporary"), O_CREAT | O_WRONLY | O_TRUNC), 0);
    EXPECT(rename(in("out/.temporary"), in("out/file")), 0);
    EXPECT(try_open(in("out/file"), O_WRONLY | O_TRUNC), 0);
    EXPECT(truncate(in("out/file"), 0), 0);
    EXPECT(unlink(in("out/file")), 0);
    EXPECT(mkdir(in("out/adapter.part"), 0700), 0);
    EXPECT(rename(in("out/adapter.part"), in("out/adapter")), 0);
    EXPECT(rmdir(in("out/adapter")), 0);
    EXPECT(try_open("/dev/null", O_WRONLY), 0);
    return 0;
}

static int other_places(void)
{
    if (!has_landlock())
        return 77;
    EXPECT(try_open(in("other/new"), O_CREAT | O_WRONLY), EACCES);
    EXPECT(try_open(in("new"), O_CREAT | O_WRONLY), EACCES);
    EXPECT(try_open(in("other/there"), O_WRONLY), EACCES);
    EXPECT(unlink(in("other/there")), -1);
    EXPECT(try_open(in("out/file"), O_CREAT | O_WRONLY), 0);
    EXPECT(rename(in("out/file"), in("other/there")), -1);
    EXPECT(try_open("/dev/full", O_WRONLY), EACCES);
    EXPECT(try_open(in("other/there"), O_RDONLY), 0);
    return 0;
}

static int programs_and_sockets(void)
{
    char name[] = "true";
    char *const args[] = {name, NULL};
    struct buf text = {0};
    bool filtered;

    sandbox_describe(&text);
    filtered = strstr(text.data, "opens no socket") != NULL;
    buf_release(&text);
    if (!filtered)
        return 77;
    EXPECT(socket(AF_INET, SOCK_STREAM, 0), -1);
    EXPECT(socket(AF_UNIX, SOCK_DGRAM, 0), -1);
    EXPECT(execv("/bin/true", args), -1);
    /* EPERM of the filter, not EFAULT of the call itself */
    EXPECT((int)syscall(SYS_io_uring_setup, 1, NULL), -1);
    EXPECT(errno, EPERM);
    return 0;
}

static void *thread(void *result)
{
    *(int *)result = other_places();
    return NULL;
}

static int later_threads(void)
{
    pthread_t id;
    int result = 1;

    if (pthread_create(&id, NULL, thread, &result) != 0 || pthread_join(id, NULL) != 0)
        return 1;
    return result;
}

static void what_outputs_need_goes_on(void **state)
{
    (void)state;
    run(outputs);
}

static void nothing_else_is_written(void **state)
{
    (void)state;
    run(other_places);
}

static void no_program_is_started_and_no_socket_opened(void **state)
{
    (void)state;
    run(programs_and_sockets);
}

static void threads_that_come_later_are_held_as_well(void **state)
{
    (void)state;
    run(later_threads);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_outputs_need_goes_on),
        cmocka_unit_test(nothing_else_is_written),
        cmocka_unit_test(no_program_is_started_and_no_socket_opened),
        cmocka_unit_test(threads_that_come_later_are_held_as_well),
    };

    return cmocka_run_group_tests(tests, make_folders, remove_folders);
}
