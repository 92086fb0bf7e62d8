#include "cpu/cpu_addition.h"

#include <assert.h>

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Columns of B at a time. */
static size_t chunk_of(const struct cpu_kernels *kernels, size_t rank)
{
    return least(rank, kernels->chunk);
}

size_t cpu_addition_scratch(const struct cpu_kernels *kernels, size_t rank)
{
    return chunk_of(kernels, rank) * PANEL_ROWS * (size_t)kernels->tile_panels;
}

/* Columns [k, k + n_k) of panels [panel, end) as floats, in scratch or where they lie. */
static const float *expand(const struct cpu_kernels *kernels, const struct matrix *b, size_t panel,
                           size_t end, size_t k, size_t n_k, float *scratch, size_t *stride)
{
    if (b->dtype == DTYPE_F32) {
        *stride = b->panel_size / sizeof(float);
        return (const float *)(const void *)cpu_matrix_at(b, panel, k);
    }
    *stride = n_k * PANEL_ROWS;
    for (size_t i = panel; i < end; i++)
        kernels->expand(scratch + (i - panel) * *stride, b, i, k, n_k);
    return scratch;
}

void cpu_addition_add(const struct cpu_kernels *kernels, const struct cpu_addition *addition,
                      float *y, const struct cpu_area *area, float *scratch)
{
    const struct matrix *b = addition->b;
    const size_t first = addition->first > area->row ? addition->first : area->row;
    const size_t end = least(addition->end, area->end_row);
    const size_t chunk = chunk_of(kernels, b->cols), step = (size_t)kernels->tile_rows;
    size_t next, w_stride;

    assert(b->data);
    for (size_t panel = area->panel; panel < area->end_panel && first < end; panel = next) {
        const size_t column = panel * PANEL_ROWS;

        next = least(panel + (size_t)kernels->tile_panels, area->end_panel);
        for (size_t k = 0; k < b->cols; k += chunk) {
            const size_t n_k = least(chunk, b->cols - k);
            const float *w = expand(kernels, b, panel, next, k, n_k, scratch, &w_stride);

            for (size_t row = first; row < end; row += step)
                kernels->tile(y + row * b->rows + column, b->rows,
                              (int)least(b->rows - column, (next - panel) * PANEL_ROWS),
                              addition->t + (row - addition->first) * b->cols + k, b->cols,
                              (int)least(step, end - row), w, w_stride, n_k, true);
        }
    }
}
