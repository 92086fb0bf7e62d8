#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

void buf_release(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){0};
}

void buf_reset(struct buf *buf)
{
    buf->len = 0;
    if (buf->data)
        buf->data[0] = '\0';
}

char *buf_reserve(struct buf *buf, size_t n)
{
    const size_t need = buf->len + n + 1;

    if (need > buf->cap) {
        buf->cap = need > 2 * buf->cap ? need : 2 * buf->cap;
        if (buf->cap < 64)
            buf->cap = 64;
        buf->data = memory_resize(buf->data, buf->cap, 1);
    }
    return buf->data + buf->len;
}

void buf_append(struct buf *buf, const void *bytes, size_t n)
{
    char *to = buf_reserve(buf, n);

    if (n > 0)
        memcpy(to, bytes, n);
    to[n] = '\0';
    buf->len += n;
}

void buf_append_text(struct buf *buf, struct text text)
{
    buf_append(buf, text.ptr, text.len);
}

void buf_append_string(struct buf *buf, const char *zero_terminated)
{
    buf_append(buf, zero_terminated, strlen(zero_terminated));
}

void buf_append_char(struct buf *buf, char c)
{
    buf_append(buf, &c, 1);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args, again;
    int n;

    va_start(args, format);
    va_copy(again, args);
    n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n > 0) {
        vsnprintf(buf_reserve(buf, (size_t)n), (size_t)n + 1, format, again);
        buf->len += (size_t)n;
    }
    va_end(again);
}
