/* Reads a safetensors file: u64 header length N, N bytes of JSON, the data.
 *
 * The header maps each name to its dtype, shape and [begin, end) within the data. Types that we
 * know but cannot compute with (I64, BOOL, ...) become entries with DTYPE_NONE.
 */
#ifndef FORMATS_SAFETENSORS_H
#define FORMATS_SAFETENSORS_H

#include "formats/tensor_file.h"

#define SAFETENSORS_MAX_HEADER ((size_t)16 << 20) /* bytes */

/* Map the file and check all of it. On failure *file is empty and the message names the file:
 * STATUS_NO_INPUT if it is not there, STATUS_CONFIG if it is not what it should be. */
bool safetensors_open(struct tensor_file *file, const char *path, struct status *status) MUST_CHECK;

/* The same over bytes that the caller keeps until tensor_file_close. */
bool safetensors_read(struct tensor_file *file, const uint8_t *data, size_t size,
                      struct status *status) MUST_CHECK;

#endif
