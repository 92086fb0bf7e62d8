/* Blocks of codes as files have them (ggml-quants.c, dequantize_row_*) to panels, and back to
 * single numbers. */
#include "cpu/cpu_codes.h"

#include <string.h>

#include "base/float16.h"
#include "base/little_endian.h"

enum { MOST_COLUMNS = 256, MOST_RUNS = 16 };

/* A block taken apart: a code a byte, in the order of the columns. */
struct parts {
    uint8_t codes[MOST_COLUMNS];
    uint8_t s[MOST_RUNS], t[MOST_RUNS]; /* scales of runs, as the panel has them */
    const uint8_t *d, *m;               /* f16, little-endian */
};

static void take_nibbles(uint8_t *first, uint8_t *second, const uint8_t *q, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        first[i] = q[i] & 15;
        second[i] = q[i] >> 4;
    }
}

/* q5_0, q5_1: d, m of q5_1, fifth bits, nibbles; iq4_nl: d, nibbles */
static void take_32(struct parts *p, const uint8_t *block, bool has_m, bool has_fifth)
{
    const uint8_t *h = block + (has_m ? 4 : 2), *q = h + (has_fifth ? 4 : 0);

    p->d = block;
    p->m = block + 2;
    take_nibbles(p->codes, p->codes + 16, q, 16);
    for (size_t i = 0; has_fifth && i < 32; i++)
        p->codes[i] |= (uint8_t)((h[i / 8] >> i % 8 & 1) << 4);
}

