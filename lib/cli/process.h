/* What a program owes its surroundings before it does anything else. */
#ifndef CLI_PROCESS_H
#define CLI_PROCESS_H

/* First call of main. A standard stream that came closed is opened so that using it fails (and no
 * model file gets descriptor 0, 1 or 2); core dumps, which would hold records, are off; a file
 * size limit is a failed write, not a signal; SIGTERM before the first record is exit 75. */
void process_start(void);

#endif
