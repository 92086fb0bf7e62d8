/* How fast an adapter is trained, as JSON lines: rank 16 on q, k, v and o, no dropout (the peer's
 * costs more than ours), 8 texts a step, a step of AdamW behind each; and the same with layers
 * recomputed.
 *
 *   bench_train LANGUAGE_MODEL TEXTS.jsonl THREADS
 *
 * TEXTS has a record with a "text" a line. share_of_f32: what a step must compute, 4 operations a
 * parameter of the layers and of the output and token (6 where layers are recomputed), as a share
 * of the peak of float multiply-adds, probed before and after each step; the best step counts.
 * Attention, the adapter and all else come on top and are not counted. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "base/memory.h"
#include "model/model.h"
#include "tests/bench/probe.h"
#include "text/tokenizer.h"
#include "train/adamw.h"
#include "train/train_pass.h"

enum { RANK = 16, TEXTS = 8, STEPS = 4, MAX_TOKENS = 4096 };

static struct bench {
    const struct backend *backend;
    struct device *device;
    struct model *model;
    struct thread_pool *pool;
    struct probe probe;
    int threads;
} bench;

static struct rows {
    struct train_row rows[TEXTS * STEPS];
    struct tokens tokens[TEXTS * STEPS];
} texts;

static void need(bool ok, const struct status *status)
{
    if (ok)
        return;
    fprintf(stderr, "bench_train: %s\n", status->message);
    exit(status_exit_code(status->code));
}

/* One thread is timed by its own time on the processor, as its peak is. */
static double now(void)
{
    return probe_clock(bench.probe.clock);
}

static double peak_gflops(void)
{
    double best = HUGE_VAL;

    for (int i = 0; i < 5; i++) {
        const double seconds = probe_seconds(&bench.probe, probe_multiply_item);

        best = seconds < best ? seconds : best;
    }
    return probe_gflops(&bench.probe, best);
}

/* Every token but the first is a target. */
static void read_texts(const char *path)
{
    FILE *file = fopen(path, "r");
    struct status status = {0};
    char *line = NULL;
    size_t cap = 0;

    for (int i = 0; i < TEXTS * STEPS; i++) {
        const ssize_t len = file ? getline(&line, &cap, file) : -1;
        json_t *record = len > 0 ? json_loads(line, 0, NULL) : NULL;
        const char *text = json_string_value(json_object_get(record, "text"));
        struct tokens *tokens = &texts.tokens[i];
        uint8_t *targets;

        if (!text) {
            fprintf(stderr, "bench_train: %s: no %d texts\n", path, TEXTS * STEPS);
            exit(66);
        }
        need(tokenizer_encode(bench.model->tokenizer, text_of(text), TOKENIZER_SPECIAL, tokens,
                              &status),
             &status);
        targets = memory_zeroed(tokens->n, 1);
        memset(targets + 1, 1, tokens->n - 1);
        texts.rows[i] = (struct train_row){tokens->ids, (int)tokens->n, targets, (uint64_t)i + 1};
        json_decref(record);
    }
    free(line);
    if (file)
        fclose(file);
}

/* Operations for a token and parameter of what is multiplied. */
static double operations(const struct model_config *c, double of_layers)
{
    const double q_dim = c->n_heads * c->head_dim, kv_dim = c->n_kv_heads * c->head_dim;
    const double layer = 2.0 * c->dim * (q_dim + kv_dim) + 3.0 * c->dim * c->ffn_dim;

    return of_layers * layer * c->n_layers + 4.0 * c->dim * c->vocab_size;
}

struct best {
    double share, tokens_per_s, peak, loss;
};

static void train(bool recompute)
{
    const struct lora_options options = {.rank = RANK, .alpha = 32, .targets = 15 /* q, k, v, o */};
    const struct train_pass_options sizes = {MAX_TOKENS, recompute};
    struct best best = {0};
    struct status status = {0};
    struct lora *lora = lora_open(&bench.model->config, &options, 0, &status);
    struct train_pass *pass;
    struct adamw adamw;
    double nll[TEXTS], seconds = 0, n_all = 0;

    need(lora != NULL, &status);
    pass = train_pass_open(bench.model, lora, &sizes, &status);
    need(pass && adamw_open(&adamw, lora->n_values, &status), &status);
    for (int s = 0; s < STEPS; s++) {
        const struct train_row *rows = texts.rows + s * TEXTS;
        const double before = peak_gflops(), start = now();
        double n = 0, loss = 0, taken, peak, share;

        for (int i = 0; i < TEXTS; i++)
            n += rows[i].n_tokens;
        memset(lora->gradients, 0, lora->n_values * sizeof(float));
        need(train_pass_gradients(pass, rows, TEXTS, (float)(1 / (n - TEXTS)), nll, &status),
             &status);
        gradients_clip(lora->gradients, lora->n_values, 1);
        adamw_step(&adamw, lora->values, lora->gradients, 1e-4);
        taken = now() - start;
        peak = fmax(before, peak_gflops());
        for (int i = 0; i < TEXTS; i++)
            loss += nll[i];
        share = operations(&bench.model->config, recompute ? 6 : 4) * n / taken * 1e-9 / peak;
        if (s > 0) { /* the first one warms up */
            seconds += taken;
            n_all += n;
        }
        if (s > 0 && share > best.share)
            best = (struct best){share, n / taken, peak, loss / (n - TEXTS)};
    }
    printf("{\"bench\":\"train\",\"recompute\":%s,\"texts\":%d,\"rank\":%d,\"threads\":%d,"
           "\"tokens_per_s\":%.1f,\"mean_tokens_per_s\":%.1f,\"loss\":%.3f,\"gflops_f32\":%.1f,"
           "\"share_of_f32\":%.3f}\n",
           recompute ? "true" : "false", TEXTS, RANK, bench.threads, best.tokens_per_s,
           n_all / seconds, best.loss, best.peak, best.share);
    fflush(stdout);
    adamw_close(&adamw);
    train_pass_close(pass);
    lora_close(lora);
}

int main(int argc, char **argv)
{
    struct device_options options = {0};
    const struct cpu_kernels *kernels;
    struct status status = {0};

    if (argc != 4 || (options.n_threads = atoi(argv[3])) < 1) {
        fprintf(stderr, "usage: bench_train LANGUAGE_MODEL TEXTS.jsonl THREADS\n");
        return 64;
    }
    bench.threads = options.n_threads;
    bench.backend = backend_find("cpu", &status);
    need(bench.backend != NULL, &status);
    bench.device = bench.backend->open(&options, &status);
    need(bench.device != NULL, &status);
    bench.model = model_open(argv[1], bench.backend, bench.device, &status);
    need(bench.model && model_need_tokenizer(bench.model, &status), &status);
    kernels = cpu_kernels_pick(getenv("MEDRAT_KERNELS"), &status);
    bench.pool = thread_pool_open(bench.threads, &status);
    need(kernels && bench.pool, &status);
    probe_open(&bench.probe, bench.pool, kernels);
    read_texts(argv[2]);
    train(false);
    train(true);
    for (int i = 0; i < TEXTS * STEPS; i++) {
        free((void *)(uintptr_t)texts.rows[i].targets);
        tokens_release(&texts.tokens[i]);
    }
    probe_close(&bench.probe);
    thread_pool_close(bench.pool);
    model_close(bench.model);
    bench.backend->close(bench.device);
    return 0;
}
