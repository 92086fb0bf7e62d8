/* What libFuzzer and replay.c call. */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Feed the bytes to the parser and use all that it gives. Returns 0; a fault ends the program. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold of whatever a parser has made. */
static inline void require(bool holds)
{
    if (!holds)
        abort();
}

#endif
