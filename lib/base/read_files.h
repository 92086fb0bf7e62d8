/* The files that this process has read, as a compiler knows what it included: what opens a file to
 * read it whole notes it here. For --dep-file and --meta. Thread-safe. */
#ifndef BASE_READ_FILES_H
#define BASE_READ_FILES_H

#include <stddef.h>

/* Standard input, "-", is no file. A path that is noted twice counts once. */
void read_files_note(const char *path);

/* It was one of the run's own. */
void read_files_forget(const char *path);

/* The i-th path in the order of their first notes, which lives as long as the program; NULL behind
 * the last. */
const char *read_files_get(size_t i);

#endif
