#include "model/adapter_tensor.h"

#include <math.h>
#include <stdio.h>

#include "base/float16.h"
#include "model/tensor_values.h"

enum { ROWS_AT_A_TIME = 64 };

/* Element i of data that may lie anywhere. */
static float element(const struct tensor_entry *t, size_t i)
{
    uint32_t bits;
    uint16_t half;

    if (t->dtype == DTYPE_F32) {
        memcpy(&bits, t->data + i * sizeof(bits), sizeof(bits));
        return float_from_bits(bits);
    }
    memcpy(&half, t->data + i * sizeof(half), sizeof(half));
    return t->dtype == DTYPE_F16 ? f16_to_float(half) : bf16_to_float(half);
}

static bool check_shape(const struct tensor_entry *t, size_t rows, size_t cols,
                        struct status *status)
{
    char has[4 * 24] = "";
    size_t n = 0;

    if (t->n_dims == 2 && t->shape[0] == rows && t->shape[1] == cols)
        return true;
    for (int i = 0; i < t->n_dims && n < sizeof(has); i++)
        n += (size_t)snprintf(has + n, sizeof(has) - n, "%s%zu", i ? ", " : "", t->shape[i]);
    return status_fail(status, STATUS_CONFIG, "tensor '%s': shape [%s], must be [%zu, %zu]",
                       t->name, has, rows, cols);
}

bool adapter_tensor_view(const struct tensor_entry *t, size_t rows, size_t cols,
                         struct tensor_view *view, struct status *status)
{
    if (!check_shape(t, rows, cols, status))
        return false;
    if (t->dtype != DTYPE_F32 && t->dtype != DTYPE_F16 && t->dtype != DTYPE_BF16)
        return status_fail(status, STATUS_CONFIG,
                           "tensor '%s': type %s is not supported in an adapter", t->name,
                           t->type_name);
    *view = (struct tensor_view){t->dtype, rows, cols, t->data, t->size, NULL};
    return tensor_values_check(view, status) || status_context(status, "tensor '%s'", t->name);
}

/* Adds the squares of what rows [first, first + n) hold and differ by. */
static void add_squares(const struct tensor_entry *t, const float *rows, size_t first, size_t n,
                        size_t cols, double *difference, double *whole)
{
    for (size_t i = 0; i < n * cols; i++) {
        const double x = (double)rows[i], d = x - (double)element(t, first * cols + i);

        *difference += d * d;
        *whole += x * x;
    }
}

bool adapter_tensor_distance(const struct tensor_entry *t, const struct backend *op,
                             struct device *device, const struct matrix *matrix, size_t rows,
                             size_t cols, double *distance, struct status *status)
{
    float *part = op->alloc(device, ROWS_AT_A_TIME * cols, status);
    double difference = 0, whole = 0;
    bool ok = part != NULL;

    for (size_t first = 0; ok && first < rows; first += ROWS_AT_A_TIME) {
        const size_t left = rows - first, n = left < ROWS_AT_A_TIME ? left : ROWS_AT_A_TIME;
        int32_t ids[ROWS_AT_A_TIME];

        for (size_t i = 0; i < n; i++)
            ids[i] = (int32_t)(first + i);
        op->embed(device, part, matrix, ids, (int)n);
        ok = op->finish(device, status);
        if (ok)
            add_squares(t, op->host_view(device, part, n * cols), first, n, cols, &difference,
                        &whole);
    }
    op->free(device, part);
    *distance = whole > 0 ? sqrt(difference / whole) : difference > 0 ? 1 : 0;
    return ok;
}
