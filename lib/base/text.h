/* A run of bytes that somebody else owns; not ended by a zero, may contain zeros. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct text {
    const char *ptr;
    size_t len;
};

static inline struct text text_of(const char *zero_terminated)
{
    return (struct text){zero_terminated, strlen(zero_terminated)};
}

static inline bool text_equals(struct text a, struct text b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool text_is(struct text a, const char *zero_terminated)
{
    return text_equals(a, text_of(zero_terminated));
}

static inline bool text_starts_with(struct text a, struct text prefix)
{
    return a.len >= prefix.len && (prefix.len == 0 || memcmp(a.ptr, prefix.ptr, prefix.len) == 0);
}

#endif
