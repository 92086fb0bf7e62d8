/* Operations on rows that are put off, so that those which follow each other run as one loop.
 *
 * Between two products of a layer lie some that make row i of their output of row i of their inputs
 * alone: a norm, an activation, an addition, rounding. One loop over rows does them all: the
 * threads meet once, and a row is in the first-level cache from the first of them to the last.
 * Whoever needs what was put off calls cpu_later_run first: all of the device's other operations
 * do. */
#ifndef CPU_CPU_LATER_H
#define CPU_CPU_LATER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/thread_pool.h"
#include "cpu/cpu_kernels.h"
#include "cpu/cpu_matrix.h"
#include "cpu/cpu_words.h"

struct device;

typedef void rope_kernel(float *x, const float *cosine, const float *sine, size_t half);

/* What an operation is done with; which members count is its run's affair. */
struct rows_job {
    const struct device *device;
    /* Rows [first, end); elements, where the job is of elements. */
    void (*run)(const struct rows_job *job, size_t first, size_t end);
    size_t n;         /* rows, or elements */
    bool of_elements; /* which belong to the rows of the job beside it in equal shares */
    size_t floats;    /* a row of the widest of y, x and x2: what an item's size goes by */

    /* [n][floats] each or NULL; y is written, and may be read. What else is read is not put off. */
    float *y;
    const float *x, *x2;

    const float *weight, *bias;
    double *sums;
    const int32_t *ids;
    const struct matrix *matrix;
    int32_t *pairs; /* a rounded x: its rows, and scales [groups][n] */
    float *pair_scales;
    struct column_sums *pair_sums; /* or NULL */
    size_t dim;
    float eps;
    int n_heads;
    rope_kernel *rope;
};

enum { CPU_LATER_MOST = 8 };

/* A device's. */
struct cpu_later {
    struct rows_job jobs[CPU_LATER_MOST];
    int n;
    size_t rows; /* of all jobs; 0: all are of elements, equally many */
};

/* Puts it off, behind what was put off before. What it points to stays until then. */
void cpu_later_add(struct device *d, const struct rows_job *job);
/* Runs what was put off. */
void cpu_later_run(struct device *d);
/* The same, then the job. */
void cpu_rows_run(struct device *d, struct rows_job *job);
/* The same, then a loop of the device's threads: thread_pool_for. */
void cpu_loop(struct device *d, size_t n_items, thread_pool_run *run, void *context);

#endif
