/* Products of 16-bit integers, for sets whose CPU multiplies two pairs of them and adds both to a
 * 32-bit sum in one instruction: twice the rate of fused multiply-adds.
 *
 * The columns are taken in groups of WORD_GROUP. In a group, a row of x and a row of W are numbers
 * q of 16 bits times one float each, their scale: the least s >= 0 for which
 *     the norm of the group / s <= WORD_NORM and every |q| <= WORD_MOST.
 * A group's product is the integer sum of q_x q_w, then float(sum) * s_w * s_x, added to the float
 * sum of the groups before it. Integer sums are exact in any order, so the bits of a result depend
 * on nothing but its own row and column.
 *
 * No sum overflows: |sum q_x q_w| <= |q_x| |q_w| over any part of a group (Cauchy-Schwarz), and
 * each norm is at most WORD_NORM + 1.6 sqrt(WORD_GROUP) < 46226 with the rounding of the numbers
 * (0.5 each for floats, at most 1.6 for what is expanded from blocks); 46226^2 < 2^31. Those of
 * codes whose scale is not d times a power of two are off by 32 at most: 46456 * 46226 < 2^31.
 *
 * Weights of blocks are expanded when they are multiplied; F32, F16 and BF16 ones are rounded once,
 * on upload, and kept as pairs, unless they are looked up as an embedding too: then they stay what
 * the file has, and are rounded when they are multiplied. The bits are the same.
 *
 * The scales of what is codes in the file are such as a byte can say.
 *
 * A number is off by s / 2: of a group of like numbers, 2^-13 of their size or less, against the
 * 2^-9 of bf16. A group whose scale is not finite gives results that are not; one whose scale is
 * below 2^-120 counts as zeros. */
#ifndef CPU_CPU_WORDS_H
#define CPU_CPU_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "cpu/cpu_matrix.h"

enum { WORD_GROUP = 64, WORD_NORM = 46200, WORD_MOST = 32700 };

/* Of codes (cpu_codes.h) a scale is a byte e: the exponent of a power of two as a float has it, 255
 * for what is not finite. Of blocks of 256 columns, which have one d, e <= WORD_HALVINGS is the
 * scale |d| 2^-e instead: codes times a run's scale are then exact integers. A power serves where
 * no such scale is large enough, as a block's offset exceeds d by far; it is WORD_LEAST_POWER or
 * more. */
enum { WORD_HALVINGS = 15, WORD_LEAST_POWER = 64 };

/* Two columns side by side, the first in the lower half, are an int32_t: a pair. */

/* The integers of 32 columns added up: of the first 16, of the others, of all. */
struct column_sums {
    int32_t first, second, all;
};

/* Rows from some column on. */
struct word_rows {
    const int32_t *pairs;
    const float *scales;            /* [groups][rows], so that those of a tile lie side by side */
    size_t stride;                  /* from a row's pairs to the next one's */
    size_t scale_stride;            /* from a group's scales to the next one's */
    const struct column_sums *sums; /* of few rows; else NULL */
    size_t sum_stride;              /* from a row's sums to the next one's */
};

/* Panels from some column on; strides from one panel to the next. */
struct word_panels {
    const int32_t *pairs; /* [n_k / 2][16] */
    const float *scales;  /* [groups][16] */
    size_t stride, scale_stride;
    /* Fetched meanwhile: with each group, so many cache lines from here on. 0: none. */
    const uint8_t *ahead;
    size_t ahead_lines;
};

struct cpu_words {
    /* Columns that are expanded and multiplied at a time, a multiple of WORD_GROUP. */
    size_t chunk;

    /* A row of n floats to ceil(n / 16) * 8 pairs, zeros behind the last, and its groups' scales,
     * scale_stride apart. */
    void (*round)(int32_t *pairs, float *scales, size_t scale_stride, const float *x, size_t n);

    /* The scales of a panel, [groups][16]; scratch has WORD_GROUP * 16 floats, aligned to 64. */
    void (*measure)(float *scales, const struct matrix *matrix, size_t panel, float *scratch);

    /* Of codes: what the bytes of a panel's groups stand for, [ceil(n / WORD_GROUP)][16]. */
    void (*scales)(float *scales, const struct matrix *matrix, size_t panel, size_t first,
                   size_t n);

    /* w[ceil(n / 2)][16] = pairs of columns [first, first + n) of a panel; first a multiple of
     * WORD_GROUP, n as well or up to the last column. scales: those of group first / WORD_GROUP and
     * on. Blocks of 32 are multiplied out in 16-bit steps: off by 1.6 at most, not 0.5. */
    void (*expand)(int32_t *w, const struct matrix *matrix, const float *scales, size_t panel,
                   size_t first, size_t n);

    /* y[r][c] (go_on: +)= the groups of n_k columns, x and w beginning with a group.
     * 1 <= n_rows <= tile_rows, 1 <= n_cols <= 16 * tile_panels. */
    int tile_rows, tile_panels;
    void (*tile)(float *y, size_t y_stride, int n_cols, const struct word_rows *x, int n_rows,
                 const struct word_panels *w, size_t n_k, bool go_on);

    /* For up to few_rows rows and types of blocks, instead of expansion and tile and with the same
     * bits: y [n_rows][rows], the outputs of panels [panel, end). x has sums. */
    int few_rows;
    void (*few)(float *y, const struct word_rows *x, int n_rows, const struct matrix *matrix,
                size_t panel, size_t end);
};

/* Attention's values and weights instead: cpu_attention_words.c says why no sum overflows. */
enum { WORD_TOKENS = 64, VALUE_MOST = 11580, WEIGHT_SUM = 185300, WEIGHT_MOST = 32700 };

/* Tokens of a block, in one piece. */
struct token_span {
    int first, end; /* none when they are equal */
};

/* Rows' products with the keys of a block of WORD_TOKENS, on their way to weights: each row's
 * softmax goes on from the blocks before. Of the tokens that a row sees, exp(score * factor - max)
 * times the token's scale becomes an integer times the row's weight_scale: none over WEIGHT_MOST,
 * their sum WEIGHT_SUM at most but for rounding. Those of the other tokens, whose scores and scales
 * may be anything, are 0. */
struct word_softmax {
    float *scores;                 /* [rows][WORD_TOKENS], aligned to 64; lost */
    const struct token_span *seen; /* [rows], first < end */
    const float *token_scales;     /* [WORD_TOKENS], aligned to 64 */
    float factor;
    float *max, *sum;     /* [rows] -INFINITY and 0 at the first block */
    int16_t *weights;     /* [rows][WORD_TOKENS] */
    float *weight_scales; /* [rows] */
    float *shrink;        /* [rows] what the sums of older blocks are to be multiplied by */
};

#if defined(__x86_64__)
extern const struct cpu_words words_avx2, words_avx512vnni;
#endif

static inline size_t word_groups(size_t cols)
{
    return (cols + WORD_GROUP - 1) / WORD_GROUP;
}

#endif
