/* A whole file, read-only, in memory by mmap. The file must not shrink while it is mapped. */
#ifndef BASE_MAPPED_FILE_H
#define BASE_MAPPED_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct mapped_file {
    const uint8_t *data; /* NULL when size is 0 */
    size_t size;
};

/* STATUS_NO_INPUT if the file is not there, STATUS_IO if it cannot be read; the message names it.
 */
bool mapped_file_open(struct mapped_file *file, const char *path, struct status *status) MUST_CHECK;
void mapped_file_close(struct mapped_file *file);

/* Gives the memory of these bytes back, as far as they are whole pages of the file: they are read
 * from it again when they are looked at. Bytes elsewhere stay as they are. */
void mapped_file_drop(const struct mapped_file *file, const uint8_t *data, size_t size);

#endif