/* scales[16], qs[64], d, dmin */
static void take_q2_k(struct parts *p, const uint8_t *block)
{
    memcpy(p->s, block, 16);
    for (size_t i = 0; i < 256; i++)
        p->codes[i] = block[16 + i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
    p->d = block + 80;
    p->m = block + 82;
}

/* hmask[32], qs[64], scales[12], d */
static void take_q3_k(struct parts *p, const uint8_t *block)
{
    const uint8_t *scales = block + 96;

    for (size_t k = 0; k < 16; k++) {
        const int low = scales[k % 8] >> (k < 8 ? 0 : 4) & 15;
        const int high = scales[8 + k % 4] >> (k / 4 * 2) & 3;

        p->s[k] = (uint8_t)((low | high << 4) - 32);
    }
    for (size_t i = 0; i < 256; i++) {
        const int low = block[32 + i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;

        p->codes[i] = (uint8_t)(low | (block[i % 32] >> (i / 32) & 1) << 2);
    }
    p->d = block + 108;
}

/* d, dmin, scales[12], qh[32] of q5_k, qs[128] */
static void take_q4_k(struct parts *p, const uint8_t *block, bool has_fifth)
{
    const uint8_t *scales = block + 4, *h = block + 16, *q = h + (has_fifth ? 32 : 0);

    for (size_t j = 0; j < 4; j++) {
        p->s[j] = scales[j] & 63;
        p->t[j] = scales[j + 4] & 63;
        p->s[j + 4] = (uint8_t)((scales[j + 8] & 15) | scales[j] >> 6 << 4);
        p->t[j + 4] = (uint8_t)(scales[j + 8] >> 4 | scales[j + 4] >> 6 << 4);
    }
    for (size_t c = 0; c < 4; c++)
        take_nibbles(p->codes + 64 * c, p->codes + 64 * c + 32, q + 32 * c, 32);
    for (size_t c = 0; has_fifth && c < 8; c++) {
        for (size_t i = 0; i < 32; i++)
            p->codes[32 * c + i] |= (uint8_t)((h[i] >> c & 1) << 4);
    }
    p->d = block;
    p->m = block + 2;
}

/* ql[128], qh[64], scales[16], d */
static void take_q6_k(struct parts *p, const uint8_t *block)
{
    memcpy(p->s, block + 192, 16);
    for (size_t half = 0; half < 2; half++) {
        const uint8_t *q = block + 64 * half, *h = block + 128 + 32 * half;
        uint8_t *codes = p->codes + 128 * half;

        take_nibbles(codes, codes + 64, q, 64);
        for (size_t i = 0; i < 32; i++) {
            codes[i] |= (uint8_t)((h[i] & 3) << 4);
            codes[32 + i] |= (uint8_t)((h[i] >> 2 & 3) << 4);
            codes[64 + i] |= (uint8_t)((h[i] >> 4 & 3) << 4);
            codes[96 + i] |= (uint8_t)(h[i] >> 6 << 4);
        }
    }
    p->d = block + 208;
}

static void take(struct parts *p, enum dtype dtype, const uint8_t *block)
{
    switch (dtype) {
    case DTYPE_Q2_K:
        take_q2_k(p, block);
        break;
    case DTYPE_Q3_K:
        take_q3_k(p, block);
        break;
    case DTYPE_Q4_K:
        take_q4_k(p, block, false);
        break;
    case DTYPE_Q5_K:
        take_q4_k(p, block, true);
        break;
    case DTYPE_Q6_K:
        take_q6_k(p, block);
        break;
    default:
        take_32(p, block, dtype == DTYPE_Q5_1, dtype != DTYPE_IQ4_NL);
        break;
    }
}

/* Columns 0, 4, 1, 5 of eight, in bytes: those that lie in the lower bits. Shifted by two columns,
 * the others. */
static uint32_t every_other_two(uint32_t first_four, uint32_t second_four)
{
    return (first_four & 0xFF) | (second_four & 0xFF) << 8 | (first_four & 0xFF00) << 8 |
           (second_four & 0xFF00) << 16;
}

/* A plane of `bits` bits a code, those from bit `from` on, of 32 columns. */
static void pack_plane(uint8_t *plane, size_t lane, const uint8_t *codes, int from, int bits)
{
    const uint32_t mask = ((1u << bits) - 1) * 0x01010101u;
    const size_t steps = (size_t)(4 / bits); /* of eight columns, in a word */

    for (size_t i = 0; i < QUANT_BLOCK / 8; i += steps, plane += 4 * (size_t)PANEL_ROWS) {
        uint32_t word = 0;

        for (size_t step = 0; step < steps; step++, codes += 8) {
            const uint32_t a = read_le32(codes) >> from & mask;
            const uint32_t b = read_le32(codes + 4) >> from & mask;

            word |= every_other_two(a, b) << 2 * bits * (int)step;
            word |= every_other_two(a >> 16, b >> 16) << (2 * bits * (int)step + bits);
        }
        write_le32(plane + 4 * lane, word);
    }
}

static void pack_head(const struct parts *p, struct code_form f, uint8_t *head, size_t lane)
{
    uint8_t *runs = head + cpu_codes_factor_bytes(f);

    memcpy(head + 2 * lane, p->d, 2);
    if (f.has_m)
        memcpy(head + 2 * (PANEL_ROWS + lane), p->m, 2);
    for (size_t r = 0; f.scales != CODE_SCALES_NONE && r < f.block / f.run; r++) {
        runs[r * cpu_codes_run_bytes(f) + lane] = p->s[r];
        if (f.scales == CODE_SCALES_TWO)
            runs[r * cpu_codes_run_bytes(f) + PANEL_ROWS + lane] = p->t[r];
    }
}

void cpu_codes_pack(enum dtype dtype, uint8_t *panel, size_t lane, const uint8_t *row,
                    size_t n_blocks)
{
    const struct code_form f = cpu_codes_form(dtype);
    struct parts parts;

    for (size_t b = 0; b < n_blocks; b++, row += dtype_block_bytes(dtype)) {
        uint8_t *part = panel + cpu_codes_head_bytes(f);

        take(&parts, dtype, row);
        pack_head(&parts, f, panel, lane);
        for (size_t k = 0; k < f.block; k += QUANT_BLOCK, part += cpu_codes_part_bytes(f)) {
            pack_plane(part, lane, parts.codes + k, 0, f.low);
            if (f.high > 0)
                pack_plane(part + f.low * (QUANT_BLOCK / 8) * PANEL_ROWS, lane, parts.codes + k,
                           f.low, f.high);
        }
        panel += cpu_codes_block_bytes(f);
    }
}

/* Column k of 32 in a plane. */
static unsigned plane_bits(const uint8_t *plane, int bits, size_t lane, size_t k)
{
    const size_t step = k / 8, steps = (size_t)(4 / bits);
    const uint8_t *word = plane + (step / steps * PANEL_ROWS + lane) * 4;
    const unsigned shift = (unsigned)bits * (unsigned)(2 * (step % steps) + k % 4 / 2);

    return (unsigned)word[k % 2 * 2 + k % 8 / 4] >> shift & ((1u << bits) - 1);
}

static float f16_at(const uint8_t *p)
{
    return f16_to_float(read_le16(p));
}

float cpu_codes_value(const struct matrix *m, size_t row, size_t k)
{
    static const int8_t table[] = {CODE_TABLE};
    const struct code_form f = cpu_codes_form(m->dtype);
    const size_t lane = row % PANEL_ROWS, in_block = k % f.block;
    const uint8_t *head = cpu_codes_at(m, f, row / PANEL_ROWS, k);
    const uint8_t *run =
        head + cpu_codes_factor_bytes(f) + in_block / f.run * cpu_codes_run_bytes(f);
    const uint8_t *part = cpu_codes_part(f, head, k);
    unsigned code = plane_bits(part, f.low, lane, k % QUANT_BLOCK);
    float scale = f16_at(head + 2 * lane), m_factor;

    if (f.high > 0)
        code |=
            plane_bits(part + f.low * (QUANT_BLOCK / 8) * PANEL_ROWS, f.high, lane, k % QUANT_BLOCK)
            << f.low;
    if (f.scales == CODE_SCALES_SIGNED)
        scale *= (float)(int8_t)run[lane];
    else if (f.scales != CODE_SCALES_NONE)
        scale *= (float)(f.scales == CODE_SCALES_TWO ? run[lane] : run[lane] & 15);
    if (!f.has_m)
        return (float)(f.has_table ? table[code] : (int)code - f.zero) * scale;
    m_factor = f16_at(head + 2 * (PANEL_ROWS + lane));
    if (f.scales == CODE_SCALES_NONE)
        return (float)code * scale + m_factor;
    return (float)code * scale -
           m_factor *
               (float)(f.scales == CODE_SCALES_TWO ? run[PANEL_ROWS + lane] : run[lane] >> 4);
}
