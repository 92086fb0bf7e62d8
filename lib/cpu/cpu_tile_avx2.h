/* The AVX2 set's products, in a file of their own; cpu_kernels_avx2.c puts them in its table. */
#ifndef CPU_CPU_TILE_AVX2_H
#define CPU_CPU_TILE_AVX2_H

#include "cpu/cpu_kernels.h"

enum { TILE_AVX2_ROWS = 6 };

void tile_avx2_expand(float *w, const struct matrix *matrix, size_t panel, size_t first, size_t n);
void tile_avx2_multiply(float *y, size_t y_stride, int n_cols, const float *x, size_t x_stride,
                        int n_rows, const float *w, size_t w_stride, size_t n_k, bool go_on);
/* Up to FEW_ROWS rows times the panels [panel, end), no F32; y and x as in cpu_kernels.few. */
enum { FEW_ROWS = 4 };
void few_avx2_multiply(float *y, const float *x, int n_rows, const struct matrix *matrix,
                       size_t panel, size_t end);

#endif
