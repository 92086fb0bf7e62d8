/* A mapped file that loses its pages: a message, exit 74, and what was to be removed is gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mapped_file.h"
#include "cli/signals.h"
#include "file_bytes.h"

#define SIZE 65536

static char folder[64], path[80], doomed[80];

/* What the child does; its status, and what it wrote to standard error. */
static int run(void (*child)(void), char *message, size_t size)
{
    int ends[2], status;
    size_t n = 0;
    ssize_t got;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const struct rlimit none = {0, 0};

        setrlimit(RLIMIT_CORE, &none);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        signals_prepare();
        signals_remove_at_end(doomed);
        child();
        _exit(0);
    }
    close(ends[1]);
    while (n < size - 1 && (got = read(ends[0], message + n, size - 1 - n)) > 0)
        n += (size_t)got;
    message[n] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void read_beyond_the_end(void)
{
    struct status status;
    struct mapped_file file;
    volatile uint8_t byte;

    if (!mapped_file_open(&file, path, &status) || truncate(path, 0) != 0)
        _exit(1);
    byte = file.data[SIZE - 1];
    (void)byte;
}

static void be_sent_the_signal(void)
{
    raise(SIGBUS);
}

static int set_up(void **state)
{
    (void)state;
    make_folder(folder);
    snprintf(path, sizeof(path), "%s/model", folder);
    snprintf(doomed, sizeof(doomed), "%s/doomed", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    remove_file(folder, "model");
    remove_file(folder, "doomed");
    return rmdir(folder);
}

static void a_file_cut_short_in_use_is_a_message_and_exit_74(void **state)
{
    static const char bytes[SIZE];
    char message[256];
    int status;

    (void)state;
    write_file(folder, "model", bytes, sizeof(bytes));
    write_text(folder, "doomed", "half");
    status = run(read_beyond_the_end, message, sizeof(message));
    assert_string_equal(
        message, "medrat: a model file was cut short, or could not be read, while it was in use\n");
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 74);
    assert_int_equal(access(doomed, F_OK), -1);
}

static void any_other_bus_error_ends_the_program_by_the_signal(void **state)
{
    char message[256];
    int status;

    (void)state;
    write_text(folder, "doomed", "half");
    status = run(be_sent_the_signal, message, sizeof(message));
    assert_string_equal(message, "");
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGBUS);
    assert_int_equal(access(doomed, F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_cut_short_in_use_is_a_message_and_exit_74),
        cmocka_unit_test(any_other_bus_error_ends_the_program_by_the_signal),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
