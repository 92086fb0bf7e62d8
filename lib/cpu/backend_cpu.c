/* The backend table filled for the CPU, and the life of its device. */
#include <malloc.h> /* mallopt */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/memory.h"
#include "compute/kv_cache.h"
#include "cpu/cpu_codes.h"
#include "cpu/cpu_device.h"

enum { ALIGNMENT = 64 };

/* n zeroed floats, aligned; NULL when there are none. */
static float *aligned_floats(size_t n)
{
    void *memory = NULL;
    size_t size;

    if (!checked_mul(n, sizeof(float), &size) || posix_memalign(&memory, ALIGNMENT, size) != 0)
        return NULL;
    memset(memory, 0, size);
    return memory;
}

bool cpu_device_reserve(struct device *d, size_t n, struct status *status)
{
    if (n <= d->scratch_floats)
        return true;
    for (int i = 0; i < thread_pool_size(d->pool); i++) {
        float *grown = aligned_floats(n);

        if (!grown)
            return status_fail(status, STATUS_MEMORY, "cannot have %zu floats of scratch a thread",
                               n);
        free(d->scratch[i]);
        d->scratch[i] = grown;
    }
    d->scratch_floats = n;
    return true;
}

void *cpu_device_scratch(struct device *d, struct cpu_scratch *scratch, size_t n, size_t size)
{
    void *grown = NULL;

    if (!checked_mul(n, size, &size) ||
        (size > scratch->cap && posix_memalign(&grown, ALIGNMENT, size) != 0)) {
        cpu_device_fail(d, STATUS_MEMORY, "no memory for what a linear layer needs on the way");
        return NULL;
    }
    if (grown) {
        cpu_later_run(d); /* what is put off may write there: the call that wanted it has failed */
        free(scratch->memory);
        *scratch = (struct cpu_scratch){grown, size};
    }
    return scratch->memory;
}

void cpu_device_fail(struct device *d, enum status_code code, const char *message)
{
    if (d->error.code == STATUS_OK)
        status_set(&d->error, code, "%s", message);
}

static void cpu_close(struct device *d)
{
    if (!d)
        return;
    for (int i = 0; d->scratch && i < thread_pool_size(d->pool); i++)
        free(d->scratch[i]);
    free(d->scratch);
    free(d->angles.positions);
    free(d->angles.inv_freq);
    free(d->angles.cosine);
    free(d->angles.sine);
    free(d->items);
    free(d->pairs.memory);
    free(d->pair_scales.memory);
    free(d->pair_sums.memory);
    free(d->products.memory);
    free(d->jobs.memory);
    free(d->additions.memory);
    free(d->lora_panels.memory);
    free(d->lora_rows.memory);
    thread_pool_close(d->pool);
    free(d);
}

/* What is packed as numbers of 16 bits is freed once it is rounded, and its memory must go: glibc
 * keeps blocks of up to 32 MiB when one of them has been freed, unless it is told a size. */
static void return_large_blocks(void)
{
#ifdef M_MMAP_THRESHOLD
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
#endif
}

static struct device *cpu_open(const struct device_options *options, struct status *status)
{
    const struct cpu_kernels *kernels = cpu_kernels_pick(getenv("MEDRAT_KERNELS"), status);
    struct device *d;

    if (!kernels)
        return NULL;
    return_large_blocks();
    d = memory_zeroed(1, sizeof(*d));
    d->kernels = kernels;
    d->pool = thread_pool_open(options->n_threads, status);
    if (!d->pool) {
        cpu_close(d);
        return NULL;
    }
    d->scratch = memory_zeroed((size_t)options->n_threads, sizeof(*d->scratch));
    if (!cpu_device_reserve(d, cpu_attention_scratch(), status)) {
        cpu_close(d);
        return NULL;
    }
    snprintf(d->description, sizeof(d->description), "%s, %d thread%s", kernels->name,
             options->n_threads, options->n_threads == 1 ? "" : "s");
    return d;
}

static const char *cpu_describe(const struct device *d)
{
    return d->description;
}

static struct matrix *cpu_upload(struct device *d, const struct tensor_view *view,
                                 const int32_t *row_order, struct status *status)
{
    struct matrix *matrix = cpu_matrix_pack(view, row_order, d->pool, status);

    if (matrix && (!cpu_device_reserve(d, cpu_linear_scratch(d->kernels, matrix->cols), status) ||
                   (d->kernels->words && !cpu_words_measure(d, matrix, status)))) {
        cpu_matrix_free(matrix);
        return NULL;
    }
    return matrix;
}

static struct matrix *cpu_upload_linear(struct device *d, const struct tensor_view *view,
                                        const int32_t *row_order, struct status *status)
{
    struct matrix *matrix = cpu_upload(d, view, row_order, status);

    if (matrix && d->kernels->words && matrix->dtype == DTYPE_NF4 &&
        matrix->nf4.run >= WORD_GROUP) { /* a group's scale says its absmax */
        free(matrix->nf4.absmax);
        matrix->nf4.absmax = NULL;
    }
    if (matrix && d->kernels->words && dtype_block_elements(matrix->dtype) == 1 &&
        !cpu_words_keep(d, matrix, status)) {
        cpu_matrix_free(matrix);
        return NULL;
    }
    return matrix;
}

