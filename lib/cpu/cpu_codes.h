/* Weights that are codes of 2 to 6 bits: y = scale * code + offset, or scale * table[code], with a
 * scale and an offset for each run of columns. One form for eight of ggml's types (base/dtype.h).
 *
 * A panel has, for each block of the file's 32 or 256 columns, what its 16 rows need:
 *   f16 d[16]; f16 m[16] where the type has two factors;
 *   for each run, where runs have scales of their own: int8 or uint8 s[16]; uint8 t[16];
 *   for each 32 columns: the lower bits of the codes, then the upper ones.
 * Bits are in planes of 4, 2 or 1 a code, a word a row: of 8, 16 or 32 columns. Of 8 columns, byte
 * i of a word holds two codes, of columns c and c + 2: c = 0, 4, 1, 5; the first in the lower bits.
 * Those of the next 8 columns follow in the bits above. So a shift and a mask put a code into each
 * byte, and another shift or mask makes pairs of 16-bit numbers of the bytes.
 */
#ifndef CPU_CPU_CODES_H
#define CPU_CPU_CODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/dtype.h"
#include "cpu/cpu_matrix.h"

enum code_scales {
    CODE_SCALES_NONE,    /* d (and m) are the run's own */
    CODE_SCALES_SIGNED,  /* scale d s */
    CODE_SCALES_NIBBLES, /* scale d s, offset -m t; both in a byte, s its lower half */
    CODE_SCALES_TWO      /* the same, a byte each */
};

struct code_form {
    size_t block, run; /* columns */
    int low, high;     /* bits in either plane */
    bool has_m;
    enum code_scales scales;
    int zero;       /* of types without m: the offset is -zero * scale */
    bool has_table; /* codes name numbers */
};

/* In the header: kernels want it as a constant. Blocks of 0 columns: a type that is none of these.
 */
static inline struct code_form cpu_codes_form(enum dtype dtype)
{
    switch (dtype) {
    case DTYPE_Q5_0:
        return (struct code_form){32, 32, 4, 1, false, CODE_SCALES_NONE, 16, false};
    case DTYPE_Q5_1:
        return (struct code_form){32, 32, 4, 1, true, CODE_SCALES_NONE, 0, false};
    case DTYPE_IQ4_NL:
        return (struct code_form){32, 32, 4, 0, false, CODE_SCALES_NONE, 0, true};
    case DTYPE_Q2_K:
        return (struct code_form){256, 16, 2, 0, true, CODE_SCALES_NIBBLES, 0, false};
    case DTYPE_Q3_K:
        return (struct code_form){256, 16, 2, 1, false, CODE_SCALES_SIGNED, 4, false};
    case DTYPE_Q4_K:
        return (struct code_form){256, 32, 4, 0, true, CODE_SCALES_TWO, 0, false};
    case DTYPE_Q5_K:
        return (struct code_form){256, 32, 4, 1, true, CODE_SCALES_TWO, 0, false};
    case DTYPE_Q6_K:
        return (struct code_form){256, 16, 4, 2, false, CODE_SCALES_SIGNED, 32, false};
    default:
        return (struct code_form){0};
    }
}

static inline bool cpu_codes_are(enum dtype dtype)
{
    return cpu_codes_form(dtype).block > 0;
}

/* Of blocks of 256 columns a code times its run's scale is an integer that fits 16 bits. */
static inline bool cpu_codes_are_exact(struct code_form f)
{
    return f.block > QUANT_BLOCK;
}

/* Bytes of a panel's block before its codes, of a run's scales in them, of 32 columns' codes. */
static inline size_t cpu_codes_run_bytes(struct code_form f)
{
    return f.scales == CODE_SCALES_NONE  ? 0
           : f.scales == CODE_SCALES_TWO ? (size_t)2 * PANEL_ROWS
                                         : (size_t)PANEL_ROWS;
}

static inline size_t cpu_codes_factor_bytes(struct code_form f)
{
    return (size_t)PANEL_ROWS * (f.has_m ? 4 : 2);
}

static inline size_t cpu_codes_head_bytes(struct code_form f)
{
    return cpu_codes_factor_bytes(f) + f.block / f.run * cpu_codes_run_bytes(f);
}

static inline size_t cpu_codes_part_bytes(struct code_form f)
{
    return (size_t)(f.low + f.high) * (QUANT_BLOCK / 8) * PANEL_ROWS;
}

static inline size_t cpu_codes_block_bytes(struct code_form f)
{
    return cpu_codes_head_bytes(f) + f.block / QUANT_BLOCK * cpu_codes_part_bytes(f);
}

/* The panel's block that has column k. */
static inline const uint8_t *cpu_codes_at(const struct matrix *m, struct code_form f, size_t panel,
                                          size_t k)
{
    return m->data + panel * m->panel_size + k / f.block * cpu_codes_block_bytes(f);
}

/* In such a block, the codes of the 32 columns that k is in. */
static inline const uint8_t *cpu_codes_part(struct code_form f, const uint8_t *block, size_t k)
{
    return block + cpu_codes_head_bytes(f) + k % f.block / QUANT_BLOCK * cpu_codes_part_bytes(f);
}

/* What the codes of IQ4_NL name (ggml-common.h, kvalues_iq4nl). */
#define CODE_TABLE -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113

/* A row of the file, n_blocks, into a lane of a panel. */
void cpu_codes_pack(enum dtype dtype, uint8_t *panel, size_t lane, const uint8_t *row,
                    size_t n_blocks);

/* Column k of a row, as the type's definition has it: the product is exact, the sum rounds. */
float cpu_codes_value(const struct matrix *m, size_t row, size_t k);

#endif
