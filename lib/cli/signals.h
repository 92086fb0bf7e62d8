/* Being asked to stop (SIGTERM, SIGINT and SIGHUP), or having to (SIGBUS); being asked how far a
 * run is (SIGUSR1).
 *
 * During a run the first of them is a request: what is finished is written, then the run ends. The
 * second ends the program at once. A signal that was ignored when the program started stays so.
 */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H

#include <semaphore.h>
#include <stdbool.h>

/* Outside of a run, from here on: SIGTERM is exit 75, the others end the program as ever. In and
 * outside of one, a mapped file that loses its pages is a message and exit 74. */
void signals_prepare(void);

/* The run begins: a signal is remembered, and posted to *wake. */
void signals_begin(sem_t *wake);
/* The run is over; *wake is not touched any more. */
void signals_end(void);

/* The signal that asked to stop, 0 if none did. */
int signals_caught(void);

/* Whether SIGUSR1 has asked, since this was last called, how far the run is. */
bool signals_asked(void);

/* A file to be removed when the program ends before this was called again; NULL: none. The name is
 * copied. One at a time. */
void signals_remove_at_end(const char *path);

/* End the program as this signal does when nobody handles it. */
_Noreturn void signals_die_of(int signal_number);

#endif
