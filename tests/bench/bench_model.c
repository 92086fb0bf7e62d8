/* How fast whole models are, as JSON lines: tokens a second, and the arithmetic of their linear
 * layers as a share of the peaks probed in the same run, before and after each case: of float
 * multiply-adds, and of products of 16-bit numbers, by the instructions of the kernel set in use
 * and by those of bf16.
 *
 *   bench_model LANGUAGE_MODEL ENCODER TEXTS THREADS
 *   bench_model LANGUAGE_MODEL THREADS
 *
 * score: 8 texts of 512 tokens, logits of all of them. decode: prompts of 128 tokens, then 64 new
 * ones a sequence; only steps without prompt rows count. embed: the lines of the file TEXTS.
 * shared_head: prompts of 500 common tokens and 20 of their own, each up to its first token, beside
 * the same when none takes over what another has computed. first_token: from opening the model on.
 * threads: score of one text on all threads beside one, in turn; the median of the ratios.
 * The second form is for large models alone: score of one text, decode of 1 and 16 sequences with
 * 16 new tokens, twice each; then the most memory that the process had. cpu_tokens_per_s is by the
 * processor time of all threads, which other programs change less.
 * Work: 2 operations a weight of every linear layer (and of the output head) a token; attention,
 * norms and sampling are in the time but not in the work. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/mapped_file.h"
#include "model/encoder.h"
#include "run/scheduler.h"
#include "tests/bench/probe.h"

enum { SCORE_TOKENS = 512, PROMPT = 128 };
enum { HEAD_RECORDS = 32, HEAD = 500, OWN = 20, SHORT_PROMPT = 12, MAX_TEXTS = 4096, PAIRS = 32 };

static struct bench {
    const struct backend *backend;
    struct device *device;
    struct thread_pool *pool;
    struct probe probe;
    int threads;
    int score_texts, new_tokens, rounds;
} bench = {.score_texts = 8, .new_tokens = 64, .rounds = 3};

static void need(bool ok, const struct status *status)
{
    if (ok)
        return;
    fprintf(stderr, "bench_model: %s\n", status->message);
    exit(status_exit_code(status->code));
}

static double now(void)
{
    return probe_clock(CLOCK_MONOTONIC);
}

static double peak_gflops(thread_pool_run *probe)
{
    double best = 1e9;

    for (int i = 0; i < 20; i++) {
        const double seconds = probe_seconds(&bench.probe, probe);

        best = seconds < best ? seconds : best;
    }
    return probe_gflops(&bench.probe, best);
}

/* What a case did in its best round. */
struct result {
    double tokens, seconds, cpu_seconds, peak, peak16, bf16;
};

static void probe_peaks(struct result *r)
{
    const double peak = peak_gflops(probe_multiply_item);
    const double peak16 = peak_gflops(probe_words_item);
    const double bf16 = peak_gflops(probe_bf16_item);

    r->peak = peak > r->peak ? peak : r->peak;
    r->peak16 = peak16 > r->peak16 ? peak16 : r->peak16;
    r->bf16 = bf16 > r->bf16 ? bf16 : r->bf16;
}

static struct result begin_result(void)
{
    struct result r = {0};

    probe_peaks(&r);
    return r;
}

/* When a round began. */
struct start {
    double wall, cpu;
};

static struct start begin_round(void)
{
    return (struct start){now(), probe_clock(CLOCK_PROCESS_CPUTIME_ID)};
}

static void keep_best(struct result *best, double tokens, struct start start)
{
    const double seconds = now() - start.wall;
    const double cpu = (probe_clock(CLOCK_PROCESS_CPUTIME_ID) - start.cpu) / tokens;

    if (best->seconds == 0.0 || tokens / seconds > best->tokens / best->seconds) {
        best->tokens = tokens;
        best->seconds = seconds;
    }
    if (best->cpu_seconds == 0.0 || cpu < best->cpu_seconds)
        best->cpu_seconds = cpu;
    probe_peaks(best);
}

