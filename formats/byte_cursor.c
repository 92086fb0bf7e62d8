#include "formats/byte_cursor.h"

#include <inttypes.h>

uint32_t byte_cursor_le32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

uint64_t byte_cursor_le64(const uint8_t *bytes)
{
    return byte_cursor_le32(bytes) | (uint64_t)byte_cursor_le32(bytes + 4) << 32;
}

bool byte_cursor_take(struct byte_cursor *cursor, size_t n, const uint8_t **bytes,
                      struct status *status)
{
    if (n > cursor->size - cursor->at)
        return status_fail(status, STATUS_CONFIG,
                           "needs %zu bytes, but %zu are left in the file: is it cut short?", n,
                           cursor->size - cursor->at);
    *bytes = cursor->data + cursor->at;
    cursor->at += n;
    return true;
}

bool byte_cursor_u32(struct byte_cursor *cursor, uint32_t *value, struct status *status)
{
    const uint8_t *bytes;

    if (!byte_cursor_take(cursor, 4, &bytes, status))
        return false;
    *value = byte_cursor_le32(bytes);
    return true;
}

bool byte_cursor_u64(struct byte_cursor *cursor, uint64_t *value, struct status *status)
{
    const uint8_t *bytes;

    if (!byte_cursor_take(cursor, 8, &bytes, status))
        return false;
    *value = byte_cursor_le64(bytes);
    return true;
}

bool byte_cursor_string(struct byte_cursor *cursor, size_t max, struct text *text,
                        struct status *status)
{
    uint64_t len;
    const uint8_t *bytes;

    if (!byte_cursor_u64(cursor, &len, status))
        return false;
    if (len > max)
        return status_fail(status, STATUS_CONFIG,
                           "string of %" PRIu64 " bytes, at most %zu are read", len, max);
    if (!byte_cursor_take(cursor, (size_t)len, &bytes, status))
        return false;
    *text = (struct text){(const char *)bytes, (size_t)len};
    return true;
}
