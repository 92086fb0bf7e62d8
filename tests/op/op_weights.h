/* Random weights of any type as a file has them, and what they mean, read by a second reader. */
#ifndef OP_OP_WEIGHTS_H
#define OP_OP_WEIGHTS_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/rng.h"
#include "compute/backend.h"
#include "tests/op/op_codes.h"

static inline void op_put16(uint8_t *p, uint32_t bits)
{
    p[0] = (uint8_t)bits;
    p[1] = (uint8_t)(bits >> 8);
}

/* A block's bytes: factors of either sign about 2^-5, one in 16 subnormal; f16 and bf16 elements
 * within about [-1, 1]; float elements likewise. */
static inline void op_weights_block(uint8_t *block, enum dtype dtype, uint64_t key, uint32_t at)
{
    const uint32_t counter[4] = {at, 0, 0, 0};
    const struct rng_block r = rng_philox(key, counter);
    const uint32_t small = r.word[0] % 16 == 0 ? 0 : (r.word[0] >> 4) % 4 + 8;
    const uint32_t d = (r.word[1] & 0x8000u) | small << 10 | (r.word[1] & 0x3FFu);
    const uint32_t m = (r.word[2] & 0x8000u) | 11u << 10 | (r.word[2] & 0x3FFu);
    const float f = (float)((double)r.word[3] * 0x1p-31 - 1);
    const struct op_factors at_factors = op_factors_at(dtype);

    switch (dtype) {
    case DTYPE_F32:
        memcpy(block, &f, sizeof(f));
        return;
    case DTYPE_F16:
        op_put16(block, d);
        return;
    case DTYPE_BF16:
        op_put16(block, (r.word[1] & 0x807Fu) | (120 + r.word[2] % 7) << 7);
        return;
    default:
        break;
    }
    for (size_t i = 0; i < dtype_block_bytes(dtype); i++) {
        const uint32_t byte_counter[4] = {at, (uint32_t)i, 1, 0};

        block[i] = (uint8_t)(rng_philox(key, byte_counter).word[0] >> 24);
    }
    if (at_factors.d >= 0)
        op_put16(block + at_factors.d, d);
    if (at_factors.m >= 0)
        op_put16(block + at_factors.m, m);
}

/* What NF4's codes mean, behind the codes and freed with them: blocks of 64, so that runs are of 32
 * columns where rows are no multiple of it. Nothing is rounded to 16 bits: word sets do not. */
static inline const struct nf4_meaning *op_nf4(uint8_t *behind, size_t n, uint64_t key)
{
    struct nf4_meaning *nf4 = (struct nf4_meaning *)(void *)behind;
    float *absmax = (float *)(void *)(nf4 + 1);

    *nf4 = (struct nf4_meaning){.block = NF4_BLOCK, .absmax = absmax, .rounds_to = DTYPE_F32};
    memcpy(nf4->values, nf4_codes, sizeof(nf4->values));
    for (size_t i = 0; i * NF4_BLOCK < n; i++)
        absmax[i] = i % 16 == 7 ? 0 : (float)(0.01 + rng_uniform(key, i, 3) * 0.1);
    return nf4;
}

/* rows x cols of random weights; the caller frees view.data. */
static inline struct tensor_view op_weights(enum dtype dtype, size_t rows, size_t cols,
                                            uint64_t key)
{
    const size_t n_blocks = rows * (cols / dtype_block_elements(dtype));
    const size_t size = n_blocks * dtype_block_bytes(dtype);
    const size_t codes = (size + 63) / 64 * 64; /* what lies behind them is aligned */
    uint8_t *data = memory_zeroed(codes + sizeof(struct nf4_meaning) + size, 1);

    for (size_t b = 0; b < n_blocks; b++)
        op_weights_block(data + b * dtype_block_bytes(dtype), dtype, key, (uint32_t)b);
    return (struct tensor_view){
        dtype, rows, cols,
        data,  size, dtype == DTYPE_NF4 ? op_nf4(data + codes, rows * cols, key) : NULL};
}

/* Element (row, col), each operation of its type's definition rounded to float: the sums are exact
 * in a double, so one rounding is what two steps give. */
static inline float op_weight(const struct tensor_view *view, size_t row, size_t col)
{
    const size_t elements = dtype_block_elements(view->dtype);
    const uint8_t *block = view->data + (row * (view->cols / elements) + col / elements) *
                                            dtype_block_bytes(view->dtype);
    const size_t j = col % elements;
    uint32_t bits;
    float f;

    switch (view->dtype) {
    case DTYPE_F16:
        return (float)op_f16(block);
    case DTYPE_BF16:
        bits = (uint32_t)(block[0] | block[1] << 8) << 16;
        memcpy(&f, &bits, sizeof(f));
        return f;
    case DTYPE_Q8_0:
        return (float)((double)(int8_t)block[2 + j] * op_f16(block));
    case DTYPE_Q4_0:
        bits = block[2 + j % 16] >> (j < 16 ? 0 : 4) & 15u;
        return (float)(((double)bits - 8) * op_f16(block));
    case DTYPE_Q4_1:
        bits = block[4 + j % 16] >> (j < 16 ? 0 : 4) & 15u;
        return (float)((double)bits * op_f16(block) + op_f16(block + 2));
    case DTYPE_NF4:
        bits = block[j / 2] >> (j % 2 ? 0 : 4) & 15u;
        return view->nf4->values[bits] *
               view->nf4->absmax[(row * view->cols + col) / view->nf4->block];
    case DTYPE_F32:
        memcpy(&f, block, sizeof(f));
        return f;
    default:
        return (float)op_code(view->dtype, block, j);
    }
}

#endif
