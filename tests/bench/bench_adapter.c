/* What an adapter costs, as JSON lines: rank 16 on q, k, v and o, scoring texts of 512 tokens and
 * decoding 32 sequences, with the adapter and without, step by step in turn.
 *
 *   bench_adapter LANGUAGE_MODEL THREADS
 *
 * On the model of the file, and on a stack of layers of Mistral-7B's shape with random weights of
 * 4 bits and next to no vocabulary, whose layers are what matters. cost: the median over pairs of
 * neighbouring steps of (seconds with) / (seconds without) - 1; processor_cost: the same of the
 * process's own processor time, which is steadier on a busy machine, on one thread above all;
 * arithmetic: the same of multiplications. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "base/rng.h"
#include "model/rope.h"
#include "run/scheduler.h"

enum { RANK = 16, TEXT = 512, SEQUENCES = 32, PROMPT = 16, MAX_PAIRS = 256 };

static struct bench {
    const struct backend *backend;
    struct device *device;
    int threads;
} bench;

static void need(bool ok, const struct status *status)
{
    if (ok)
        return;
    fprintf(stderr, "bench_adapter: %s\n", status->message);
    exit(status_exit_code(status->code));
}

/* Of the two clocks that a step is timed by. */
enum { WALL, PROCESSOR, CLOCKS };

