#define _XOPEN_SOURCE 700 /* nftw */
#include "tests/golden/golden.h"

#include <errno.h>
#include <ftw.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "model/encoder.h"
#include "tests/golden/tiny.h"

const char *const golden_kernels[GOLDEN_N_KERNELS] = {"scalar", "avx2", "avx2-madd", "avx512",
                                                      "avx512-vnni"};

_Noreturn static void die(const char *place, const char *why)
{
    printf("Bail out! %s: %s\n", place, why);
    exit(1);
}

void golden_need(bool ok, const char *place, const struct status *status)
{
    if (!ok)
        die(place, status->message);
}

/* At most n lines, each a JSON object. NULL: no such file. */
static json_t *read_rows(const char *path, size_t n)
{
    FILE *file = fopen(path, "r");
    json_t *rows = json_array(), *row;
    json_error_t error;

    if (!file) {
        json_decref(rows);
        return NULL;
    }
    while (json_array_size(rows) < n) {
        int c = getc(file);

        while (c == '\n')
            c = getc(file);
        if (c == EOF)
            break;
        ungetc(c, file);
        row = json_loadf(file, JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, &error);
        if (!row)
            die(path, error.text);
        json_array_append_new(rows, row);
    }
    fclose(file);
    return rows;
}

json_t *golden_rows(const char *name)
{
    struct buf path = {0};
    json_t *rows;

    buf_printf(&path, "tests/golden/%s", name);
    rows = read_rows(path.data, SIZE_MAX);
    if (!rows)
        die(path.data, strerror(errno));
    if (json_array_size(rows) == 0)
        die(path.data, "no rows");
    buf_release(&path);
    return rows;
}

static const json_t *member(const json_t *row, const char *name)
{
    const json_t *value = json_object_get(row, name);

    if (!value)
        die("a golden row has no member", name);
    return value;
}

int32_t *golden_ids(const json_t *row, const char *name, int *n)
{
    const json_t *array = member(row, name);
    int32_t *ids;

    *n = (int)json_array_size(array);
    ids = memory_zeroed((size_t)*n + 1, sizeof(*ids));
    for (int i = 0; i < *n; i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(array, (size_t)i));
    return ids;
}

double *golden_numbers(const json_t *row, const char *name, int *n)
{
    const json_t *array = member(row, name);
    double *numbers;

    *n = (int)json_array_size(array);
    numbers = memory_zeroed((size_t)*n + 1, sizeof(*numbers));
    for (int i = 0; i < *n; i++)
        numbers[i] = json_number_value(json_array_get(array, (size_t)i));
    return numbers;
}

struct text golden_text(const json_t *row, const char *name)
{
    const json_t *string = member(row, name);

    return (struct text){json_string_value(string), json_string_length(string)};
}

_Noreturn void golden_skip(const char *why)
{
    const char *strict = getenv("MEDRAT_STRICT");

    if (strict && strcmp(strict, "1") == 0) {
        printf("1..1\nnot ok 1 - %s, and MEDRAT_STRICT is set\n", why);
        exit(1);
    }
    printf("1..0 # SKIP %s\n", why);
    exit(0);
}

const char *golden_model(const char *folder, struct buf *path)
{
    const char *config = getenv("MEDRAT_BUILD_CONFIG"), *models = getenv("MEDRAT_MODELS");
    struct stat entry;

    if (config && strcmp(config, "release") != 0 && strcmp(config, "coverage") != 0) {
        printf("1..0 # SKIP real models run in release builds\n");
        exit(0);
    }
    buf_printf(path, "%s/%s", models ? models : "models", folder);
    if (stat(path->data, &entry))
        golden_skip("the demo models are not there (make models)");
    return path->data;
}

json_t *golden_data(const char *file, size_t n)
{
    const char *data = getenv("MEDRAT_DATA");
    struct buf path = {0};
    json_t *rows;

    buf_printf(&path, "%s/%s", data ? data : "../shared/data", file);
    rows = read_rows(path.data, n);
    if (!rows)
        golden_skip("the evaluation data is not there (MEDRAT_DATA)");
    if (json_array_size(rows) != n)
        die(path.data, "too few lines");
    buf_release(&path);
    return rows;
}

bool golden_device_open(struct golden_device *d, const char *kernels, int n_threads)
{
    const struct device_options options = {.n_threads = n_threads};
    struct status status = {0};

    setenv("MEDRAT_KERNELS", kernels, 1);
    d->backend = backend_find("cpu", &status);
    golden_need(d->backend != NULL, "cpu", &status);
    d->device = d->backend->open(&options, &status);
    if (!d->device && strcmp(kernels, "scalar") == 0)
        die(kernels, status.message);
    if (d->device)
        printf("# %s\n", d->backend->describe(d->device));
    else
        printf("# skipped: %s\n", status.message);
    return d->device != NULL;
}

