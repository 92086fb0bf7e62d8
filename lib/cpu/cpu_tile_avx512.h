/* The AVX-512 set's products, in a file of their own; cpu_kernels_avx512.c puts them in its table.
 */
#ifndef CPU_CPU_TILE_AVX512_H
#define CPU_CPU_TILE_AVX512_H

#include "cpu/cpu_kernels.h"

enum { TILE_AVX512_ROWS = 12, TILE_AVX512_PANELS = 2 };

void tile_avx512_expand(float *w, const struct matrix *matrix, size_t panel, size_t first,
                        size_t n);
void tile_avx512_multiply(float *y, size_t y_stride, int n_cols, const float *x, size_t x_stride,
                          int n_rows, const float *w, size_t w_stride, size_t n_k, bool go_on);

#endif
