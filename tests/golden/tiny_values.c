#include "tests/golden/tiny.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/float16.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/rng.h"

enum { BLOCK = 32 };

/* The sum of four uniforms has variance 1/3 and needs no libm, whose last bits differ. */
static double about_normal(uint64_t key, uint64_t index)
{
    const uint32_t counter[4] = {(uint32_t)index, (uint32_t)(index >> 32), 0, 0x74696e79u};
    const struct rng_block b = rng_philox(key, counter);
    double sum = 0;

    for (int i = 0; i < 4; i++)
        sum += (double)b.word[i] * 0x1p-32;
    return (sum - 2) * sqrt(3.0);
}

/* Which row a planted row follows: a bijection on [0, n), not its own inverse. */
static int64_t plant(int64_t row, int64_t n)
{
    return (row + n / 3) % n;
}

/* GGUF row 2i + j of a head is row j * D/2 + i of the half-split order. */
static int64_t half_split_row(int64_t row, int64_t head_dim)
{
    const int64_t head = row / head_dim, r = row % head_dim;

    return head * head_dim + r % 2 * (head_dim / 2) + r / 2;
}

static void fill_row(const struct tiny_tensor *t, int64_t row, float *out)
{
    const int64_t n_cols = t->n_dims == 2 ? t->shape[1] : t->shape[0];
    const int64_t n_rows = t->n_dims == 2 ? t->shape[0] : 1;
    int64_t source = row;

    if (t->values) {
        memcpy(out, t->values, (size_t)n_cols * sizeof(*out));
        return;
    }
    if (t->interleaved_heads && t->n_dims == 2)
        source = half_split_row(row, n_rows / t->interleaved_heads);
    for (int64_t i = 0; i < n_cols; i++) {
        const bool bias = t->interleaved_heads && t->n_dims == 1;
        const int64_t at = bias ? half_split_row(i, n_cols / t->interleaved_heads) : i;
        double x = t->offset + t->scale * about_normal(t->key, (uint64_t)(source * n_cols + at));

        if (t->planted_key)
            x += t->planted_scale *
                 about_normal(t->planted_key, (uint64_t)(plant(source, n_rows) * n_cols + i));
        out[i] = (float)x;
    }
}