static double now(int clock)
{
    struct timespec t;

    clock_gettime(clock == WALL ? CLOCK_MONOTONIC : CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- random weights ----------------------------------------------------------------------- */

/* xorshift64*: there is much to fill, and nothing depends on it. */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

/* Of about unit gain. linear: the layer alone needs it. */
static struct matrix *random_matrix(enum dtype dtype, size_t rows, size_t cols, bool linear)
{
    const size_t block = dtype_block_bytes(dtype);
    const size_t size = rows * cols / dtype_block_elements(dtype) * block;
    uint8_t *data = memory_zeroed(size + sizeof(uint64_t), 1);
    const struct tensor_view view = {dtype, rows, cols, data, size, NULL};
    static uint64_t state = 88172645463325252;
    struct matrix *m;
    struct status status;

    for (size_t i = 0; i < size; i += sizeof(state)) {
        const uint64_t r = next_random(&state);
        const float f = (float)((double)(r >> 32) * 0x1p-32 - 0.5) * 0.05f;

        if (dtype == DTYPE_F32) {
            memcpy(data + i, &f, sizeof(f));
            memcpy(data + i + sizeof(f), &f, sizeof(f));
        } else {
            memcpy(data + i, &r, sizeof(r));
        }
    }
    for (size_t i = 0; dtype == DTYPE_Q4_0 && i < size; i += block) {
        data[i] = 0; /* 2^-8 as f16 */
        data[i + 1] = 0x1C;
    }
    m = (linear ? bench.backend->upload_linear : bench.backend->upload)(bench.device, &view, NULL,
                                                                        &status);
    need(m, &status);
    free(data);
    return m;
}

static float *ones(int n)
{
    float *host = memory_zeroed((size_t)n, sizeof(*host)), *vector;
    const struct tensor_view view = {
        DTYPE_F32, 1, (size_t)n, (const uint8_t *)host, (size_t)n * sizeof(*host), NULL};
    struct status status;

    for (int i = 0; i < n; i++)
        host[i] = 1;
    vector = bench.backend->upload_vector(bench.device, &view, NULL, &status);
    need(vector, &status);
    free(host);
    return vector;
}

static struct affine random_affine(int rows, int cols)
{
    return (struct affine){random_matrix(DTYPE_Q4_0, (size_t)rows, (size_t)cols, true), NULL};
}

static struct model *open_stack(void)
{
    static const struct model_config config = {
        .architecture = ARCH_LLAMA,
        .model_type = "mistral",
        .dim = 4096,
        .n_layers = 2,
        .n_heads = 32,
        .n_kv_heads = 8,
        .head_dim = 128,
        .ffn_dim = 14336,
        .vocab_size = 512,
        .max_seq_len = 1024,
        .norm_eps = 1e-5f,
        .rope = {.theta = 10000},
    };
    const struct model_config *c = &config;
    const int q_dim = c->n_heads * c->head_dim, kv_dim = c->n_kv_heads * c->head_dim;
    struct model *m = memory_zeroed(1, sizeof(*m));
    struct status status;

    m->backend = bench.backend;
    m->device = bench.device;
    m->config = config;
    m->inv_freq = rope_frequencies(c, NULL, &status);
    need(m->inv_freq, &status);
    m->weights.layers = memory_zeroed((size_t)c->n_layers, sizeof(*m->weights.layers));
    for (int i = 0; i < c->n_layers; i++)
        m->weights.layers[i] = (struct llama_layer){
            .input_layernorm = {ones(c->dim), NULL},
            .q_proj = random_affine(q_dim, c->dim),
            .k_proj = random_affine(kv_dim, c->dim),
            .v_proj = random_affine(kv_dim, c->dim),
            .o_proj = random_affine(c->dim, q_dim),
            .post_attention_layernorm = {ones(c->dim), NULL},
            .gate_proj = random_affine(c->ffn_dim, c->dim),
            .up_proj = random_affine(c->ffn_dim, c->dim),
            .down_proj = random_affine(c->dim, c->ffn_dim),
        };
    m->weights.norm.weight = ones(c->dim);
    m->weights.embed_tokens =
        random_matrix(DTYPE_F32, (size_t)c->vocab_size, (size_t)c->dim, false);
    m->weights.lm_head = m->weights.embed_tokens;
    return m;
}

static struct adapter_linear random_linear(int out, int in)
{
    return (struct adapter_linear){random_matrix(DTYPE_F32, RANK, (size_t)in, true),
                                   random_matrix(DTYPE_F32, (size_t)out, RANK, false), 2.0f, RANK};
}

/* As adapter_open would make it, but for its names. */
static struct adapter *make_adapter(const struct model_config *c)
{
    const int q_dim = c->n_heads * c->head_dim, kv_dim = c->n_kv_heads * c->head_dim;
    struct adapter *a = memory_zeroed(1, sizeof(*a));

    a->backend = bench.backend;
    a->device = bench.device;
    a->n_layers = c->n_layers;
    a->layers = memory_zeroed((size_t)c->n_layers, sizeof(*a->layers));
    for (int i = 0; i < c->n_layers; i++)
        a->layers[i] = (struct adapter_layer){
            .q_proj = random_linear(q_dim, c->dim),
            .k_proj = random_linear(kv_dim, c->dim),
            .v_proj = random_linear(kv_dim, c->dim),
            .o_proj = random_linear(c->dim, q_dim),
        };
    return a;
}

/* ---- pairs of steps ----------------------------------------------------------------------- */

/* The same sequences twice: [0] without the adapter, [1] with it. */
struct legs {
    struct scheduler *schedulers[2];
    double ratios[CLOCKS][MAX_PAIRS]; /* with to without */
    int n;
};

static void submit(struct scheduler *s, int adapter, int seed, int n, int n_new, int vocab_size)
{
    int32_t ids[TEXT];
    struct request request = {
        .tokens = ids,
        .n_tokens = n,
        .score = n_new == 0,
        .first_target = 1,
        .adapter = adapter,
        .sampling = {.greedy = true},
        .stop = {.max_tokens = n_new},
    };
    struct status status;

    for (int i = 0; i < n; i++)
        ids[i] = (i * 7919 + seed * 104729) % (vocab_size < 4000 ? vocab_size : 4000);
    need(scheduler_submit(s, &request, &status), &status);
}

static void step(struct scheduler *s, double seconds[CLOCKS])
{
    const double start[CLOCKS] = {now(WALL), now(PROCESSOR)};
    struct sequence *sequence;
    struct status status;

    need(scheduler_step(s, &status), &status);
    for (int clock = 0; clock < CLOCKS; clock++)
        seconds[clock] = now(clock) - start[clock];
    while ((sequence = scheduler_next_done(s)))
        scheduler_free(s, sequence);
}

static void open_legs(struct legs *legs, const struct model *model, struct adapter *const *adapter)
{
    const struct scheduler_options options = {.n_slots = SEQUENCES,
                                              .threads = bench.threads,
                                              .alone = true,
                                              .adapters = adapter,
                                              .n_adapters = 1};
    struct status status;

    legs->n = 0;
    for (int i = 0; i < 2; i++) {
        legs->schedulers[i] = scheduler_open(model, &options, &status);
        need(legs->schedulers[i], &status);
    }
}

/* Steps both until nothing is left; who is first changes. */
static void run_pairs(struct legs *legs)
{
    for (; scheduler_busy(legs->schedulers[0]) && legs->n < MAX_PAIRS; legs->n++) {
        double seconds[2][CLOCKS];

        for (int i = 0; i < 2; i++) {
            const int leg = (i + legs->n) % 2;

            step(legs->schedulers[leg], seconds[leg]);
        }
        for (int clock = 0; clock < CLOCKS; clock++)
            legs->ratios[clock][legs->n] = seconds[1][clock] / seconds[0][clock];
    }
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void print_cost(struct legs *legs, const char *name, const char *what,
                       const struct model_config *c)
{
    const double dim = c->dim, q = (double)c->n_heads * c->head_dim,
                 kv = (double)c->n_kv_heads * c->head_dim;
    const double layer = 2 * dim * q + 2 * dim * kv + 3 * dim * c->ffn_dim;
    const double added = RANK * (2 * (dim + q) + 2 * (dim + kv));
    const double base = c->n_layers * layer + dim * c->vocab_size;

    for (int clock = 0; clock < CLOCKS; clock++)
        qsort(legs->ratios[clock], (size_t)legs->n, sizeof(double), compare_doubles);
    printf("{\"bench\":\"adapter\",\"model\":\"%s\",\"what\":\"%s\",\"rank\":%d,\"device\":\"%s\","
           "\"pairs\":%d,\"cost\":%.4f,\"processor_cost\":%.4f,\"arithmetic\":%.4f}\n",
           name, what, RANK, bench.backend->describe(bench.device), legs->n,
           legs->ratios[WALL][legs->n / 2] - 1, legs->ratios[PROCESSOR][legs->n / 2] - 1,
           c->n_layers * added / base);
    fflush(stdout);
    for (int i = 0; i < 2; i++)
        scheduler_close(legs->schedulers[i]);
}

static void bench_score(const struct model *model, struct adapter *adapter, const char *name,
                        int texts)
{
    struct legs legs;

    open_legs(&legs, model, &adapter);
    for (int i = 0; i < texts; i++) {
        for (int leg = 0; leg < 2; leg++)
            submit(legs.schedulers[leg], leg - 1, i, TEXT, 0, model->config.vocab_size);
    }
    run_pairs(&legs);
    print_cost(&legs, name, "score", &model->config);
}

static void bench_decode(const struct model *model, struct adapter *adapter, const char *name,
                         int n_new)
{
    struct legs legs;

    open_legs(&legs, model, &adapter);
    for (int leg = 0; leg < 2; leg++) {
        struct scheduler *s = legs.schedulers[leg];
        double seconds[CLOCKS];
        uint64_t before;

        for (int i = 0; i < SEQUENCES; i++)
            submit(s, leg - 1, i, PROMPT, n_new, model->config.vocab_size);
        do { /* until every prompt is in */
            before = scheduler_stats(s)->rows;
            step(s, seconds);
        } while (scheduler_stats(s)->rows - before != SEQUENCES);
    }
    run_pairs(&legs);
    print_cost(&legs, name, "decode", &model->config);
}

int main(int argc, char **argv)
{
    struct device_options options = {0};
    struct status status;
    struct adapter *adapter;
    struct model *model;

    if (argc != 3 || (options.n_threads = atoi(argv[2])) < 1) {
        fprintf(stderr, "usage: bench_adapter LANGUAGE_MODEL THREADS\n");
        return 64;
    }
    bench.threads = options.n_threads;
    bench.backend = backend_find("cpu", &status);
    need(bench.backend, &status);
    bench.device = bench.backend->open(&options, &status);
    need(bench.device, &status);
    model = model_open(argv[1], bench.backend, bench.device, &status);
    need(model, &status);
    adapter = make_adapter(&model->config);
    bench_score(model, adapter, "smollm2", 11);
    bench_decode(model, adapter, "smollm2", 50);
    adapter_close(adapter);
    model_close(model);
    model = open_stack();
    adapter = make_adapter(&model->config);
    bench_score(model, adapter, "7b-layers", 7);
    bench_decode(model, adapter, "7b-layers", 40);
    adapter_close(adapter);
    model_close(model);
    bench.backend->close(bench.device);
    return 0;
}
