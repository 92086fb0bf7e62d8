#include "model/nf4_tensor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/float16.h"
#include "formats/bnb_state.h"

/* Elements that are floats at a time: whole blocks. */
enum { PART = 64 * NF4_BLOCK };

static bool reserve(void *memory, size_t n, size_t size, struct status *status)
{
    void **to = memory;
    size_t bytes;

    *to = checked_mul(n, size, &bytes) ? malloc(bytes) : NULL;
    return *to || status_fail(status, STATUS_MEMORY, "cannot have %zu x %zu bytes", n, size);
}

bool nf4_tensor_read(struct nf4_tensor *tensor, struct tensor_view *view,
                     const struct tensor_file *file, const struct tensor_entry *weight, size_t rows,
                     size_t cols, bool *used, struct status *status)
{
    struct bnb_state s;

    *tensor = (struct nf4_tensor){0};
    if (!bnb_state_read(&s, file, weight, used, status))
        return false;
    if (s.rows != rows || s.cols != cols)
        return status_fail(status, STATUS_CONFIG,
                           "its quant_state has shape [%zu, %zu], must be [%zu, %zu]", s.rows,
                           s.cols, rows, cols);
    if (!reserve(&tensor->absmax, s.n_blocks, sizeof(float), status))
        return false;
    if (!bnb_state_absmax(&s, tensor->absmax, status)) {
        nf4_tensor_release(tensor);
        return false;
    }
    tensor->meaning =
        (struct nf4_meaning){.block = s.block, .absmax = tensor->absmax, .rounds_to = s.dtype};
    memcpy(tensor->meaning.values, s.values, sizeof(s.values));
    *view = (struct tensor_view){DTYPE_NF4, rows, cols, s.codes, weight->size, &tensor->meaning};
    return true;
}

/* Elements [first, first + n) of a view. */
static void to_floats(float *x, const struct tensor_view *view, size_t first, size_t n)
{
    const size_t size = dtype_block_bytes(view->dtype);
    const uint8_t *p = view->data + first * size;

    for (size_t i = 0; i < n; i++, p += size) {
        const uint16_t h = (uint16_t)(p[0] | p[1] << 8);

        if (view->dtype == DTYPE_F32)
            memcpy(&x[i], p, sizeof(x[i]));
        else
            x[i] = view->dtype == DTYPE_F16 ? f16_to_float(h) : bf16_to_float(h);
    }
}

static bool quantise(struct nf4_tensor *tensor, const struct tensor_view *view, size_t n,
                     struct status *status)
{
    float x[PART];

    for (size_t first = 0; first < n; first += PART) {
        const size_t n_part = n - first < PART ? n - first : PART;

        to_floats(x, view, first, n_part);
        for (size_t i = 0; i < n_part; i++) {
            if (!isfinite(x[i]))
                return status_fail(status, STATUS_CONFIG,
                                   "element %zu is not finite: cannot be quantised", first + i);
        }
        nf4_quantise(tensor->codes + first / 2, tensor->absmax + first / NF4_BLOCK, x, n_part,
                     NF4_BLOCK);
    }
    return true;
}

/* The absmax become what double quantisation leaves of them. */
static bool round_absmax(float *absmax, size_t n, struct status *status)
{
    const float offset = nf4_offset(absmax, n);
    float map[NF4_MAP], *nested = NULL;
    uint8_t *q = NULL;
    const bool ok = reserve(&q, n, 1, status) &&
                    reserve(&nested, n / NF4_NESTED_BLOCK + 1, sizeof(float), status);

    if (ok) {
        nf4_dynamic_map(map);
        nf4_compress(q, nested, absmax, n, offset, map);
        for (size_t i = 0; i < n; i++)
            absmax[i] = nf4_absmax(map, q[i], nested[i / NF4_NESTED_BLOCK], offset);
    }
    free(q);
    free(nested);
    return ok;
}

bool nf4_tensor_quantise(struct nf4_tensor *tensor, struct tensor_view *view, bool twice,
                         struct status *status)
{
    const size_t n = view->rows * view->cols, n_blocks = (n + NF4_BLOCK - 1) / NF4_BLOCK;

    *tensor = (struct nf4_tensor){0};
    if (view->dtype != DTYPE_F32 && view->dtype != DTYPE_F16 && view->dtype != DTYPE_BF16)
        return status_fail(status, STATUS_CONFIG,
                           "type %s is quantised already, --quantize takes F32, F16 and BF16",
                           dtype_name(view->dtype));
    if (view->cols % dtype_block_elements(DTYPE_NF4) != 0)
        return status_fail(status, STATUS_CONFIG,
                           "rows of %zu columns cannot be quantised, only of multiples of %zu",
                           view->cols, dtype_block_elements(DTYPE_NF4));
    if (!reserve(&tensor->codes, n / 2, 1, status) ||
        !reserve(&tensor->absmax, n_blocks, sizeof(float), status) ||
        !quantise(tensor, view, n, status) ||
        (twice && !round_absmax(tensor->absmax, n_blocks, status))) {
        nf4_tensor_release(tensor);
        return false;
    }
    tensor->meaning = (struct nf4_meaning){
        .block = NF4_BLOCK, .absmax = tensor->absmax, .rounds_to = view->dtype};
    memcpy(tensor->meaning.values, nf4_codes, sizeof(nf4_codes));
    *view = (struct tensor_view){DTYPE_NF4,     view->rows, view->cols,
                                 tensor->codes, n / 2,      &tensor->meaning};
    return true;
}

void nf4_tensor_release(struct nf4_tensor *tensor)
{
    free(tensor->absmax);
    free(tensor->codes);
    *tensor = (struct nf4_tensor){0};
}
