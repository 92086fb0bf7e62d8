#include "model/tensor_values.h"

#include <math.h>
#include <string.h>

#include "base/float16.h"

/* Elements at a time: so many that they fill vectors, and that one loop over them is found again
 * soon. */
enum { RUN = 256 };

static float float_at(enum dtype dtype, const uint8_t *p)
{
    uint32_t bits;
    uint16_t half;

    if (dtype == DTYPE_F32) {
        memcpy(&bits, p, sizeof(bits));
        return float_from_bits(bits);
    }
    memcpy(&half, p, sizeof(half));
    return dtype == DTYPE_BF16 ? bf16_to_float(half) : f16_to_float(half);
}

/* Has one of RUN elements an exponent of ones alone? Whole loops of known length: the compiler
 * makes vectors of them, for this reads every weight of a model. */
static bool has_odd_half(const uint8_t *p, uint16_t exponent)
{
    uint16_t odd = 0, half;

    for (size_t i = 0; i < RUN; i++) {
        memcpy(&half, p + i * sizeof(half), sizeof(half));
        odd |= (half & exponent) == exponent;
    }
    return odd != 0;
}

static bool has_odd_word(const uint8_t *p, uint32_t exponent)
{
    uint32_t odd = 0, word;

    for (size_t i = 0; i < RUN; i++) {
        memcpy(&word, p + i * sizeof(word), sizeof(word));
        odd |= (word & exponent) == exponent;
    }
    return odd != 0;
}

static bool has_odd(enum dtype dtype, const uint8_t *run)
{
    if (dtype == DTYPE_F32)
        return has_odd_word(run, 0x7F800000);
    return has_odd_half(run, dtype == DTYPE_BF16 ? 0x7F80 : 0x7C00);
}

static const char *kind_of(float x)
{
    return isnan(x) ? "NaN" : "infinite";
}

static bool check_elements(const struct tensor_view *v, struct status *status)
{
    const size_t n = v->rows * v->cols, size = dtype_block_bytes(v->dtype);
    size_t i = 0;

    while (n - i >= RUN && !has_odd(v->dtype, v->data + i * size))
        i += RUN;
    for (; i < n; i++) { /* the end, or the run that has one */
        const float x = float_at(v->dtype, v->data + i * size);

        if (!isfinite(x))
            return status_fail(status, STATUS_CONFIG, "value %zu is %s", i, kind_of(x));
    }
    return true;
}

static bool check_blocks(const struct tensor_view *v, struct status *status)
{
    size_t at[2];
    const size_t n_factors = dtype_factors(v->dtype, at);
    const size_t size = dtype_block_bytes(v->dtype), elements = dtype_block_elements(v->dtype);

    for (size_t b = 0; b < v->size / size; b++) {
        for (size_t i = 0; i < n_factors; i++) {
            const float x = float_at(DTYPE_F16, v->data + b * size + at[i]);

            if (!isfinite(x))
                return status_fail(status, STATUS_CONFIG, "a factor of values %zu to %zu is %s",
                                   b * elements, (b + 1) * elements - 1, kind_of(x));
        }
    }
    return true;
}

bool tensor_values_check(const struct tensor_view *view, struct status *status)
{
    return dtype_block_elements(view->dtype) > 1 ? check_blocks(view, status)
                                                 : check_elements(view, status);
}
