#include "cli/signals.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/status.h"

static atomic_int caught;
static atomic_bool asked;
static _Atomic(sem_t *) wake_up; /* NULL outside of a run */
static atomic_bool has_doomed;
static char doomed[PATH_MAX];

static void remove_doomed(void)
{
    if (atomic_exchange(&has_doomed, false))
        unlink(doomed);
}

/* Only calls that POSIX allows in a handler. */
static void on_signal(int signal_number)
{
    sem_t *wake = atomic_load(&wake_up);
    const int saved_errno = errno;

    if (wake && atomic_load(&caught) == 0) {
        atomic_store(&caught, signal_number);
        sem_post(wake);
    } else {
        remove_doomed();
        if (signal_number == SIGTERM)
            _exit(75); /* STATUS_AGAIN */
        signal(signal_number, SIG_DFL);
        raise(signal_number); /* takes effect when this handler returns */
    }
    errno = saved_errno;
}

/* A page of a mapped file that is not there any more, or cannot be read: nothing can be computed
 * with what it held. Any other SIGBUS is a fault of ours. */
static void on_bus_error(int signal_number, siginfo_t *info, void *context)
{
    static const char message[] =
        "medrat: a model file was cut short, or could not be read, while it was in use\n";

    (void)context;
    remove_doomed();
    if (info->si_code == BUS_ADRERR || info->si_code == BUS_OBJERR) {
        const ssize_t written = write(STDERR_FILENO, message, sizeof(message) - 1);

        (void)written; /* there is nobody left to tell */
        _exit(74);     /* STATUS_IO */
    }
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static void handle_bus_error(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO;
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, NULL);
}

static void on_question(int signal_number)
{
    sem_t *wake = atomic_load(&wake_up);
    const int saved_errno = errno;

    (void)signal_number;
    atomic_store(&asked, true);
    if (wake)
        sem_post(wake);
    errno = saved_errno;
}

static void handle(int signal_number, void (*handler)(int))
{
    struct sigaction action;

    if (sigaction(signal_number, NULL, &action) != 0 || action.sa_handler == SIG_IGN)
        return;
    memset(&action, 0, sizeof(action));
    action.sa_handler = handler; /* no SA_RESTART: who waits shall look up */
    sigemptyset(&action.sa_mask);
    sigaction(signal_number, &action, NULL);
}

void signals_prepare(void)
{
    static bool prepared;

    if (prepared)
        return;
    prepared = true;
    atexit(remove_doomed);
    handle(SIGTERM, on_signal);
    handle(SIGINT, on_signal);
    handle(SIGHUP, on_signal);
    handle(SIGUSR1, on_question);
    handle_bus_error();
}

void signals_begin(sem_t *wake)
{
    signals_prepare();
    atomic_store(&caught, 0);
    atomic_store(&wake_up, wake);
}

void signals_end(void)
{
    atomic_store(&wake_up, NULL);
}

int signals_caught(void)
{
    return atomic_load(&caught);
}

bool signals_asked(void)
{
    return atomic_exchange(&asked, false);
}

void signals_remove_at_end(const char *path)
{
    atomic_store(&has_doomed, false);
    if (path && strlen(path) < sizeof(doomed)) {
        strcpy(doomed, path); /* NOLINT: fits, see above */
        atomic_store(&has_doomed, true);
    }
}

void signals_die_of(int signal_number)
{
    sigset_t mask;

    remove_doomed();
    signal(signal_number, SIG_DFL);
    sigemptyset(&mask);
    sigaddset(&mask, signal_number);
    sigprocmask(SIG_UNBLOCK, &mask, NULL);
    raise(signal_number);
    _exit(status_exit_code(STATUS_AGAIN)); /* not reached */
}