static void print_result(const char *what, int sequences, const struct result *r,
                         double flops_a_token)
{
    const double gflops = flops_a_token * r->tokens / r->seconds * 1e-9;

    printf("{\"bench\":\"%s\",\"sequences\":%d,\"device\":\"%s\",\"tokens_per_s\":%.2f,"
           "\"cpu_tokens_per_s\":%.2f,\"gflops\":%.1f,\"f32_peak_gflops\":%.1f,"
           "\"share_of_f32\":%.3f",
           what, sequences, bench.backend->describe(bench.device), r->tokens / r->seconds,
           1 / r->cpu_seconds, gflops, r->peak, gflops / r->peak);
    if (r->peak16 > 0)
        printf(",\"peak_16_bit_gflops\":%.1f,\"share_of_16_bit\":%.3f", r->peak16,
               gflops / r->peak16);
    if (r->bf16 > 0)
        printf(",\"bf16_peak_gflops\":%.1f,\"share_of_bf16\":%.3f", r->bf16, gflops / r->bf16);
    printf("}\n");
    fflush(stdout);
}

static double linear_flops(const struct model_config *c, bool head)
{
    const double dim = c->dim, q = (double)c->n_heads * c->head_dim,
                 kv = (double)c->n_kv_heads * c->head_dim;
    const double mlp = (c->architecture == ARCH_BERT ? 2.0 : 3.0) * dim * c->ffn_dim;

    return 2 *
           (c->n_layers * (2 * dim * q + 2 * dim * kv + mlp) + (head ? dim * c->vocab_size : 0));
}

/* Ids that are not all alike; some thousands at the front of a vocabulary are ordinary tokens. */
static void fill_ids(int32_t *ids, int n, int seed, int vocab_size)
{
    for (int i = 0; i < n; i++)
        ids[i] = 300 + (i * 7919 + seed * 104729) % (vocab_size < 4000 ? vocab_size - 300 : 3700);
}

static void drain(struct scheduler *scheduler)
{
    struct sequence *sequence;

    while ((sequence = scheduler_next_done(scheduler)))
        scheduler_free(scheduler, sequence);
}

/* To be scored, or (n_new > 0) continued. */
static void submit(struct scheduler *scheduler, const int32_t *ids, int n, int n_new)
{
    const struct request request = {
        .tokens = ids,
        .n_tokens = n,
        .score = n_new == 0,
        .first_target = 1,
        .sampling = {.greedy = true},
        .stop = {.max_tokens = n_new},
    };
    struct status status;

    need(scheduler_submit(scheduler, &request, &status), &status);
}

static struct scheduler *open_scheduler(const struct model *model, int slots, bool alone)
{
    const struct scheduler_options options = {
        .n_slots = slots, .threads = bench.threads, .alone = alone};
    struct status status;
    struct scheduler *scheduler = scheduler_open(model, &options, &status);

    need(scheduler, &status);
    return scheduler;
}

/* Seconds until all that was submitted is done. */
static double run_all(struct scheduler *scheduler)
{
    const double start = now();
    struct status status;

    while (scheduler_busy(scheduler))
        need(scheduler_step(scheduler, &status), &status);
    return now() - start;
}

static void bench_score(const struct model *model)
{
    struct scheduler *scheduler = open_scheduler(model, bench.score_texts, false);
    struct result best = begin_result();
    int32_t ids[SCORE_TOKENS];

    for (int round = 0; round < bench.rounds; round++) {
        struct start start;

        for (int i = 0; i < bench.score_texts; i++) {
            fill_ids(ids, SCORE_TOKENS, i, model->config.vocab_size);
            submit(scheduler, ids, SCORE_TOKENS, 0);
        }
        start = begin_round();
        run_all(scheduler);
        keep_best(&best, bench.score_texts * SCORE_TOKENS, start);
        drain(scheduler);
    }
    print_result("score", bench.score_texts, &best, linear_flops(&model->config, true));
    scheduler_close(scheduler);
}

static void bench_decode(const struct model *model, int sequences)
{
    struct scheduler *scheduler = open_scheduler(model, sequences, false);
    struct result best = begin_result();
    int32_t ids[PROMPT];
    struct status status;

    for (int round = 0; round < bench.rounds; round++) {
        uint64_t before;
        struct start start;

        for (int i = 0; i < sequences; i++) {
            fill_ids(ids, PROMPT, i, model->config.vocab_size);
            submit(scheduler, ids, PROMPT, bench.new_tokens);
        }
        do { /* until every prompt is in */
            before = scheduler_stats(scheduler)->rows;
            need(scheduler_step(scheduler, &status), &status);
        } while (scheduler_stats(scheduler)->rows - before != (uint64_t)sequences);
        before = scheduler_stats(scheduler)->completion_tokens;
        start = begin_round();
        run_all(scheduler);
        keep_best(&best, (double)(scheduler_stats(scheduler)->completion_tokens - before), start);
        drain(scheduler);
    }
    print_result("decode", sequences, &best, linear_flops(&model->config, true));
    scheduler_close(scheduler);
}

