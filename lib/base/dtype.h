/* The element types that weights are stored in, named as the files name them.
 *
 * Block types are ggml's (formats.md of GGUF: block of 32 elements along the row):
 *   Q8_0: f16 d, int8 q[32]          y = q * d
 *   Q4_0: f16 d, nibbles q[32]       y = (q - 8) * d
 *   Q4_1: f16 d, f16 m, nibbles q[32] y = q * d + m
 * Nibble j < 16 is the low half of byte j, nibble j + 16 its high half.
 * NF4 is bitsandbytes' (base/nf4.h): element 2k is the high half of byte k, element 2k + 1 the low
 * half; what its codes stand for lies beside the bytes (compute/backend.h).
 */
#ifndef BASE_DTYPE_H
#define BASE_DTYPE_H

#include <stddef.h>

enum dtype {
    DTYPE_NONE, /* a type that we can skip over but not compute with */
    DTYPE_F32,
    DTYPE_F16,
    DTYPE_BF16,
    DTYPE_Q8_0,
    DTYPE_Q4_0,
    DTYPE_Q4_1,
    DTYPE_NF4,
    DTYPE_COUNT,
};

const char *dtype_name(enum dtype dtype);
size_t dtype_block_elements(enum dtype dtype); /* 1 or 32 */
size_t dtype_block_bytes(enum dtype dtype);

#endif