static size_t cpu_matrix_size(const struct device *d, const struct tensor_view *view,
                              bool is_linear)
{
    const size_t n_panels = (view->rows + PANEL_ROWS - 1) / PANEL_ROWS;
    const size_t scales = word_groups(view->cols) * PANEL_ROWS *
                          (cpu_codes_are(view->dtype) ? sizeof(uint8_t) : sizeof(float));
    const size_t pairs = (view->cols + 1) / 2 * PANEL_ROWS * sizeof(int32_t);
    const size_t panel = cpu_matrix_panel_size(view->dtype, view->cols);

    if (!d->kernels->words) /* with them a group's scale says an absmax, mostly */
        return n_panels * (view->dtype == DTYPE_NF4 ? panel + scales : panel);
    return n_panels *
           (scales + (is_linear && dtype_block_elements(view->dtype) == 1 ? pairs : panel));
}

static size_t cpu_scratch_size(const struct device *d, int n, int cols)
{
    const size_t linear = cpu_linear_scratch(d->kernels, (size_t)cols);
    const size_t attention = cpu_attention_scratch();
    const size_t a_thread = (linear > attention ? linear : attention) * sizeof(float);
    const size_t rounded = d->kernels->words ? cpu_words_round_size((size_t)n, (size_t)cols) : 0;

    return (size_t)thread_pool_size(d->pool) * a_thread + rounded;
}

static void cpu_free_matrix(struct device *d, struct matrix *matrix)
{
    (void)d;
    cpu_matrix_free(matrix);
}

static float *cpu_alloc(struct device *d, size_t n, struct status *status)
{
    float *floats = aligned_floats(n);

    (void)d;
    if (!floats)
        status_set(status, STATUS_MEMORY, "cannot have %zu x 4 bytes", n);
    return floats;
}

static void cpu_free(struct device *d, float *floats)
{
    cpu_later_run(d);
    free(floats);
}

static float *cpu_upload_vector(struct device *d, const struct tensor_view *view,
                                const int32_t *row_order, struct status *status)
{
    /* as the one row of a matrix, which knows all types */
    const struct tensor_view row = {view->dtype, 1,          view->rows * view->cols,
                                    view->data,  view->size, NULL};
    struct matrix *matrix;
    float *in_order, *vector = NULL;

    if (!cpu_matrix_check_view(view, status) ||
        !cpu_matrix_check_order(row_order, row.cols, status))
        return NULL;
    matrix = cpu_matrix_pack(&row, NULL, d->pool, status);
    in_order = matrix ? cpu_alloc(d, row.cols, status) : NULL;
    if (in_order) {
        cpu_matrix_row(matrix, 0, 0, row.cols, in_order, 1);
        vector = row_order ? cpu_alloc(d, row.cols, status) : in_order;
    }
    if (vector && row_order) {
        for (size_t i = 0; i < row.cols; i++)
            vector[i] = in_order[row_order[i]];
    }
    if (in_order != vector)
        free(in_order);
    cpu_matrix_free(matrix);
    return vector;
}

static const float *cpu_host_view(struct device *d, const float *x, size_t n)
{
    (void)n;
    cpu_later_run(d);
    return x;
}

static void cpu_to_host(struct device *d, float *host, const float *x, size_t n)
{
    cpu_later_run(d);
    memcpy(host, x, n * sizeof(*host));
}

static bool cpu_finish(struct device *d, struct status *status)
{
    struct status error;

    cpu_later_run(d);
    error = d->error;
    if (error.code == STATUS_OK)
        return true;
    d->error = (struct status){0};
    return status_fail(status, error.code, "%s", error.message);
}

const struct backend backend_cpu = {
    .abi = BACKEND_ABI,
    .name = "cpu",
    .open = cpu_open,
    .close = cpu_close,
    .describe = cpu_describe,
    .upload = cpu_upload,
    .upload_linear = cpu_upload_linear,
    .matrix_size = cpu_matrix_size,
    .scratch_size = cpu_scratch_size,
    .free_matrix = cpu_free_matrix,
    .upload_vector = cpu_upload_vector,
    .alloc = cpu_alloc,
    .free = cpu_free,
    .to_host = cpu_to_host,
    .host_view = cpu_host_view,
    .embed = cpu_embed,
    .rmsnorm = cpu_rmsnorm,
    .layernorm = cpu_layernorm,
    .linear = cpu_linear,
    .linears = cpu_linears,
    .add = cpu_add,
    .silu_mul = cpu_silu_mul,
    .gelu = cpu_gelu,
    .gelu_tanh = cpu_gelu_tanh,
    .relu = cpu_relu,
    .tanh = cpu_tanh,
    .rope = cpu_rope,
    .kv_head_floats = cpu_kv_head_floats,
    .kv_append = cpu_kv_append,
    .attention = cpu_attention,
    .gather_rows = cpu_gather_rows,
    .log_sum_exp = cpu_log_sum_exp,
    .gradients = &cpu_gradients,
    .finish = cpu_finish,
};
