/* What this machine can do now: multiply-adds a second and bytes read a second, of one thread or of
 * all. Measured beside what they are compared with, since other programs change them by the
 * minute. */
#ifndef BENCH_PROBE_H
#define BENCH_PROBE_H

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "base/memory.h"
#include "base/thread_pool.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { PROBE_STEPS = 30000, PROBE_BUFFER = 64 << 20 };

static inline double probe_clock(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#if defined(__x86_64__)
/* Ten independent chains of 8-wide fused multiply-adds: 160 operations a step. */
__attribute__((target("avx2,fma"), noinline)) static double probe_multiply_avx2(int steps)
{
    const __m256 m = _mm256_set1_ps(0.999f), a = _mm256_set1_ps(0.001f);
    __m256 v0 = a, v1 = a, v2 = a, v3 = a, v4 = a, v5 = a, v6 = a, v7 = a, v8 = a, v9 = a;

    for (int i = 0; i < steps; i++) {
        v0 = _mm256_fmadd_ps(v0, m, a);
        v1 = _mm256_fmadd_ps(v1, m, a);
        v2 = _mm256_fmadd_ps(v2, m, a);
        v3 = _mm256_fmadd_ps(v3, m, a);
        v4 = _mm256_fmadd_ps(v4, m, a);
        v5 = _mm256_fmadd_ps(v5, m, a);
        v6 = _mm256_fmadd_ps(v6, m, a);
        v7 = _mm256_fmadd_ps(v7, m, a);
        v8 = _mm256_fmadd_ps(v8, m, a);
        v9 = _mm256_fmadd_ps(v9, m, a);
        /* the chains must be run, not folded */
        __asm__ volatile("" : "+x"(v0), "+x"(v1), "+x"(v2), "+x"(v3), "+x"(v4));
        __asm__ volatile("" : "+x"(v5), "+x"(v6), "+x"(v7), "+x"(v8), "+x"(v9));
    }
    return 160.0 * steps;
}
#endif

__attribute__((noinline)) static double probe_multiply_plain(int steps)
{
    volatile float result;
    float v[16] = {0};

    for (int i = 0; i < steps; i++) {
        for (int j = 0; j < 16; j++)
            v[j] = v[j] * 0.999f + 0.001f;
    }
    result = v[steps % 16];
    (void)result;
    return 32.0 * steps;
}

static inline double probe_multiply(int steps)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return probe_multiply_avx2(steps);
#endif
    return probe_multiply_plain(steps);
}

struct probe {
    struct thread_pool *pool;
    clockid_t clock; /* one thread is timed by its own time on the CPU, which others do not take */
    atomic_int n_arrived;
    uint64_t *buffers[256]; /* one a thread, [PROBE_BUFFER bytes] */
    double operations[256];
    atomic_uint_fast64_t sum;
};

/* All threads are here: none takes a second item. */
static inline void probe_meet(struct probe *p)
{
    atomic_fetch_add(&p->n_arrived, 1);
    while (atomic_load(&p->n_arrived) < thread_pool_size(p->pool)) {
    }
}

static inline void probe_multiply_item(void *context, size_t item, int thread)
{
    struct probe *p = context;

    (void)thread;
    probe_meet(p);
    p->operations[item] = probe_multiply(PROBE_STEPS);
}

static inline void probe_read_item(void *context, size_t item, int thread)
{
    struct probe *p = context;
    const uint64_t *words = p->buffers[item];
    uint64_t sums[8] = {0};

    (void)thread;
    probe_meet(p);
    for (size_t i = 0; i < PROBE_BUFFER / sizeof(*words); i += 8) {
        for (size_t j = 0; j < 8; j++)
            sums[j] += words[i + j];
    }
    for (size_t j = 0; j < 8; j++)
        atomic_fetch_add(&p->sum, sums[j]);
}

static inline void probe_open(struct probe *p, struct thread_pool *pool)
{
    *p = (struct probe){.pool = pool, .clock = CLOCK_MONOTONIC};
    if (thread_pool_size(pool) == 1)
        p->clock = CLOCK_THREAD_CPUTIME_ID;
    for (int i = 0; i < thread_pool_size(pool); i++) {
        p->buffers[i] = memory_zeroed(PROBE_BUFFER, 1);
        for (size_t j = 0; j < PROBE_BUFFER / sizeof(uint64_t); j += 512)
            p->buffers[i][j] = j;
    }
}

static inline void probe_close(struct probe *p)
{
    for (int i = 0; i < thread_pool_size(p->pool); i++)
        free(p->buffers[i]);
}

/* Seconds that a probe of all threads takes once. */
static inline double probe_seconds(struct probe *p, thread_pool_run *run)
{
    const double start = probe_clock(p->clock);

    atomic_store(&p->n_arrived, 0);
    thread_pool_for(p->pool, (size_t)thread_pool_size(p->pool), run, p);
    return probe_clock(p->clock) - start;
}

/* GFLOP/s and GB/s of all threads together, by the best of several. */
static inline double probe_gflops(struct probe *p, double seconds)
{
    double operations = 0;

    for (int i = 0; i < thread_pool_size(p->pool); i++)
        operations += p->operations[i];
    return operations / seconds * 1e-9;
}

static inline double probe_gbytes(const struct probe *p, double seconds)
{
    return (double)PROBE_BUFFER * thread_pool_size(p->pool) / seconds * 1e-9;
}

#endif
