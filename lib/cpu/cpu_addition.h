/* What adapters add to a linear layer: y += t B^T, where t = scale * A x has been made.
 *
 * t and B are floats on every set, whatever the layer's own products are of: one more rounding of
 * a sum of `rank` products would cost more than it saves. */
#ifndef CPU_CPU_ADDITION_H
#define CPU_CPU_ADDITION_H

#include <stddef.h>

#include "cpu/cpu_kernels.h"

struct cpu_addition {
    const struct matrix *b; /* [y's columns][rank], not rounded (matrix->data) */
    const float *t;         /* [end - first][rank] */
    size_t first, end;      /* rows of y */
};

/* Rows and panels of y. */
struct cpu_area {
    size_t row, end_row, panel, end_panel;
};

/* Floats of scratch for a B of `rank` columns. */
size_t cpu_addition_scratch(const struct cpu_kernels *kernels, size_t rank);

/* Adds what falls into the area: an element's sum goes on from it, in the order of B's columns.
 * scratch is aligned to 64. */
void cpu_addition_add(const struct cpu_kernels *kernels, const struct cpu_addition *addition,
                      float *y, const struct cpu_area *area, float *scratch);

#endif
