/* What this machine can do now: multiply-adds a second, of floats and of 16-bit numbers, by the
 * instructions of the kernel set in use and by bf16's, and bytes read a second, of one thread or of
 * all. Measured beside what they are compared with, since other programs change them by the minute.
 */
#ifndef BENCH_PROBE_H
#define BENCH_PROBE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "base/thread_pool.h"
#include "cpu/cpu_kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
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
/* Twelve independent chains of one instruction, which must be run, not folded: in assembly, since
 * not every compiler knows every instruction. `reg` is what names a register of that width. */
#define PROBE_CHAINS(type, reg, instruction)                                                       \
    type v0 = {0}, v1 = v0, v2 = v0, v3 = v0, v4 = v0, v5 = v0, v6 = v0, v7 = v0, v8 = v0;         \
    type v9 = v0, v10 = v0, v11 = v0, m = v0;                                                      \
                                                                                                   \
    for (int i = 0; i < steps; i++)                                                                \
        __asm__ volatile(PROBE_FOUR(reg, instruction, "0", "1", "2", "3")                          \
                             PROBE_FOUR(reg, instruction, "4", "5", "6", "7")                      \
                                 PROBE_FOUR(reg, instruction, "8", "9", "10", "11")                \
                         : "+v"(v0), "+v"(v1), "+v"(v2), "+v"(v3), "+v"(v4), "+v"(v5), "+v"(v6),   \
                           "+v"(v7), "+v"(v8), "+v"(v9), "+v"(v10), "+v"(v11)                      \
                         : "v"(m));
#define PROBE_FOUR(reg, instruction, a, b, c, d)                                                   \
    PROBE_ONE(reg, instruction, a)                                                                 \
    PROBE_ONE(reg, instruction, b) PROBE_ONE(reg, instruction, c) PROBE_ONE(reg, instruction, d)
#define PROBE_ONE(reg, instruction, at) instruction " %" reg "12, %" reg "12, %" reg at "\n\t"

__attribute__((target("avx2,fma"), noinline)) static double probe_multiply_avx2(int steps)
{
    PROBE_CHAINS(__m256, "t", "vfmadd213ps")
    return 192.0 * steps; /* 8 lanes */
}

__attribute__((target("avx512f"), noinline)) static double probe_multiply_avx512(int steps)
{
    PROBE_CHAINS(__m512, "g", "vfmadd213ps")
    return 384.0 * steps; /* 16 lanes */
}

__attribute__((target("avx512f"), noinline)) static double probe_words_vnni(int steps)
{
    PROBE_CHAINS(__m512i, "g", "vpdpwssd")
    return 768.0 * steps; /* 16 lanes of two products */
}

/* A product of pairs needs an addition of its own: twelve sums of them. */
__attribute__((target("avx2"), noinline)) static double probe_words_madd(int steps)
{
    __m256i v0 = {0}, v1 = v0, v2 = v0, v3 = v0, v4 = v0, v5 = v0, v6 = v0, v7 = v0, v8 = v0;
    __m256i v9 = v0, v10 = v0, v11 = v0, product, m = v0;

#define PROBE_SUM(at) "vpmaddwd %t13, %t13, %t12\n\tvpaddd %t12, %t" at ", %t" at "\n\t"
    for (int i = 0; i < steps; i++)
        __asm__ volatile(PROBE_SUM("0") PROBE_SUM("1") PROBE_SUM("2") PROBE_SUM("3") PROBE_SUM("4")
                             PROBE_SUM("5") PROBE_SUM("6") PROBE_SUM("7") PROBE_SUM("8")
                                 PROBE_SUM("9") PROBE_SUM("10") PROBE_SUM("11")
                         : "+v"(v0), "+v"(v1), "+v"(v2), "+v"(v3), "+v"(v4), "+v"(v5), "+v"(v6),
                           "+v"(v7), "+v"(v8), "+v"(v9), "+v"(v10), "+v"(v11), "=&v"(product)
                         : "v"(m));
#undef PROBE_SUM
    return 384.0 * steps; /* 8 lanes of two products */
}

__attribute__((target("avx512f"), noinline)) static double probe_words_bf16(int steps)
{
    PROBE_CHAINS(__m512, "g", "vdpbf16ps")
    return 768.0 * steps;
}

/* clang 14 and gcc 12 do not both know the feature by name: leaf 7, second part, EAX bit 5. */
static inline bool probe_has_bf16(void)
{
    unsigned a, b, c, d;

    return __builtin_cpu_supports("avx512f") && __get_cpuid_count(7, 1, &a, &b, &c, &d) &&
           (a >> 5 & 1u);
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

typedef double probe_loop(int steps); /* returns its operations */

struct probe {
    struct thread_pool *pool;
    clockid_t clock; /* one thread is timed by its own time on the CPU, which others do not take */
    probe_loop *multiply; /* of floats */
    probe_loop *words;    /* the set's own, of 16-bit numbers; NULL: it has none */
    probe_loop *bf16;     /* NULL unless the set is as wide and the CPU has it */
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
    p->operations[item] = p->multiply(PROBE_STEPS);
}

static inline void probe_words_item(void *context, size_t item, int thread)
{
    struct probe *p = context;

    (void)thread;
    probe_meet(p);
    p->operations[item] = p->words ? p->words(PROBE_STEPS) : 0;
}

static inline void probe_bf16_item(void *context, size_t item, int thread)
{
    struct probe *p = context;

    (void)thread;
    probe_meet(p);
    p->operations[item] = p->bf16 ? p->bf16(PROBE_STEPS) : 0;
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

/* What the set's products could be done with at best. bf16 is no set's own, but what a processor's
 * speed in 16 bits is often told by: half to twice that of floats, by its make. */
static inline void probe_pick(struct probe *p, const struct cpu_kernels *kernels)
{
    p->multiply = probe_multiply_plain;
#if defined(__x86_64__)
    if (strncmp(kernels->name, "avx512", 6) == 0) {
        p->multiply = probe_multiply_avx512;
        if (kernels->words)
            p->words = probe_words_vnni;
        if (probe_has_bf16())
            p->bf16 = probe_words_bf16;
    } else if (strncmp(kernels->name, "avx2", 4) == 0) {
        p->multiply = probe_multiply_avx2;
        if (kernels->words)
            p->words = probe_words_madd;
    }
#else
    (void)kernels;
#endif
}

static inline void probe_open(struct probe *p, struct thread_pool *pool,
                              const struct cpu_kernels *kernels)
{
    *p = (struct probe){.pool = pool, .clock = CLOCK_MONOTONIC};
    probe_pick(p, kernels);
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
