/* What a linear layer of 16-bit numbers needs beside its product: x rounded, once for all panels,
 * and the scales of a matrix. */
#include <math.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/float16.h"
#include "base/little_endian.h"
#include "cpu/cpu_codes.h"
#include "cpu/cpu_device.h"

struct words_job {
    const struct device *device;
    struct matrix *matrix;
};

/* From a row's pairs to the next one's: an odd number of lines of a cache, so that the rows of a
 * tile lie in different sets of it also where there are 2048 columns. */
static size_t pairs_of(size_t cols)
{
    const size_t lines = (cols + 31) / 32;

    return (lines + (lines % 2 == 0)) * 16;
}

/* Of a row. */
static size_t sums_of(size_t cols)
{
    return (cols + 31) / 32;
}

static int32_t sum_of_8_pairs(const int32_t *pairs)
{
    int32_t sum = 0;

    for (int i = 0; i < 8; i++)
        sum += (int16_t)pairs[i] + (pairs[i] >> 16);
    return sum;
}

static void add_up(struct column_sums *sums, const int32_t *pairs, size_t cols)
{
    for (size_t k = 0; k < cols; k += 32, sums++, pairs += 16) {
        sums->first = sum_of_8_pairs(pairs);
        sums->second = cols - k > 16 ? sum_of_8_pairs(pairs + 8) : 0;
        sums->all = sums->first + sums->second;
    }
}

static void run_round(const struct rows_job *job, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        int32_t *pairs = job->pairs + i * pairs_of(job->dim);

        job->device->kernels->words->round(pairs, job->pair_scales + i, job->n,
                                           job->x + i * job->dim, job->dim);
        if (job->pair_sums)
            add_up(job->pair_sums + i * sums_of(job->dim), pairs, job->dim);
    }
}

bool cpu_words_round(struct device *d, const float *x, size_t n, size_t cols,
                     struct word_rows *rows)
{
    const size_t stride = pairs_of(cols), groups = word_groups(cols);
    struct rows_job job = {.run = run_round, .n = n, .floats = cols, .x = x, .dim = cols};

    job.pairs = cpu_device_scratch(d, &d->pairs, n, stride * sizeof(*job.pairs));
    job.pair_scales = cpu_device_scratch(d, &d->pair_scales, n, groups * sizeof(*job.pair_scales));
    if (!job.pairs || !job.pair_scales)
        return false;
    if (n <= (size_t)d->kernels->words->few_rows) {
        job.pair_sums =
            cpu_device_scratch(d, &d->pair_sums, n * sums_of(cols), sizeof(*job.pair_sums));
        if (!job.pair_sums)
            return false;
    }
    cpu_later_add(d, &job);
    *rows = (struct word_rows){job.pairs, job.pair_scales, stride, n, job.pair_sums, sums_of(cols)};
    return true;
}

size_t cpu_words_round_size(size_t n, size_t cols)
{
    return n * (pairs_of(cols) + word_groups(cols)) * sizeof(int32_t);
}

/* The exponent of a float >= 0 as it has it. */
static int exponent_of(float f)
{
    uint32_t bits;

    memcpy(&bits, &f, sizeof(bits));
    return (int)(bits >> 23 & 255);
}

/* 2^n of a normal float. */
static float power_of_two(int n)
{
    const uint32_t bits = (uint32_t)(n + 127) << 23;
    float f;

    memcpy(&f, &bits, sizeof(f));
    return f;
}

/* The byte of the least power of two that is no smaller than `least`. */
static uint8_t byte_of_power(float least)
{
    const int e = exponent_of(least);

    return (uint8_t)(e < 255 && least > power_of_two(e - 127) ? e + 1 : e);
}

/* Of a block whose first factor is d. */
static uint8_t byte_of_scale(float least, float d)
{
    uint8_t e = byte_of_power(least);
    int halvings;

    d = fabsf(d);
    if (!isfinite(d) || !isfinite(least))
        return 255;
    if (d < least)
        return e > WORD_LEAST_POWER ? e : WORD_LEAST_POWER;
    halvings = exponent_of(d) - exponent_of(least) + 1; /* or one less, or two */
    if (halvings > WORD_HALVINGS)
        halvings = WORD_HALVINGS;
    while (halvings > 0 && d * power_of_two(-halvings) < least)
        halvings--;
    return (uint8_t)halvings;
}

static void measure_item(void *context, size_t item, int thread)
{
    const struct words_job *job = context;
    const struct cpu_words *words = job->device->kernels->words;
    struct matrix *m = job->matrix;
    const size_t n = word_groups(m->cols) * PANEL_ROWS;
    float *scratch = job->device->scratch[thread], *scales = scratch + WORD_GROUP * PANEL_ROWS;

    if (!m->scale_bytes) {
        words->measure(m->scales + item * n, m, item, scratch);
        return;
    }
    words->measure(scales, m, item, scratch);
    for (size_t i = 0; i < n; i++) {
        const struct code_form form = cpu_codes_form(m->dtype);
        const uint8_t *block = cpu_codes_at(m, form, item, i / PANEL_ROWS * WORD_GROUP);
        const float d = f16_to_float(read_le16(block + 2 * (i % PANEL_ROWS)));

        m->scale_bytes[item * n + i] =
            cpu_codes_are_exact(form) ? byte_of_scale(scales[i], d) : byte_of_power(scales[i]);
    }
}

const float *cpu_words_scales(const struct cpu_words *words, const struct matrix *m, size_t panel,
                              size_t first, size_t n, float *scratch)
{
    if (m->scales)
        return m->scales + (panel * word_groups(m->cols) + first / WORD_GROUP) * PANEL_ROWS;
    words->scales(scratch, m, panel, first, n);
    return scratch;
}

static void keep_item(void *context, size_t item, int thread)
{
    const struct words_job *job = context;
    const struct matrix *m = job->matrix;

    (void)thread;
    job->device->kernels->words->expand(m->pairs + item * ((m->cols + 1) / 2) * PANEL_ROWS, m,
                                        m->scales + item * word_groups(m->cols) * PANEL_ROWS, item,
                                        0, m->cols);
}

bool cpu_words_keep(struct device *d, struct matrix *matrix, struct status *status)
{
    struct words_job job = {.device = d, .matrix = matrix};
    const size_t size = matrix->n_panels * ((matrix->cols + 1) / 2) * PANEL_ROWS * sizeof(int32_t);

    matrix->pairs = aligned_alloc(64, size);
    if (!matrix->pairs)
        return status_fail(status, STATUS_MEMORY, "cannot have %zu bytes", size);
    cpu_loop(d, matrix->n_panels, keep_item, &job);
    free(matrix->data);
    matrix->data = NULL;
    return true;
}

bool cpu_words_measure(struct device *d, struct matrix *matrix, struct status *status)
{
    struct words_job job = {.device = d, .matrix = matrix};
    const size_t n = matrix->n_panels * word_groups(matrix->cols) * PANEL_ROWS;

    if (cpu_codes_are(matrix->dtype))
        matrix->scale_bytes = malloc(n);
    else
        matrix->scales = malloc(n * sizeof(*matrix->scales));
    if (!matrix->scales && !matrix->scale_bytes)
        return status_fail(status, STATUS_MEMORY, "cannot have %zu bytes", n * sizeof(float));
    cpu_loop(d, matrix->n_panels, measure_item, &job);
    return true;
}