/* Seconds until HEAD_RECORDS prompts of one head and ends of their own have each a first token. */
static double pass_heads(const struct model *model, bool alone)
{
    struct scheduler *scheduler = open_scheduler(model, HEAD_RECORDS, alone);
    int32_t ids[HEAD + OWN];
    double seconds;

    for (int i = 0; i < HEAD_RECORDS; i++) {
        fill_ids(ids, HEAD, 0, model->config.vocab_size);
        fill_ids(ids + HEAD, OWN, 1 + i, model->config.vocab_size);
        submit(scheduler, ids, HEAD + OWN, 1);
    }
    seconds = run_all(scheduler);
    scheduler_close(scheduler);
    return seconds;
}

static void bench_shared_head(const struct model *model)
{
    const double shared = pass_heads(model, false), alone = pass_heads(model, true);

    printf("{\"bench\":\"shared_head\",\"sequences\":%d,\"head\":%d,\"own\":%d,\"device\":\"%s\","
           "\"seconds\":%.3f,\"seconds_alone\":%.3f,\"ratio\":%.2f}\n",
           HEAD_RECORDS, HEAD, OWN, bench.backend->describe(bench.device), shared, alone,
           alone / shared);
    fflush(stdout);
}

/* One text, submitted and scored. */
static double score_once(struct scheduler *scheduler, int seed, int vocab_size)
{
    int32_t ids[SCORE_TOKENS];
    double seconds;

    fill_ids(ids, SCORE_TOKENS, seed, vocab_size);
    submit(scheduler, ids, SCORE_TOKENS, 0);
    seconds = run_all(scheduler);
    drain(scheduler);
    return seconds;
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void bench_threads(const char *path)
{
    const struct device_options options = {.n_threads = 1};
    struct status status;
    struct device *one = bench.backend->open(&options, &status);
    struct model *models[2];
    struct scheduler *schedulers[2];
    double ratios[PAIRS];

    need(one, &status);
    for (int i = 0; i < 2; i++) {
        models[i] = model_open(path, bench.backend, i == 0 ? one : bench.device, &status);
        need(models[i], &status);
        schedulers[i] = open_scheduler(models[i], 1, false);
        score_once(schedulers[i], 0, models[i]->config.vocab_size);
    }
    for (int i = 0; i < PAIRS; i++) {
        const double alone = score_once(schedulers[0], i, models[0]->config.vocab_size);

        ratios[i] = alone / score_once(schedulers[1], i, models[1]->config.vocab_size);
    }
    qsort(ratios, PAIRS, sizeof(*ratios), compare_doubles);
    printf("{\"bench\":\"threads\",\"device\":\"%s\",\"ratio\":%.3f,\"quartiles\":[%.3f,%.3f]}\n",
           bench.backend->describe(bench.device), ratios[PAIRS / 2], ratios[PAIRS / 4],
           ratios[PAIRS - 1 - PAIRS / 4]);
    fflush(stdout);
    for (int i = 0; i < 2; i++) {
        scheduler_close(schedulers[i]);
        model_close(models[i]);
    }
    bench.backend->close(one);
}

/* From a path to the first token behind a short prompt, with files in the page cache. */
static void bench_first_token(const char *path)
{
    double best = 1e9;

    for (int round = 0; round < bench.rounds; round++) {
        const double start = now();
        int32_t ids[SHORT_PROMPT];
        struct status status;
        struct model *model = model_open(path, bench.backend, bench.device, &status);
        struct scheduler *scheduler;

        need(model, &status);
        scheduler = open_scheduler(model, 1, false);
        fill_ids(ids, SHORT_PROMPT, round, model->config.vocab_size);
        submit(scheduler, ids, SHORT_PROMPT, 1);
        need(scheduler_step(scheduler, &status), &status);
        best = now() - start < best ? now() - start : best;
        scheduler_close(scheduler);
        model_close(model);
    }
    printf("{\"bench\":\"first_token\",\"device\":\"%s\",\"seconds\":%.3f}\n",
           bench.backend->describe(bench.device), best);
    fflush(stdout);
}

/* The lines of `all`, which they point into; returns how many. */
static int split_lines(struct text all, struct text *lines)
{
    int n = 0;

    for (size_t at = 0; at < all.len && n < MAX_TEXTS; n++) {
        const char *end = memchr(all.ptr + at, '\n', all.len - at);

        lines[n] = (struct text){all.ptr + at, end ? (size_t)(end - all.ptr) - at : all.len - at};
        at += lines[n].len + 1;
    }
    return n;
}

static void bench_embed(const char *path, const char *texts_path)
{
    struct model_config config = {.architecture = ARCH_BERT,
                                  .dim = 384,
                                  .n_layers = 6,
                                  .n_heads = 12,
                                  .n_kv_heads = 12,
                                  .head_dim = 32,
                                  .ffn_dim = 1536};
    struct result best = begin_result();
    static struct text texts[MAX_TEXTS];
    static int32_t n_tokens[MAX_TEXTS];
    struct mapped_file file;
    struct status status;
    struct encoder *encoder = encoder_open(path, bench.backend, bench.device, &status);
    float *out;
    int n;

    need(encoder, &status);
    need(mapped_file_open(&file, texts_path, &status), &status);
    n = split_lines((struct text){(const char *)file.data, file.size}, texts);
    out = memory_zeroed((size_t)n * (size_t)encoder_dim(encoder), sizeof(float));
    for (int round = 0; round < bench.rounds; round++) {
        const struct start start = begin_round();
        double tokens = 0;

        need(encoder_embed(encoder, texts, NULL, (size_t)n, out, n_tokens, &status), &status);
        for (int i = 0; i < n; i++)
            tokens += n_tokens[i] < encoder_max_tokens(encoder) ? n_tokens[i]
                                                                : encoder_max_tokens(encoder);
        keep_best(&best, tokens, start);
    }
    if (encoder_dim(encoder) == config.dim) /* MiniLM: its work is known */
        print_result("embed", n, &best, linear_flops(&config, false));
    free(out);
    mapped_file_close(&file);
    encoder_close(encoder);
}

static void bench_all(const char *const *argv)
{
    struct status status;
    struct model *model = model_open(argv[1], bench.backend, bench.device, &status);

    need(model, &status);
    bench_score(model);
    bench_decode(model, 1);
    bench_decode(model, 8);
    bench_decode(model, 32);
    bench_decode(model, 64);
    bench_shared_head(model);
    model_close(model);
    if (bench.threads > 1)
        bench_threads(argv[1]);
    bench_first_token(argv[1]);
    bench_embed(argv[2], argv[3]);
}

static void bench_large(const char *path)
{
    struct status status;
    struct model *model = model_open(path, bench.backend, bench.device, &status);
    struct rusage usage;

    need(model, &status);
    bench.score_texts = 1;
    bench.new_tokens = 16;
    bench.rounds = 2;
    bench_score(model);
    bench_decode(model, 1);
    bench_decode(model, 16);
    model_close(model);
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"bench\":\"memory\",\"device\":\"%s\",\"peak_memory\":%ld}\n",
           bench.backend->describe(bench.device), usage.ru_maxrss * 1024);
}

int main(int argc, char **argv)
{
    struct device_options options = {0};
    struct status status;
    const struct cpu_kernels *kernels;

    if ((argc != 3 && argc != 5) || (options.n_threads = atoi(argv[argc - 1])) < 1) {
        fprintf(stderr, "usage: bench_model LANGUAGE_MODEL [ENCODER TEXTS] THREADS\n");
        return 64;
    }
    bench.threads = options.n_threads;
    bench.backend = backend_find("cpu", &status);
    need(bench.backend, &status);
    bench.device = bench.backend->open(&options, &status);
    need(bench.device, &status);
    kernels = cpu_kernels_pick(getenv("MEDRAT_KERNELS"), &status);
    need(kernels, &status);
    bench.pool = thread_pool_open(options.n_threads, &status);
    need(bench.pool, &status);
    probe_open(&bench.probe, bench.pool, kernels);
    if (argc == 3)
        bench_large(argv[1]);
    else
        bench_all((const char *const *)argv);
    probe_close(&bench.probe);
    thread_pool_close(bench.pool);
    bench.backend->close(bench.device);
    return 0;
}
