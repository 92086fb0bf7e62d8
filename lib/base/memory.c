#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/status.h"

static void *or_end(void *memory, size_t size)
{
    if (!memory && size > 0) {
        fprintf(stderr, "medrat: out of memory (%zu bytes)\n", size);
        exit(status_exit_code(STATUS_MEMORY));
    }
    return memory;
}

static size_t product(size_t n, size_t size)
{
    size_t bytes;

    if (!checked_mul(n, size, &bytes))
        bytes = (size_t)-1; /* malloc refuses it, and the message shows it */
    return bytes;
}

void *memory_zeroed(size_t n, size_t size)
{
    return or_end(calloc(n ? n : 1, size ? size : 1), product(n, size));
}

void *memory_resize(void *old, size_t n, size_t size)
{
    const size_t bytes = product(n, size);

    return or_end(realloc(old, bytes ? bytes : 1), bytes);
}

char *memory_string(const char *bytes, size_t len)
{
    char *copy = memory_resize(NULL, len + 1, 1);

    if (len > 0)
        memcpy(copy, bytes, len);
    copy[len] = '\0';
    return copy;
}
