/* What the op tests run: each operation on shapes that cross the vector widths, the panels, the
 * tiles, the chunks and the real models' sizes, with the error that is allowed against a loop in
 * double: mean square of the difference over that of the result. */
#ifndef OP_OP_CASES_H
#define OP_OP_CASES_H

#include <stddef.h>

/* What the scalar set, which sums in double, may differ: its results' rounding to float. */
static const double scalar_nmse = 1e-14;

/* A column: the roundings of a sum in float are a random walk. */
static const double linear_nmse = 3e-15;
/* On sets that round x and W to 16 bits a group of columns: an element is off by 2^-14 of the
 * group's mean size, and what is expanded from blocks of 4 bits by half as much again. Attention's
 * scores are such products, so its weights are off by as much of a score as of themselves. */
static const double words_nmse = 2e-8;
/* Where a group's scale is a power of two it is up to twice as large. */
static const double codes_nmse = 4 * 2e-8;
static const double norm_nmse = 1e-12;
static const double elementwise_nmse = 1e-13;
static const double attention_nmse = 1e-11;

/* y [n][rows] = x [n][cols] W^T; cols that are no multiple of 32 are for the plain types. */
static const struct linear_shape {
    int n, rows, cols;
} linear_shapes[] = {
    {1, 1, 1},      {1, 16, 7},    {2, 17, 8},   {3, 15, 9},     {4, 33, 15},   {5, 31, 16},
    {6, 16, 17},    {7, 48, 31},   {8, 1, 33},   {1, 16, 32},    {2, 15, 32},   {3, 17, 64},
    {4, 16, 64},    {5, 33, 96},   {6, 32, 96},  {7, 7, 128},    {12, 64, 128}, {13, 100, 384},
    {13, 40, 385},  {9, 40, 416},  {6, 31, 416}, {70, 37, 416},  {11, 19, 800}, {1, 576, 576},
    {17, 192, 576}, {8, 96, 1536}, {1, 9, 1536}, {193, 33, 416}, {400, 15, 64}, {2, 1000, 64},
    {1, 40, 512},   {2, 17, 512},  {3, 16, 768}, {4, 40, 256},   {70, 48, 768}, {13, 90, 1280},
};

/* Rows and their length. */
static const struct row_shape {
    int n, dim;
} row_shapes[] = {
    {1, 1},  {1, 7},  {2, 8},  {3, 9},   {1, 15},  {5, 16},   {2, 17},  {1, 31},   {1, 32},
    {4, 33}, {1, 64}, {3, 96}, {2, 128}, {1, 384}, {70, 576}, {3, 999}, {1, 1536}, {2, 4096},
};

static const size_t counts[] = {0,  1,  7,  8,  9,   15,  16,   17,   31,
                                32, 33, 64, 96, 128, 999, 1536, 40000};

/* x [n][n_heads][head_dim] */
static const struct rope_shape {
    int n, n_heads, head_dim, first;
    double theta;
} rope_shapes[] = {
    {1, 1, 2, 0, 1e4},   {3, 2, 6, 5, 1e4},     {9, 3, 32, 0, 1e4},
    {17, 9, 64, 0, 1e5}, {5, 3, 64, 8000, 1e5}, {5, 8, 128, 30000, 1e6},
};

/* One segment of n tokens behind `cached` tokens. */
static const struct attention_shape {
    int n, cached, n_heads, n_kv_heads, head_dim, window; /* window of the causal case */
} attention_shapes[] = {
    {1, 0, 1, 1, 8, 0},
    {1, 1, 2, 1, 16, 0},
    {2, 0, 3, 3, 17, 0},
    {15, 0, 4, 2, 20, 0},
    {17, 46, 4, 4, 32, 0},
    {1, 63, 9, 3, 64, 0},
    {1, 64, 9, 3, 64, 0},
    {1, 200, 9, 3, 64, 0},
    {64, 0, 9, 3, 64, 0},
    {65, 0, 12, 12, 32, 0},
    {130, 30, 9, 3, 64, 0},
    {70, 100, 8, 2, 128, 0},
    {33, 0, 2, 2, 512, 0},
    {50, 40, 4, 2, 80, 0},
    /* windows shorter than a tile, than a block, over several, and one that never bites */
    {70, 0, 2, 1, 16, 1},
    {90, 30, 3, 1, 20, 5},
    {130, 64, 4, 2, 32, 31},
    {130, 30, 9, 3, 64, 64},
    {5, 200, 9, 3, 64, 65},
    {200, 7, 2, 2, 17, 100},
    {1, 300, 9, 3, 64, 130},
    {64, 0, 9, 3, 64, 64},
    {300, 0, 12, 12, 32, 3},
    {40, 10, 2, 1, 16, 1000},
};

#endif
