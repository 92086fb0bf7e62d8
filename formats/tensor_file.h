/* The named tensors of a model's file or files, whatever the container; filled by safetensors.h,
 * safetensors_index.h and gguf.h.
 *
 * Every entry's bytes lie wholly inside the file: its size is what its shape and type need.
 */
#ifndef FORMATS_TENSOR_FILE_H
#define FORMATS_TENSOR_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/dtype.h"
#include "base/mapped_file.h"
#include "base/status.h"
#include "base/text.h"

#define TENSOR_FILE_MAX_DIMS 4
#define TENSOR_FILE_MAX_NAME 255 /* bytes */
#define TENSOR_FILE_MAX_TENSORS ((size_t)65536)

struct tensor_entry {
    const char *name;      /* the tensor_file's; no control characters */
    enum dtype dtype;      /* DTYPE_NONE: a type that we cannot compute with */
    const char *type_name; /* as the container calls the type: "F32", "Q4_K", "I64"; constant */
    int n_dims;
    size_t shape[TENSOR_FILE_MAX_DIMS]; /* outermost first: [rows, cols]; 1 beyond n_dims */
    const uint8_t *data;                /* into the file; no alignment is promised */
    size_t size;                        /* bytes at data */
};

struct tensor_file {
    struct mapped_file map;       /* empty when the bytes are the caller's */
    struct tensor_entry *entries; /* ours, sorted by name (strcmp) */
    size_t n_entries;
    char *names; /* ours; the entries' names, each ended by a zero */
    char *path;  /* ours; NULL where the bytes are the caller's, or a reader does not say */

    struct tensor_file
        *parts;     /* [n_parts] ours: the files that this one joins; then map is empty */
    size_t n_parts; /* and names and bytes are theirs */
};

/* NULL if the file has no tensor of that name. */
const struct tensor_entry *tensor_file_find(const struct tensor_file *file, const char *name);

/* The name, without folders, of the file that an entry's bytes are in; NULL where none is known. */
const char *tensor_file_name_of(const struct tensor_file *file, const struct tensor_entry *entry);

void tensor_file_close(struct tensor_file *file);

/* Gives the memory of mapped bytes back until they are looked at again; the caller's own bytes
 * stay.
 */
void tensor_file_drop(const struct tensor_file *file, const uint8_t *data, size_t size);

/* For the readers: is this a name that messages can show (1 to TENSOR_FILE_MAX_NAME bytes, no
 * control characters)? */
bool tensor_file_name_ok(struct text name);

/* For the readers: room for n entries and n_name_bytes of names; STATUS_MEMORY if there is none. */
bool tensor_file_reserve(struct tensor_file *file, size_t n, size_t n_name_bytes,
                         struct status *status) MUST_CHECK;

/* For the readers: sort by name. STATUS_CONFIG if a name is there twice. */
bool tensor_file_sort(struct tensor_file *file, struct status *status) MUST_CHECK;

#endif