void golden_device_close(struct golden_device *d)
{
    if (d->device)
        d->backend->close(d->device);
    *d = (struct golden_device){0};
}

bool golden_rounds(const struct golden_device *d)
{
    const char *set = d->backend->describe(d->device);

    return strncmp(set, "avx2-madd", 9) == 0 || strncmp(set, "avx512-vnni", 11) == 0;
}

bool golden_engine_open(struct golden_engine *e, const char *kernels, const char *model_path,
                        int n_slots)
{
    const struct scheduler_options options = {.n_slots = n_slots, .threads = 2};
    struct status status = {0};

    *e = (struct golden_engine){0};
    if (!golden_device_open(&e->device, kernels, options.threads))
        return false;
    e->model = model_open(model_path, e->device.backend, e->device.device, &status);
    golden_need(e->model != NULL, model_path, &status);
    golden_need(model_need_tokenizer(e->model, &status), model_path, &status);
    e->scheduler = scheduler_open(e->model, &options, &status);
    golden_need(e->scheduler != NULL, model_path, &status);
    return true;
}

void golden_engine_close(struct golden_engine *e)
{
    scheduler_close(e->scheduler);
    model_close(e->model);
    golden_device_close(&e->device);
}

void golden_tiny_make(struct buf *folder)
{
    const char *tmp = getenv("TMPDIR");

    buf_printf(folder, "%s/medrat-tiny-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(folder->data))
        die(folder->data, strerror(errno));
    tiny_write_all(folder->data);
}

static int remove_entry(const char *path, const struct stat *entry, int type, struct FTW *at)
{
    (void)entry;
    (void)type;
    (void)at;
    return remove(path);
}

void golden_tiny_remove(struct buf *folder)
{
    if (nftw(folder->data, remove_entry, 8, FTW_DEPTH | FTW_PHYS))
        die(folder->data, strerror(errno));
    buf_release(folder);
}

void golden_run(struct scheduler *scheduler, golden_done *done, void *context)
{
    struct status status = {0};
    struct sequence *sequence;

    do {
        if (scheduler_busy(scheduler))
            golden_need(scheduler_step(scheduler, &status), "step", &status);
        while ((sequence = scheduler_next_done(scheduler)) != NULL) {
            golden_need(sequence->status.code == STATUS_OK, "sequence", &sequence->status);
            done(context, sequence);
            scheduler_free(scheduler, sequence);
        }
    } while (scheduler_busy(scheduler));
}

static double cosine(const float *a, const double *b, int n)
{
    double ab = 0, aa = 0, bb = 0;

    for (int i = 0; i < n; i++) {
        ab += (double)a[i] * b[i];
        aa += (double)a[i] * (double)a[i];
        bb += b[i] * b[i];
    }
    return ab / sqrt(aa * bb);
}

double golden_least_cosine(const struct golden_device *d, const char *folder, const json_t *rows,
                           size_t n_rows)
{
    struct text *texts = memory_zeroed(n_rows, sizeof(*texts));
    int32_t *n_tokens = memory_zeroed(n_rows, sizeof(*n_tokens));
    struct status status = {0};
    double least = 1;
    struct encoder *encoder = encoder_open(folder, d->backend, d->device, &status);

    golden_need(encoder != NULL, folder, &status);
    const size_t dim = (size_t)encoder_dim(encoder);
    float *vectors = memory_zeroed(n_rows * dim, sizeof(*vectors));

    for (size_t i = 0; i < n_rows; i++)
        texts[i] = golden_text(json_array_get(rows, i), "text");
    golden_need(encoder_embed(encoder, texts, NULL, n_rows, vectors, n_tokens, &status), "embed",
                &status);
    for (size_t i = 0; i < n_rows; i++) {
        const json_t *row = json_array_get(rows, i);
        int n;
        double *want = golden_numbers(row, "embedding", &n);
        const double c = cosine(vectors + i * dim, want, n);

        assert_int_equal(n, dim);
        assert_int_equal(n_tokens[i], json_integer_value(member(row, "n_tokens")));
        if (!(c >= least)) /* NaN too */
            least = c;
        free(want);
    }
    encoder_close(encoder);
    free(vectors);
    free(n_tokens);
    free(texts);
    return least;
}
