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
#include "tests/op/op_codes.h"

enum { BLOCK = 32, K_BLOCK = 256 };

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

/* Of unit variance too; four values are one hash. */
static double uniform(uint64_t key, uint64_t index)
{
    const uint64_t bits = hash_mix(key + (index / 4 + 1) * UINT64_C(0x9E3779B97F4A7C15));

    return ((double)(bits >> index % 4 * 16 & 0xFFFF) - 32767.5) * (1.7320508075688772 / 32768);
}

static double draw(const struct tiny_tensor *t, uint64_t key, int64_t index)
{
    return t->n_fresh ? uniform(key, (uint64_t)index) : about_normal(key, (uint64_t)index);
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

/* Which of its rows a file's row is. */
static int64_t source_row(const struct tiny_tensor *t, int64_t row)
{
    if (t->interleaved_heads && t->n_dims == 2)
        row = half_split_row(row, t->shape[0] / t->interleaved_heads);
    return t->n_fresh ? row % t->n_fresh : row;
}

static void fill_row(const struct tiny_tensor *t, int64_t source, float *out)
{
    const int64_t n_cols = t->n_dims == 2 ? t->shape[1] : t->shape[0];
    const int64_t n_rows = t->n_dims == 2 ? t->shape[0] : 1;

    if (t->values) {
        memcpy(out, t->values, (size_t)n_cols * sizeof(*out));
        return;
    }
    for (int64_t i = 0; i < n_cols; i++) {
        const bool bias = t->interleaved_heads && t->n_dims == 1;
        const int64_t at = bias ? half_split_row(i, n_cols / t->interleaved_heads) : i;
        double x = t->offset + t->scale * draw(t, t->key, source * n_cols + at);

        if (t->planted_key)
            x += t->planted_scale * draw(t, t->planted_key, plant(source, n_rows) * n_cols + i);
        out[i] = (float)x;
    }
}

static uint16_t to_bf16(float x)
{
    const uint32_t bits = float_to_bits(x);

    return (uint16_t)((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

uint16_t tiny_f16(float x)
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

    put16(out, tiny_f16(d));
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

    put16(out, tiny_f16(d));
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

    put16(out, tiny_f16(d));
    put16(out + 2, tiny_f16(low));
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
            put16(out + i * 2, tiny_f16(x[i]));
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
        case TINY_Q4_K:
            if (i % K_BLOCK == 0)
                tiny_put_q4_k(x + i, out + i / K_BLOCK * 144);
            break;
        case TINY_Q5_K:
            if (i % K_BLOCK == 0)
                tiny_put_q5_k(x + i, out + i / K_BLOCK * 176);
            break;
        case TINY_Q6_K:
            if (i % K_BLOCK == 0)
                tiny_put_q6_k(x + i, out + i / K_BLOCK * 210);
            break;
        }
    }
}

static const struct {
    const char *name;
    uint32_t gguf;
    size_t block, bytes; /* elements and bytes of a block */
} type_table[] = {
    [TINY_F32] = {"F32", 0, 1, 4},
    [TINY_F16] = {"F16", 1, 1, 2},
    [TINY_BF16] = {"BF16", 30, 1, 2},
    [TINY_Q8_0] = {"Q8_0", 8, BLOCK, 34},
    [TINY_Q4_0] = {"Q4_0", 2, BLOCK, 18},
    [TINY_Q4_1] = {"Q4_1", 3, BLOCK, 20},
    [TINY_Q4_K] = {"Q4_K", 12, K_BLOCK, 144},
    [TINY_Q5_K] = {"Q5_K", 13, K_BLOCK, 176},
    [TINY_Q6_K] = {"Q6_K", 14, K_BLOCK, 210},
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

static enum dtype dtype_of(enum tiny_type type)
{
    return type == TINY_Q4_K ? DTYPE_Q4_K : type == TINY_Q5_K ? DTYPE_Q5_K : DTYPE_Q6_K;
}

/* Values become what numbers, or blocks, of a type stand for. */
static void round_through(enum tiny_type type, float *x, int64_t n)
{
    uint8_t block[256];

    for (int64_t i = 0; i < n && type == TINY_F16; i++)
        x[i] = f16_to_float(tiny_f16(x[i]));
    for (int64_t i = 0; i < n && type == TINY_BF16; i++)
        x[i] = bf16_to_float(to_bf16(x[i]));
    if (type == TINY_F16 || type == TINY_BF16)
        return;
    for (int64_t i = 0; i < n; i += K_BLOCK) {
        put_row(type, x + i, K_BLOCK, block);
        for (size_t j = 0; j < K_BLOCK; j++)
            x[(size_t)i + j] = (float)op_code(dtype_of(type), block, j);
    }
}

static size_t row_size(const struct tiny_tensor *t)
{
    const int64_t n_cols = t->n_dims == 2 ? t->shape[1] : t->shape[0];

    return (size_t)n_cols / type_table[t->type].block * type_table[t->type].bytes;
}

size_t tiny_tensor_size(const struct tiny_tensor *t)
{
    return row_size(t) * (size_t)(t->n_dims == 2 ? t->shape[0] : 1);
}

uint8_t *tiny_tensor_bytes(const struct tiny_tensor *t, size_t *size)
{
    const int64_t n_rows = t->n_dims == 2 ? t->shape[0] : 1;
    const int64_t n_cols = t->n_dims == 2 ? t->shape[1] : t->shape[0];
    const size_t row_bytes = row_size(t);
    uint8_t *bytes = memory_zeroed((size_t)n_rows, row_bytes);
    float *row = memory_zeroed((size_t)n_cols, sizeof(*row));
    int64_t *made = memory_zeroed((size_t)n_rows, sizeof(*made)); /* 1 + where a source went */

    for (int64_t r = 0; r < n_rows; r++) {
        const int64_t source = source_row(t, r);
        uint8_t *to = bytes + (size_t)r * row_bytes;

        if (made[source]) {
            memcpy(to, bytes + (size_t)(made[source] - 1) * row_bytes, row_bytes);
            continue;
        }
        fill_row(t, source, row);
        if (t->through != TINY_NONE)
            round_through(t->through, row, n_cols);
        put_row(t->type, row, n_cols, to);
        made[source] = r + 1;
    }
    free(made);
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
