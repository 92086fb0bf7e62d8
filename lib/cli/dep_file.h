/* --dep-file: what a run has read, as a rule for make, which then knows when its output is old. */
#ifndef CLI_DEP_FILE_H
#define CLI_DEP_FILE_H

#include "base/buf.h"
#include "base/status.h"

/* Appends "TARGET: FILE..." and, so that a file that is gone is no error, "FILE:" for each of the
 * files that were read (base/read_files.h). Names are escaped as GNU make reads them. STATUS_USAGE:
 * one has a line end in it, or another byte that make cannot read back. */
bool dep_file_text(const char *target, struct buf *out, struct status *status) MUST_CHECK;

/* The same as a file. */
bool dep_file_write(const char *path, const char *target, struct status *status) MUST_CHECK;

#endif
