/* How fast each operation is, as JSON lines: best of several runs, beside what the machine could do
 * in the same seconds.
 *
 *   bench_ops [THREADS [OPERATION]]
 *
 * linear: gflops and their shares of the probed peaks of float multiply-adds (share_of_f32) and of
 * products of 16-bit numbers (share_of_16_bit, for sets that have them), of the set in use; for few
 * rows what counts is gbytes, the weights' bytes a second, and its share of a streaming read. The
 * others: microseconds, and gbytes of operands. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compute/kv_cache.h"
#include "tests/bench/probe.h"
#include "tests/op/op_device.h"
#include "tests/op/op_weights.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static const double seconds_a_case = 0.4;

static struct bench {
    const struct backend *op;
    struct device *device;
    int threads;
    const char *kernels;
    const char *only; /* NULL: all */
    struct probe probe;
} bench;

/* Runs something again and again, a probe beside each run; the best of both. */
struct timing {
    double seconds, peak; /* peak: gflops of floats, or gbytes of a read */
    double peak16;        /* gflops of 16-bit numbers; 0: none */
};

typedef void bench_run(void *context);

static struct timing time_it(bench_run *run, void *context, bool read)
{
    thread_pool_run *probe = read ? probe_read_item : probe_multiply_item;
    const double end = probe_clock(CLOCK_MONOTONIC) + seconds_a_case;
    double best = 1e9, best_probe = 1e9, best16 = 1e9, peak16 = 0;

    for (int i = 0; i < 5 || (probe_clock(CLOCK_MONOTONIC) < end && i < 1000); i++) {
        const double probed = probe_seconds(&bench.probe, probe);
        const double start = probe_clock(bench.probe.clock);
        double taken;

        run(context);
        taken = probe_clock(bench.probe.clock) - start;
        best = taken < best ? taken : best;
        best_probe = probed < best_probe ? probed : best_probe;
        if (!read) {
            const double words = probe_seconds(&bench.probe, probe_words_item);

            best16 = words < best16 ? words : best16;
            peak16 = probe_gflops(&bench.probe, best16);
        }
    }
    if (read)
        return (struct timing){best, probe_gbytes(&bench.probe, best_probe), 0};
    probe_seconds(&bench.probe, probe_multiply_item); /* counts its operations again */
    return (struct timing){best, probe_gflops(&bench.probe, best_probe), peak16};
}

/* ,"gflops":..., its peaks, and a closing brace */
static void print_gflops(double gflops, const struct timing *t)
{
    printf(",\"gflops\":%.1f,\"f32_peak_gflops\":%.1f,\"share_of_f32\":%.3f", gflops, t->peak,
           gflops / t->peak);
    if (t->peak16 > 0)
        printf(",\"peak_16_bit_gflops\":%.1f,\"share_of_16_bit\":%.3f", t->peak16,
               gflops / t->peak16);
}

static void begin_line(const char *op)
{
    printf("{\"op\":\"%s\",\"kernels\":\"%s\",\"threads\":%d", op, bench.kernels, bench.threads);
}

struct linear_case {
    float *y, *x;
    struct matrix *matrix;
    int n;
};

static void run_linear(void *context)
{
    const struct linear_case *c = context;

    bench.op->linear(bench.device, c->y, c->x, c->matrix, NULL, c->n);
}

static void bench_linear(enum dtype dtype, size_t rows, size_t cols)
{
    static const int counts[] = {1, 2, 4, 8, 16, 32, 64, 512};
    const struct tensor_view view = op_weights(dtype, rows, cols, 1);
    struct op_device d = {bench.op, bench.device, bench.kernels};
    float *x = op_random(2, 512 * cols, 1);
    struct linear_case c = {.x = op_upload(&d, x, 512 * cols)};
    struct status status = {0};

    c.y = bench.op->alloc(bench.device, 512 * rows, &status);
    c.matrix = bench.op->upload_linear(bench.device, &view, NULL, &status);
    op_need(c.y && c.matrix, "memory", &status);
    for (size_t i = 0; i < LENGTH(counts); i++) {
        const double operations = 2.0 * counts[i] * (double)rows * (double)cols;
        struct timing t;

        c.n = counts[i];
        t = time_it(run_linear, &c, false);
        begin_line("linear");
        printf(",\"dtype\":\"%s\",\"shape\":[%zu,%zu],\"rows\":%d,\"us\":%.1f,\"gbytes\":%.1f",
               dtype_name(dtype), rows, cols, c.n, t.seconds * 1e6,
               (double)view.size / t.seconds * 1e-9);
        print_gflops(operations / t.seconds * 1e-9, &t);
        printf("}\n");
        fflush(stdout);
    }
    bench.op->free(bench.device, c.x);
    bench.op->free(bench.device, c.y);
    bench.op->free_matrix(bench.device, c.matrix);
    free(x);
    free((void *)(uintptr_t)view.data);
}

