#include "base/dtype.h"

static const struct {
    const char *name;
    size_t elements, bytes;
} dtypes[DTYPE_COUNT] = {
    [DTYPE_NONE] = {"none", 1, 0},   [DTYPE_F32] = {"F32", 1, 4},
    [DTYPE_F16] = {"F16", 1, 2},     [DTYPE_BF16] = {"BF16", 1, 2},
    [DTYPE_Q8_0] = {"Q8_0", 32, 34}, [DTYPE_Q4_0] = {"Q4_0", 32, 18},
    [DTYPE_Q4_1] = {"Q4_1", 32, 20}, [DTYPE_NF4] = {"NF4", 32, 16},
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
