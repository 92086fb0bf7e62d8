/* Writes a safetensors file: formats/safetensors.h reads it, and says what is in one.
 *
 * As the reference implementation writes it: the header is padded with spaces to a multiple of 8
 * bytes, tensors are laid out from the widest type to the narrowest and by name, without gaps, and
 * the metadata says {"format":"pt"}. The file takes its name when all of it is on disk
 * (formats/output_file.h): who is interrupted, or meets a full disk, leaves the file that was there
 * before.
 */
#ifndef FORMATS_SAFETENSORS_WRITE_H
#define FORMATS_SAFETENSORS_WRITE_H

#include <stddef.h>
#include <stdint.h>

#include "base/dtype.h"
#include "base/status.h"

enum { SAFETENSORS_WRITE_DIMS = 2 };

/* Floats in memory, written as dtype says; or, with DTYPE_NONE, bytes, written as U8. */
struct safetensors_write_tensor {
    const char *name; /* no control characters, not "__metadata__" */
    enum dtype dtype; /* DTYPE_F32, DTYPE_F16, DTYPE_NONE */
    int n_dims;       /* 1 or 2 */
    size_t shape[SAFETENSORS_WRITE_DIMS];
    const float *floats;
    const uint8_t *bytes; /* of DTYPE_NONE */
};

/* Sorts tensors[n]. STATUS_DATA: a value is NaN, infinite, or too large for F16; STATUS_IO. The
 * message names file and tensor. */
bool safetensors_write(const char *path, struct safetensors_write_tensor *tensors, size_t n,
                       struct status *status) MUST_CHECK;

#endif
