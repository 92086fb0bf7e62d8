/* Reads a GGUF file, version 2 or 3, little-endian: keys with values, and tensors.
 *
 * Everything is checked on opening; the getters only look up. Strings and string arrays point into
 * the file, which stays mapped until gguf_close.
 */
#ifndef FORMATS_GGUF_H
#define FORMATS_GGUF_H

#include "formats/tensor_file.h"

#define GGUF_MAX_STRING ((size_t)16 << 20)  /* bytes */
#define GGUF_MAX_ELEMENTS ((size_t)4 << 20) /* of one array */
#define GGUF_MAX_PAIRS ((size_t)65536)
#define GGUF_MAX_KEY 255 /* bytes */

struct gguf_pair; /* a key and its value */

struct gguf {
    struct tensor_file
        tensors; /* shapes reversed to [rows, cols]; cols are what the file calls ne[0] */
    struct gguf_pair *pairs; /* ours, sorted by key */
    size_t n_pairs;
    uint32_t version;
};

/* Do these first bytes of a file begin a GGUF file? */
bool gguf_is(const uint8_t *data, size_t size);

/* Map the file and check all of it. On failure *gguf is empty and the message names the file:
 * STATUS_NO_INPUT if it is not there, STATUS_CONFIG if it is not what it should be. */
bool gguf_open(struct gguf *gguf, const char *path, struct status *status) MUST_CHECK;

/* The same over bytes that the caller keeps until gguf_close. */
bool gguf_read(struct gguf *gguf, const uint8_t *data, size_t size,
               struct status *status) MUST_CHECK;

void gguf_close(struct gguf *gguf);

/* Getters. A key that is absent sets *found to false and leaves the value alone; with found == NULL
 * it must be there. A value of another type is STATUS_CONFIG: "llama.block_count: must be an
 * integer, is a string". Integers may be stored in any integer type, floats in f32 or f64. */
bool gguf_uint(const struct gguf *gguf, const char *key, uint64_t *value, bool *found,
               struct status *status) MUST_CHECK;
bool gguf_float(const struct gguf *gguf, const char *key, double *value, bool *found,
                struct status *status) MUST_CHECK;
bool gguf_bool(const struct gguf *gguf, const char *key, bool *value, bool *found,
               struct status *status) MUST_CHECK;
bool gguf_string(const struct gguf *gguf, const char *key, struct text *value, bool *found,
                 struct status *status) MUST_CHECK;

/* An integer from 1 to max as an int, a number from min to max; what is there must lie within. */
bool gguf_size(const struct gguf *gguf, const char *key, int max, int *value, bool *found,
               struct status *status) MUST_CHECK;
bool gguf_number(const struct gguf *gguf, const char *key, double min, double max, double *value,
                 bool *found, struct status *status) MUST_CHECK;

/* *items is the gguf's own array, valid until gguf_close; NULL when n is 0. */
bool gguf_string_array(const struct gguf *gguf, const char *key, const struct text **items,
                       size_t *n, bool *found, struct status *status) MUST_CHECK;

/* *values is made for the caller, who frees it, also when n is 0. STATUS_MEMORY if there
 * is no room, STATUS_CONFIG if a value does not fit 32 bits. */
bool gguf_int_array(const struct gguf *gguf, const char *key, int32_t **values, size_t *n,
                    bool *found, struct status *status) MUST_CHECK;
bool gguf_float_array(const struct gguf *gguf, const char *key, float **values, size_t *n,
                      bool *found, struct status *status) MUST_CHECK;

#endif
