/* The bytes of a file or of standard input; gzip is unpacked, known by its magic number.
 *
 * Bytes are handed out as they arrive: a read returns what there is, and waits only for the first.
 */
#ifndef FORMATS_BYTE_SOURCE_H
#define FORMATS_BYTE_SOURCE_H

#include <stdint.h>

#include "base/status.h"

struct byte_source;

/* path "-": standard input, whose name in messages is "stdin". STATUS_NO_INPUT if it is not there,
 * may not be read or is a directory. stop_fd: reading stops as soon as this descriptor is readable;
 * -1: none. */
struct byte_source *byte_source_open(const char *path, int stop_fd,
                                     struct status *status) MUST_CHECK;
void byte_source_close(struct byte_source *source); /* NULL allowed */

/* At least one byte, at most `size`; *n = 0: the end, or stopped. STATUS_IO: reading failed.
 * STATUS_DATA: gzip that is broken, cut short, or followed by something else. */
bool byte_source_read(struct byte_source *source, void *to, size_t size, size_t *n,
                      struct status *status) MUST_CHECK;

/* stop_fd became readable while more bytes were waited for. */
bool byte_source_stopped(const struct byte_source *source);
const char *byte_source_name(const struct byte_source *source);
/* Bytes taken from the file so far, as they are stored. */
uint64_t byte_source_position(const struct byte_source *source);

#endif