/* The small operations of a step, on SmolLM2's sizes. */
struct small_case {
    float *x, *y, *weight;
    int32_t *positions;
    int n, dim;
    struct kv_cache *kv;
    struct batch batch;
};

static void run_rmsnorm(void *context)
{
    const struct small_case *c = context;

    bench.op->rmsnorm(bench.device, c->y, c->x, c->weight, c->n, c->dim, 1e-5f);
}

static void run_layernorm(void *context)
{
    const struct small_case *c = context;

    bench.op->layernorm(bench.device, c->y, c->x, c->weight, c->weight, c->n, c->dim, 1e-5f);
}

static void run_add(void *context)
{
    const struct small_case *c = context;

    bench.op->add(bench.device, c->y, c->x, (size_t)c->n * (size_t)c->dim);
}

static void run_silu_mul(void *context)
{
    const struct small_case *c = context;

    bench.op->silu_mul(bench.device, c->y, c->x, c->x, (size_t)c->n * (size_t)c->dim);
}

static void run_gelu(void *context)
{
    const struct small_case *c = context;

    bench.op->gelu(bench.device, c->y, (size_t)c->n * (size_t)c->dim);
}

static void run_rope(void *context)
{
    static const float inv_freq[32] = {1};
    const struct small_case *c = context;

    bench.op->rope(bench.device, c->x, c->positions, c->n, c->dim / 64, 64, inv_freq);
}

static void bench_small(const char *name, bench_run *run, int n, int dim)
{
    struct op_device d = {bench.op, bench.device, bench.kernels};
    const size_t count = (size_t)n * (size_t)dim;
    float *x = op_random(3, count, 2);
    struct small_case c = {.x = op_upload(&d, x, count),
                           .y = op_upload(&d, x, count),
                           .weight = op_upload(&d, x, (size_t)dim),
                           .positions = memory_zeroed((size_t)n, sizeof(int32_t)),
                           .n = n,
                           .dim = dim};
    struct timing t;

    for (int i = 0; i < n; i++)
        c.positions[i] = i;
    t = time_it(run, &c, false);
    begin_line(name);
    printf(",\"rows\":%d,\"dim\":%d,\"us\":%.2f,\"ns_an_element\":%.3f,\"f32_peak_gflops\":%.1f}\n",
           n, dim, t.seconds * 1e6, t.seconds * 1e9 / (double)count, t.peak);
    fflush(stdout);
    bench.op->free(bench.device, c.x);
    bench.op->free(bench.device, c.y);
    bench.op->free(bench.device, c.weight);
    free(c.positions);
    free(x);
}

enum { HEADS = 9, KV_HEADS = 3, HEAD_DIM = 64 };

static void run_attention(void *context)
{
    const struct small_case *c = context;

    bench.op->attention(bench.device, c->y, c->x, c->kv, 0, &c->batch, HEADS, true, 0);
}

static void run_kv_append(void *context)
{
    const struct small_case *c = context;

    bench.op->kv_append(bench.device, c->kv, 0, c->x, c->x, &c->batch);
}

