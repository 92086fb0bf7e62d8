/* A file that is written over several runs: PATH.part beside its place, mode 0600, which takes its
 * name, and the mode of the file it replaces or what the umask leaves, when it is complete. It
 * stays when a run ends before. A name that ends in ".gz" is packed at the end, from PATH.part to
 * PATH.part.gz: until then there is room for both to be had.
 *
 * One run at a time: an open part file is locked (flock), also against the same program.
 */
#ifndef FORMATS_PART_FILE_H
#define FORMATS_PART_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "base/text.h"

struct part_file;

/* Makes or opens PATH.part. STATUS_AGAIN: another run is at it; STATUS_USAGE: PATH is there and not
 * a regular file; STATUS_IO. */
struct part_file *part_file_open(const char *path, struct status *status) MUST_CHECK;

/* Bytes in it. */
uint64_t part_file_size(const struct part_file *part);

/* Drops what lies behind the first `size` bytes, which must be there; writing goes on from there.
 */
bool part_file_cut(struct part_file *part, uint64_t size, struct status *status) MUST_CHECK;
bool part_file_write(struct part_file *part, struct text bytes, struct status *status) MUST_CHECK;
bool part_file_sync(struct part_file *part, struct status *status) MUST_CHECK;

/* Complete: on disk, and at its place. keep_same: as output_file_keep_same. */
bool part_file_commit(struct part_file *part, bool keep_same, struct status *status) MUST_CHECK;

/* The file stays as it is, if there is anything in it. NULL allowed. */
void part_file_close(struct part_file *part);

#endif
