/* What it takes to write files that survive, beyond stdio. */
#ifndef BASE_FILE_IO_H
#define BASE_FILE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* All of it, also where signals interrupt, pipes take little, or somebody has set O_NONBLOCK.
 * False: errno. */
bool file_write_all(int fd, const void *bytes, size_t n);

/* What `path` names in the end; a name that nothing has yet is itself. The caller frees. */
char *file_resolve(const char *path);

/* Both can be read, and hold the same bytes. */
bool file_is_same(const char *a, const char *b);

/* What the umask leaves. Not while another thread makes files. */
mode_t file_mode_of_new(void);

/* The folder that `path` lies in, on disk: a new name must survive a power cut as well. */
void file_sync_folder_of(const char *path);

#endif