static uint16_t to_bf16(float x)
{
    const uint32_t bits = float_to_bits(x);

    return (uint16_t)((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

/* Nearest, ties to even; our values are far from f16's largest. */
static uint16_t to_f16(float x)
{
    const uint16_t sign = (uint16_t)(float_to_bits(x) >> 16 & 0x8000u);
    const double magnitude = fabs((double)x);
    int exponent;

    frexp(magnitude, &exponent); /* magnitude in [2^(e-1), 2^e) */
    if (exponent < -13)
        exponent = -13; /* subnormal: the spacing stays 2^-24 */
    /* units of 2^(exponent - 11); 1024..2048, where 2048 carries into the exponent by itself */
    const double units = rint(ldexp(magnitude, 11 - exponent));
    const int bits = (exponent + 13) * 1024 + (int)units;

    return (uint16_t)(sign | bits);
}

static void put16(uint8_t *out, uint16_t x)
{
    out[0] = (uint8_t)x;
    out[1] = (uint8_t)(x >> 8);
}

static void put_q8_0(const float *x, uint8_t *out)
{
    float largest = 0;

    for (int i = 0; i < BLOCK; i++)
        largest = fmaxf(largest, fabsf(x[i]));
    const float d = largest / 127;

    put16(out, to_f16(d));
    for (int i = 0; i < BLOCK; i++)
        out[2 + i] = (uint8_t)(int8_t)(d > 0 ? roundf(x[i] / d) : 0);
}

static void put_nibbles(const float *x, float d, float low, float rounding, uint8_t *out)
{
    for (int i = 0; i < BLOCK / 2; i++) {
        uint8_t q[2];

        for (int half = 0; half < 2; half++) {
            const float scaled = d != 0 ? (x[i + half * 16] - low) / d + rounding : 0;

            q[half] = (uint8_t)(scaled > 15 ? 15 : (int)scaled);
        }
        out[i] = (uint8_t)(q[0] | q[1] << 4);
    }
}

static void put_q4_0(const float *x, uint8_t *out)
{
    float largest = 0;

    for (int i = 0; i < BLOCK; i++)
        if (fabsf(x[i]) > fabsf(largest))
            largest = x[i];
    const float d = largest / -8;

    put16(out, to_f16(d));
    put_nibbles(x, d, 0, 8.5f, out + 2);
}

static void put_q4_1(const float *x, uint8_t *out)
{
    float low = x[0], high = x[0];

    for (int i = 1; i < BLOCK; i++) {
        low = fminf(low, x[i]);
        high = fmaxf(high, x[i]);
    }
    const float d = (high - low) / 15;

    put16(out, to_f16(d));
    put16(out + 2, to_f16(low));
    put_nibbles(x, d, low, 0.5f, out + 4);
}

static void put_row(enum tiny_type type, const float *x, int64_t n, uint8_t *out)
{
    for (int64_t i = 0; i < n; i++) {
        switch (type) {
        case TINY_NONE:
            break;
        case TINY_F32:
            memcpy(out + i * 4, x + i, 4);
            break;
        case TINY_F16:
            put16(out + i * 2, to_f16(x[i]));
            break;
        case TINY_BF16:
            put16(out + i * 2, to_bf16(x[i]));
            break;
        case TINY_I64:
            memcpy(out + i * 8, &i, 8);
            break;
        case TINY_Q8_0:
            if (i % BLOCK == 0)
                put_q8_0(x + i, out + i / BLOCK * 34);
            break;
        case TINY_Q4_0:
            if (i % BLOCK == 0)
                put_q4_0(x + i, out + i / BLOCK * 18);
            break;
        case TINY_Q4_1:
            if (i % BLOCK == 0)
                put_q4_1(x + i, out + i / BLOCK * 20);
            break;
        }
    }
}

static const struct {
    const char *name;
    uint32_t gguf;
    size_t block, bytes; /* elements and bytes of a block */
} type_table[] = {
    [TINY_F32] = {"F32", 0, 1, 4},        [TINY_F16] = {"F16", 1, 1, 2},
    [TINY_BF16] = {"BF16", 30, 1, 2},     [TINY_Q8_0] = {"Q8_0", 8, BLOCK, 34},
    [TINY_Q4_0] = {"Q4_0", 2, BLOCK, 18}, [TINY_Q4_1] = {"Q4_1", 3, BLOCK, 20},
    [TINY_I64] = {"I64", 27, 1, 8},
};

const char *tiny_type_name(enum tiny_type type)
{
    return type_table[type].name;
}

uint32_t tiny_type_gguf(enum tiny_type type)
{
    return type_table[type].gguf;
}

uint8_t *tiny_tensor_bytes(const struct tiny_tensor *t, size_t *size)
{
    const int64_t n_rows = t->n_dims == 2 ? t->shape[0] : 1;
    const int64_t n_cols = t->n_dims == 2 ? t->shape[1] : t->shape[0];
    const size_t row_bytes = (size_t)n_cols / type_table[t->type].block * type_table[t->type].bytes;
    uint8_t *bytes = memory_zeroed((size_t)n_rows, row_bytes);
    float *row = memory_zeroed((size_t)n_cols, sizeof(*row));

    for (int64_t r = 0; r < n_rows; r++) {
        fill_row(t, r, row);
        put_row(t->type, row, n_cols, bytes + (size_t)r * row_bytes);
    }
    free(row);
    *size = (size_t)n_rows * row_bytes;
    return bytes;
}

struct tiny_tensor *tiny_add(struct tiny_model *m, enum tiny_type type, int64_t rows, int64_t cols,
                             double scale, const char *format, ...)
{
    struct tiny_tensor *t = &m->tensors[m->n_tensors];
    struct buf seed = {0};
    va_list args;

    if (m->n_tensors++ == TINY_MAX_TENSORS)
        abort();
    va_start(args, format);
    vsnprintf(t->name, sizeof(t->name), format, args);
    va_end(args);
    buf_printf(&seed, "%s/%s", m->name, t->name);
    t->key = hash64(seed.data, seed.len);
    buf_release(&seed);
    t->type = type;
    t->n_dims = cols ? 2 : 1;
    t->shape[0] = rows;
    t->shape[1] = cols ? cols : 1;
    t->scale = scale;
    return t;
}

double tiny_gain(double g, int n_inputs)
{
    double root = 1; /* Newton ends at the same bits everywhere */

    for (int i = 0; i < 40; i++)
        root = (root + n_inputs / root) / 2;
    return g / root;
}
