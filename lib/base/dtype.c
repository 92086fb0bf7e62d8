#include "base/dtype.h"

static const struct {
    const char *name;
    size_t elements, bytes;
    size_t n_factors, factors[2]; /* f16, at which byte */
} dtypes[DTYPE_COUNT] = {
    [DTYPE_NONE] = {"none", 1, 0, 0, {0}},        [DTYPE_F32] = {"F32", 1, 4, 0, {0}},
    [DTYPE_F16] = {"F16", 1, 2, 0, {0}},          [DTYPE_BF16] = {"BF16", 1, 2, 0, {0}},
    [DTYPE_Q8_0] = {"Q8_0", 32, 34, 1, {0}},      [DTYPE_Q4_0] = {"Q4_0", 32, 18, 1, {0}},
    [DTYPE_Q4_1] = {"Q4_1", 32, 20, 2, {0, 2}},   [DTYPE_NF4] = {"NF4", 32, 16, 0, {0}},
    [DTYPE_Q5_0] = {"Q5_0", 32, 22, 1, {0}},      [DTYPE_Q5_1] = {"Q5_1", 32, 24, 2, {0, 2}},
    [DTYPE_IQ4_NL] = {"IQ4_NL", 32, 18, 1, {0}},  [DTYPE_Q2_K] = {"Q2_K", 256, 84, 2, {80, 82}},
    [DTYPE_Q3_K] = {"Q3_K", 256, 110, 1, {108}},  [DTYPE_Q4_K] = {"Q4_K", 256, 144, 2, {0, 2}},
    [DTYPE_Q5_K] = {"Q5_K", 256, 176, 2, {0, 2}}, [DTYPE_Q6_K] = {"Q6_K", 256, 210, 1, {208}},
};

const char *dtype_name(enum dtype dtype)
{
    return dtypes[dtype].name;
}

size_t dtype_block_elements(enum dtype dtype)
{
    return dtypes[dtype].elements;
}

size_t dtype_block_bytes(enum dtype dtype)
{
    return dtypes[dtype].bytes;
}

size_t dtype_factors(enum dtype dtype, size_t at[2])
{
    for (size_t i = 0; i < dtypes[dtype].n_factors; i++)
        at[i] = dtypes[dtype].factors[i];
    return dtypes[dtype].n_factors;
}
