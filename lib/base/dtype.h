/* The element types that weights are stored in, named as the files name them.
 *
 * Block types are ggml's (ggml-common.h), of 32 elements along the row:
 *   Q8_0:   f16 d, int8 q[32]            y = q * d
 *   Q4_0:   f16 d, nibbles q[32]         y = (q - 8) * d
 *   Q4_1:   f16 d, f16 m, nibbles q[32]  y = q * d + m
 *   Q5_0:   f16 d, bits h[32], nibbles   y = (q - 16) * d, h the fifth bits of q
 *   Q5_1:   f16 d, f16 m, bits, nibbles  y = q * d + m
 *   IQ4_NL: f16 d, nibbles q[32]         y = table[q] * d
 * Nibble j < 16 is the low half of byte j, nibble j + 16 its high half. Of 256 elements, with a
 * whole number of few bits as scale s (and t) of each run of 16 or 32 in it:
 *   Q2_K: y = d * s * q - dmin * t       2 bits, runs of 16
 *   Q3_K: y = d * s * (q - 4)            3 bits, runs of 16
 *   Q4_K: y = d * s * q - dmin * t       4 bits, runs of 32
 *   Q5_K: the same                       5 bits, runs of 32
 *   Q6_K: y = d * s * (q - 32)           6 bits, runs of 16
 * Where their bits lie: cpu/cpu_codes.c.
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
    DTYPE_Q5_0,
    DTYPE_Q5_1,
    DTYPE_IQ4_NL,
    DTYPE_Q2_K,
    DTYPE_Q3_K,
    DTYPE_Q4_K,
    DTYPE_Q5_K,
    DTYPE_Q6_K,
    DTYPE_COUNT,
};

const char *dtype_name(enum dtype dtype);
size_t dtype_block_elements(enum dtype dtype); /* 1, 32 or 256 */
size_t dtype_block_bytes(enum dtype dtype);
/* How many floats of 16 bits (f16) a block has beside its whole numbers, 0 to 2, and at which byte.
 */
size_t dtype_factors(enum dtype dtype, size_t at[2]);

#endif