/* n_sequences of n new tokens each behind `cached`. */
static void bench_attention(int n_sequences, int n, int cached)
{
    struct op_device d = {bench.op, bench.device, bench.kernels};
    const size_t count = (size_t)(n_sequences * n) * HEADS * HEAD_DIM;
    struct segment *segments = memory_zeroed((size_t)n_sequences, sizeof(*segments));
    float *x = op_random(4, count, 1);
    struct status status = {0};
    struct small_case c = {.x = op_upload(&d, x, count), .y = op_upload(&d, x, count)};
    const double flops =
        4.0 * HEADS * HEAD_DIM * n_sequences * (n * (double)cached + n * (n + 1.0) / 2);
    struct timing t;

    c.kv = kv_cache_open(bench.op, bench.device, 1, KV_HEADS, HEAD_DIM, n_sequences,
                         n_sequences * kv_cache_blocks(n + cached), &status);
    for (int i = 0; i < n_sequences; i++) {
        segments[i] = (struct segment){i, i * n, n, cached, -1};
        op_need(kv_cache_reserve(c.kv, i, n + cached) &&
                    kv_cache_grow(c.kv, i, n + cached, &status),
                "cache", &status);
    }
    c.batch =
        (struct batch){.n_rows = n_sequences * n, .n_segments = n_sequences, .segments = segments};
    t = time_it(run_kv_append, &c, false);
    begin_line("kv_append");
    printf(",\"sequences\":%d,\"rows\":%d,\"us\":%.2f}\n", n_sequences, n_sequences * n,
           t.seconds * 1e6);
    t = time_it(run_attention, &c, false);
    begin_line("attention");
    printf(",\"sequences\":%d,\"rows\":%d,\"cached\":%d,\"us\":%.2f", n_sequences, n_sequences * n,
           cached, t.seconds * 1e6);
    print_gflops(flops / t.seconds * 1e-9, &t);
    printf("}\n");
    fflush(stdout);
    kv_cache_close(c.kv);
    bench.op->free(bench.device, c.x);
    bench.op->free(bench.device, c.y);
    free(segments);
    free(x);
}

static void run_nothing(void *context)
{
    (void)context;
}

static void bench_machine(void)
{
    const struct timing multiply = time_it(run_nothing, NULL, false);
    const struct timing read = time_it(run_nothing, NULL, true);

    begin_line("probe");
    printf(",\"f32_peak_gflops\":%.1f,\"peak_16_bit_gflops\":%.1f,\"read_gbytes\":%.1f}\n",
           multiply.peak, multiply.peak16, read.peak);
    fflush(stdout);
}

static bool wanted(const char *op)
{
    return !bench.only || strcmp(bench.only, op) == 0;
}

static void bench_all(void)
{
    static const enum dtype dtypes[] = {DTYPE_Q4_1, DTYPE_Q8_0, DTYPE_F32, DTYPE_BF16};
    static const size_t shapes[][2] = {{1536, 576}, {576, 1536}, {49152, 576}, {4096, 14336}};
    static const struct {
        const char *name;
        bench_run *run;
        int dim;
    } small[] = {
        {"rmsnorm", run_rmsnorm, 576}, {"layernorm", run_layernorm, 384},
        {"add", run_add, 576},         {"silu_mul", run_silu_mul, 1536},
        {"gelu", run_gelu, 1536},      {"rope", run_rope, 576},
    };

    bench_machine();
    for (size_t i = 0; i < LENGTH(small); i++) {
        for (int n = 1; n <= 512 && wanted(small[i].name); n *= 8)
            bench_small(small[i].name, small[i].run, n, small[i].dim);
    }
    if (wanted("attention")) {
        bench_attention(1, 1, 300);
        bench_attention(32, 1, 300);
        bench_attention(1, 128, 0);
        bench_attention(1, 512, 0);
        bench_attention(1, 512, 1536);
    }
    for (size_t s = 0; s < LENGTH(shapes) && wanted("linear"); s++) {
        for (size_t i = 0; i < LENGTH(dtypes); i++)
            bench_linear(dtypes[i], shapes[s][0], shapes[s][1]);
    }
}

int main(int argc, char **argv)
{
    struct device_options options = {argc > 1 ? atoi(argv[1]) : 1};
    struct status status = {0};
    const struct cpu_kernels *kernels;
    struct thread_pool *pool;

    if (options.n_threads < 1 || options.n_threads > 256) {
        fprintf(stderr, "usage: bench_ops [THREADS [OPERATION]]\n");
        return status_exit_code(STATUS_USAGE);
    }
    bench.op = backend_find("cpu", &status);
    bench.device = bench.op->open(&options, &status);
    op_need(bench.device != NULL, "cpu", &status);
    pool = thread_pool_open(options.n_threads, &status);
    op_need(pool != NULL, "threads", &status);
    bench.threads = options.n_threads;
    kernels = cpu_kernels_pick(getenv("MEDRAT_KERNELS"), &status);
    op_need(kernels != NULL, "kernels", &status);
    bench.kernels = kernels->name;
    bench.only = argc > 2 ? argv[2] : NULL;
    probe_open(&bench.probe, pool, kernels);
    bench_all();
    probe_close(&bench.probe);
    thread_pool_close(pool);
    bench.op->close(bench.device);
    return 0;
}
