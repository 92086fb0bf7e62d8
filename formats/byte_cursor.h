/* Reads little-endian numbers and strings from bytes in memory, never past their end. */
#ifndef FORMATS_BYTE_CURSOR_H
#define FORMATS_BYTE_CURSOR_H

#include <stdint.h>

#include "base/status.h"
#include "base/text.h"

struct byte_cursor {
    const uint8_t *data;
    size_t size;
    size_t at; /* <= size */
};

/* Unaligned numbers in memory. */
uint32_t byte_cursor_le32(const uint8_t *bytes);
uint64_t byte_cursor_le64(const uint8_t *bytes);

/* Each takes what it returns and steps over it. STATUS_CONFIG when fewer bytes are left: "needs 8
 * bytes, but 3 are left in the file". */
bool byte_cursor_take(struct byte_cursor *cursor, size_t n, const uint8_t **bytes,
                      struct status *status) MUST_CHECK;
bool byte_cursor_u32(struct byte_cursor *cursor, uint32_t *value, struct status *status) MUST_CHECK;
bool byte_cursor_u64(struct byte_cursor *cursor, uint64_t *value, struct status *status) MUST_CHECK;

/* A u64 length and that many bytes, at most max. *text points into the data. */
bool byte_cursor_string(struct byte_cursor *cursor, size_t max, struct text *text,
                        struct status *status) MUST_CHECK;

#endif
