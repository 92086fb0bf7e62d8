/* Bytes that grow. Zeroed = valid and empty. data[len] is always 0 once anything was appended.
 *
 * Growth that cannot be had ends the program (base/memory.h): buffers hold one record's output,
 * whose size the options bound.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stddef.h>

#include "base/text.h"

struct buf {
    char *data; /* ours; NULL while nothing was appended */
    size_t len;
    size_t cap;
};

void buf_release(struct buf *buf);
void buf_reset(struct buf *buf); /* empty, capacity kept */

/* Room for n more bytes behind len; returns where they go. The caller adds to len. */
char *buf_reserve(struct buf *buf, size_t n);
void buf_append(struct buf *buf, const void *bytes, size_t n);
void buf_append_text(struct buf *buf, struct text text);
void buf_append_string(struct buf *buf, const char *zero_terminated);
void buf_append_char(struct buf *buf, char c);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline struct text buf_text(const struct buf *buf)
{
    return (struct text){buf->data ? buf->data : "", buf->len};
}

#endif
