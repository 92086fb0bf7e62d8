/* --lock FILE: one run at a time, by a lock of the kernel (flock) that ends with the program,
 * however it ends. flock(1) on the same file sees it. */
#ifndef CLI_RUN_LOCK_H
#define CLI_RUN_LOCK_H

#include "base/status.h"

/* Makes the file if it is not there, and keeps it locked until the program ends. Waits that many
 * seconds at most. STATUS_AGAIN: another run has it; STATUS_IO. */
bool run_lock_take(const char *path, double wait, struct status *status) MUST_CHECK;

#endif
