/* The keys and values of a GGUF file; a part of the reader in gguf.c, not for others. */
#ifndef FORMATS_GGUF_PAIRS_H
#define FORMATS_GGUF_PAIRS_H

#include "formats/byte_cursor.h"
#include "formats/gguf.h"

/* The numbers that the file stores (docs/gguf.md: gguf_metadata_value_type). */
enum gguf_type {
    GGUF_TYPE_U8,
    GGUF_TYPE_I8,
    GGUF_TYPE_U16,
    GGUF_TYPE_I16,
    GGUF_TYPE_U32,
    GGUF_TYPE_I32,
    GGUF_TYPE_F32,
    GGUF_TYPE_BOOL,
    GGUF_TYPE_STRING,
    GGUF_TYPE_ARRAY,
    GGUF_TYPE_U64,
    GGUF_TYPE_I64,
    GGUF_TYPE_F64,
    GGUF_TYPE_COUNT,
};

struct gguf_pair {
    struct text key; /* into the file */
    enum gguf_type type;
    enum gguf_type element; /* of an array */
    size_t n;               /* elements of an array */
    const uint8_t *bytes;   /* the number, or the numbers of an array, into the file */
    struct text string;     /* into the file */
    struct text *strings;   /* ours; an array's, into the file */
};

/* Read n pairs and sort them by key; what was read until a failure is left to gguf_pairs_release.
 */
bool gguf_pairs_read(struct gguf *gguf, size_t n, struct byte_cursor *cursor,
                     struct status *status) MUST_CHECK;
void gguf_pairs_release(struct gguf *gguf);

/* NULL if there is no such key. */
const struct gguf_pair *gguf_pairs_find(const struct gguf *gguf, const char *key);

size_t gguf_pairs_type_size(enum gguf_type type);      /* bytes of a number; 0 for the others */
const char *gguf_pairs_type_name(enum gguf_type type); /* "a string", "an integer", ... */

bool gguf_pairs_is_int(enum gguf_type type);
bool gguf_pairs_is_float(enum gguf_type type);

/* One number of an integer type: false if it does not fit, as a u64 may not. */
bool gguf_pairs_int(enum gguf_type type, const uint8_t *bytes, int64_t *value);

/* One number of a float type. */
double gguf_pairs_float(enum gguf_type type, const uint8_t *bytes);

#endif
