/* A device on one kernel set, and buffers with guards behind and before, for the op tests. */
#ifndef OP_OP_DEVICE_H
#define OP_OP_DEVICE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/float16.h"
#include "base/memory.h"
#include "base/rng.h"
#include "compute/backend.h"
#include "cpu/cpu_kernels.h"

enum { OP_GUARD = 32, OP_MAX_SETS = 8 };

/* A float no operation writes by chance. */
#define OP_SENTINEL (-1.2345e+33f)

static inline void op_need(bool ok, const char *what, const struct status *status)
{
    if (!ok) {
        printf("Bail out! %s: %s\n", what, status->message);
        exit(1);
    }
}

struct op_device {
    const struct backend *op;
    struct device *device;
    const char *set;
};

static inline struct op_device op_device_open(const char *set, int n_threads)
{
    const struct device_options options = {n_threads};
    struct status status = {0};
    struct op_device d = {backend_find("cpu", &status), NULL, set};

    op_need(d.op != NULL, "cpu", &status);
    setenv("MEDRAT_KERNELS", set, 1);
    d.device = d.op->open(&options, &status);
    op_need(d.device != NULL, set, &status);
    return d;
}

static inline void op_device_close(struct op_device *d)
{
    d->op->close(d->device);
}

/* The sets that this CPU has, fastest first; the others are named as skipped. */
static inline int op_sets(const char *names[OP_MAX_SETS])
{
    int n = 0;

    for (int i = 0; cpu_kernel_sets[i].kernels; i++) {
        if (cpu_kernel_sets[i].supported())
            names[n++] = cpu_kernel_sets[i].kernels->name;
        else
            printf("# skipped: this CPU has no %s\n", cpu_kernel_sets[i].kernels->name);
    }
    return n;
}

/* The set's linear layers round to 16 bits: cpu/cpu_words.h. */
static inline bool op_rounds(const char *set)
{
    struct status status = {0};
    const struct cpu_kernels *kernels = cpu_kernels_pick(set, &status);

    return kernels && kernels->words;
}

/* n host floats on the device; freed by op->free. */
static inline float *op_upload(const struct op_device *d, const float *x, size_t n)
{
    const struct tensor_view view = {DTYPE_F32, 1, n, (const uint8_t *)x, n * sizeof(float), NULL};
    struct status status = {0};
    float *y = d->op->upload_vector(d->device, &view, NULL, &status);

    op_need(y != NULL, "upload", &status);
    return y;
}

/* n floats (x, or sentinels for NULL) between guards; what an operation is given. */
static inline float *op_guarded(const struct op_device *d, const float *x, size_t n)
{
    float *host = memory_zeroed(n + 2 * OP_GUARD, sizeof(*host)), *y;

    for (size_t i = 0; i < n + 2 * OP_GUARD; i++)
        host[i] = OP_SENTINEL;
    if (x && n > 0)
        memcpy(host + OP_GUARD, x, n * sizeof(*x));
    y = op_upload(d, host, n + 2 * OP_GUARD) + OP_GUARD;
    free(host);
    return y;
}

/* Copies them to out and frees them; false when an operation wrote over a guard or failed. */
static inline bool op_take(const struct op_device *d, float *out, float *y, size_t n)
{
    float *host = memory_zeroed(n + 2 * OP_GUARD, sizeof(*host));
    struct status status = {0};
    bool whole = true;

    d->op->to_host(d->device, host, y - OP_GUARD, n + 2 * OP_GUARD);
    op_need(d->op->finish(d->device, &status), "finish", &status);
    for (size_t i = 0; i < OP_GUARD; i++)
        whole = whole && host[i] == OP_SENTINEL && host[OP_GUARD + n + i] == OP_SENTINEL;
    memcpy(out, host + OP_GUARD, n * sizeof(*out));
    d->op->free(d->device, y - OP_GUARD);
    free(host);
    return whole;
}

/* Uniform in [-width, width). */
static inline float op_draw(uint64_t key, size_t i, double width)
{
    return (float)((2 * rng_uniform(key, i, 0) - 1) * width);
}

static inline float *op_random(uint64_t key, size_t n, double width)
{
    float *x = memory_zeroed(n, sizeof(*x));

    for (size_t i = 0; i < n; i++)
        x[i] = op_draw(key, i, width);
    return x;
}

#endif
