/* dx = dy W, the way back through a frozen linear layer.
 *
 * W lies in panels of 16 outputs; a sum here runs over the outputs. So a chunk of the outputs of
 * some columns is expanded, transposed, sixteen by sixteen, into panels of 16 columns in scratch,
 * and multiplied by the tiles that the forward pass has for floats: never by words, whatever the
 * set, but with the weights that the set multiplies forward. An item is a step of columns for a
 * block of rows; who computes an element and when changes nothing in the order of its sum: the
 * outputs of a chunk one after the other, then the chunks. One sum over a vocabulary would round
 * ten times as much. */
#include <string.h>

#include "cpu/cpu_gradient.h"

enum {
    STEP = WORD_GROUP, /* columns of an item: whole runs of every type */
    STEP_PANELS = STEP / PANEL_ROWS,
    BLOCK_ROWS = 192, /* rows that share one expansion */
    ITEMS_PER_THREAD = 4,
};

struct linear_job {
    const struct cpu_kernels *kernels;
    float **scratch;
    const struct matrix *matrix;
    float *dx;
    const float *dy;
    size_t n, n_steps, n_blocks;
    bool add;
};

size_t cpu_gradient_linear_scratch(void)
{
    return (size_t)STEP * GRADIENT_CHUNK + (size_t)BLOCK_ROWS * STEP + /* sums */
           (size_t)STEP * PANEL_ROWS + (size_t)STEP * PANEL_ROWS / 2;  /* floats, pairs */
}

/* Columns [first, first + n) of a panel as floats, w[n][16] and zeros up to a whole panel: in
 * scratch, or where they lie. */
static const float *expand(const struct linear_job *job, size_t panel, size_t first, size_t n,
                           float *scratch)
{
    const struct matrix *m = job->matrix;
    const struct cpu_words *words = job->kernels->words;
    const size_t padded = gradient_padded(n);

    if (!words && m->dtype == DTYPE_F32 && padded == n)
        return (const float *)(const void *)cpu_matrix_at(m, panel, first);
    if (padded > n)
        memset(scratch + n * PANEL_ROWS, 0, (padded - n) * PANEL_ROWS * sizeof(*scratch));
    if (words) {
        float made_scales[STEP / WORD_GROUP * PANEL_ROWS];
        const float *scales = cpu_words_scales(words, m, panel, first, n, made_scales);
        int32_t *made = (int32_t *)(void *)(scratch + STEP * PANEL_ROWS);
        const int32_t *pairs = made;

        if (m->pairs)
            pairs = m->pairs + (panel * ((m->cols + 1) / 2) + first / 2) * PANEL_ROWS;
        else
            words->expand(made, m, scales, panel, first, n);
        job->kernels->gradient->widen(scratch, pairs, scales, n);
    } else if (m->dtype == DTYPE_F32) {
        memcpy(scratch, cpu_matrix_at(m, panel, first), n * PANEL_ROWS * sizeof(*scratch));
    } else {
        job->kernels->expand(scratch, m, panel, first, n);
    }
    return scratch;
}

/* Outputs [k, k + n_k) of columns [first, first + n), as panels of columns, GRADIENT_CHUNK * 16
 * apart. */
static void expand_transposed(const struct linear_job *job, float *w, size_t k, size_t n_k,
                              size_t first, size_t n, float *scratch)
{
    for (size_t i = 0; i < n_k; i += PANEL_ROWS) {
        const float *panel = expand(job, (k + i) / PANEL_ROWS, first, n, scratch);

        for (size_t c = 0; c < n; c += PANEL_ROWS)
            job->kernels->gradient->transpose(w + c * GRADIENT_CHUNK + i * PANEL_ROWS, PANEL_ROWS,
                                              panel + c * PANEL_ROWS, PANEL_ROWS);
    }
}

static void linear_item(void *context, size_t item, int thread)
{
    const struct linear_job *job = context;
    const size_t rows = job->matrix->rows, cols = job->matrix->cols;
    const size_t first = item % job->n_steps * STEP, n = gradient_least(STEP, cols - first);
    const size_t block = item / job->n_steps;
    const size_t row = job->n * block / job->n_blocks;
    const size_t n_rows = job->n * (block + 1) / job->n_blocks - row;
    float *w = job->scratch[thread], *sums = w + (size_t)STEP * GRADIENT_CHUNK;
    float *scratch = sums + (size_t)BLOCK_ROWS * STEP, *dx = job->dx + row * cols + first;

    for (size_t k = 0; k < rows; k += GRADIENT_CHUNK) {
        const size_t n_k = gradient_least(GRADIENT_CHUNK, rows - k);
        const bool go_on = job->add || k > 0;

        expand_transposed(job, w, k, n_k, first, n, scratch);
        cpu_gradient_multiply(job->kernels, go_on ? sums : dx, go_on ? STEP : cols, n,
                              job->dy + row * rows + k, rows, n_rows, w,
                              (size_t)GRADIENT_CHUNK * PANEL_ROWS, n_k, false);
        for (size_t r = 0; go_on && r < n_rows; r++)
            job->kernels->add(dx + r * cols, sums + r * STEP, n);
    }
}

void cpu_gradient_linear(struct device *d, float *dx, const float *dy, const struct matrix *matrix,
                         int n, bool add)
{
    struct linear_job job = {d->kernels, d->scratch, matrix, dx, dy, (size_t)n, 0, 0, add};
    const size_t wanted = (size_t)thread_pool_size(d->pool) * ITEMS_PER_THREAD;

    if (n <= 0)
        return;
    job.n_steps = (matrix->cols + STEP - 1) / STEP;
    job.n_blocks = (job.n + BLOCK_ROWS - 1) / BLOCK_ROWS;
    if (job.n_steps * job.n_blocks < wanted) /* so that all threads have some */
        job.n_blocks = gradient_least((wanted + job.n_steps - 1) / job.n_steps, job.n);
    cpu_loop(d, job.n_steps * job.n_blocks, linear_item, &job);
}
