/* What a tool gives up before it reads what others wrote: it makes, writes and removes files in the
 * folders of its outputs alone, starts no program and opens no socket, whatever a model file or a
 * record does to it. By Landlock and a seccomp filter, as far as the kernel has them; reading stays
 * free.
 *
 * Both hold for threads that are started later, so it comes before them all. What is open stays so.
 */
#ifndef CLI_SANDBOX_H
#define CLI_SANDBOX_H

#include "base/buf.h"

enum { SANDBOX_MAX_PATHS = 16 };

/* A file that is going to be written, with others beside it, or a device that is; NULL or "-":
 * nothing. Before sandbox_enter; not copied. */
void sandbox_allow(const char *path);

/* For good. Not where MEDRAT_NO_SANDBOX is set. */
void sandbox_enter(void);

/* "writes to 2 places alone (Landlock 4), starts no program, opens no socket", or what of it is not
 * so and why. */
void sandbox_describe(struct buf *out);

#endif
