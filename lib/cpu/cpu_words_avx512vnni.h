/* Products of 16-bit numbers by AVX-512 VNNI; cpu_words_avx512vnni.c puts them in its table. */
#ifndef CPU_CPU_WORDS_AVX512VNNI_H
#define CPU_CPU_WORDS_AVX512VNNI_H

#include "cpu/cpu_words.h"

extern const struct cpu_words words_avx512vnni;

enum { WORD_FEW_ROWS = 4 };
void few_avx512vnni_multiply(float *y, const struct word_rows *x, int n_rows,
                             const struct matrix *matrix, size_t panel, size_t end);

void round_avx512vnni_row(int32_t *pairs, float *scales, size_t scale_stride, const float *x,
                          size_t n);
void round_avx512vnni_measure(float *scales, const struct matrix *matrix, size_t panel,
                              float *scratch);
void round_avx512vnni_expand(int32_t *w, const struct matrix *matrix, const float *scales,
                             size_t panel, size_t first, size_t n);

#endif
