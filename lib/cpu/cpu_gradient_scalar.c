/* Training's inner loops in plain C, sums in double: what every other set is compared with. */
#include <math.h>

#include "base/rng.h"
#include "cpu/cpu_gradient_kernels.h"
#include "cpu/cpu_kernels.h"

static void scalar_transpose(float *y, size_t y_stride, const float *x, size_t x_stride)
{
    for (size_t c = 0; c < PANEL_ROWS; c++) {
        for (size_t r = 0; r < PANEL_ROWS; r++)
            y[c * y_stride + r] = x[r * x_stride + c];
    }
}

static bool is_dropped(const struct rng_block blocks[16], size_t column, uint32_t drop_below)
{
    const uint32_t word = blocks[column % 16].word[column % DROP_GROUP / 32];

    return (word >> (column / 16 % 2 * 16) & 0xFFFF) < drop_below;
}

static void scalar_drop(float *y, const float *x, const struct drop_row *row, size_t first,
                        size_t n, bool add)
{
    struct rng_block blocks[16];

    for (size_t i = 0; i < n; i++) {
        float kept;

        for (size_t b = 0; i % DROP_GROUP == 0 && b < 16; b++) {
            const uint32_t counter[4] = {(uint32_t)((first + i) / DROP_GROUP * 16 + b),
                                         row->position, row->module, 0};

            blocks[b] = rng_philox(row->key, counter);
        }
        kept = is_dropped(blocks, i, row->drop_below) ? 0.0f : x[i] * row->scale;
        y[i] = add ? y[i] + kept : kept;
    }
}

/* With r = (mean(x^2) + eps)^-1/2: dx += r w dy - x r^3 / dim * sum(dy w x). */
static void scalar_rmsnorm(float *dx, const float *dy, const float *x, const float *weight,
                           size_t dim, float eps)
{
    double squares = 0, inner = 0, r, slope;

    for (size_t i = 0; i < dim; i++) {
        squares += (double)x[i] * (double)x[i];
        inner += (double)dy[i] * (double)weight[i] * (double)x[i];
    }
    r = 1 / sqrt(squares / (double)dim + (double)eps);
    slope = inner * r * r * r / (double)dim;
    for (size_t i = 0; i < dim; i++)
        dx[i] += (float)((double)dy[i] * (double)weight[i] * r - (double)x[i] * slope);
}

/* With s = sigmoid(gate): dup = dy gate s, dgate = dy up s (1 + gate (1 - s)). */
static void scalar_silu_mul(float *gate, float *up, const float *dy, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const double g = (double)gate[i], s = 1 / (1 + exp(-g)), slope = (double)dy[i] * s;

        gate[i] = (float)(slope * (double)up[i] * (1 + g * (1 - s)));
        up[i] = (float)(slope * g);
    }
}

static void scalar_rope(float *x, const float *cosine, const float *sine, size_t half)
{
    for (size_t i = 0; i < half; i++) {
        const double a = (double)x[i], b = (double)x[half + i];
        const double c = (double)cosine[i], s = (double)sine[i];

        x[i] = (float)(a * c + b * s);
        x[half + i] = (float)(b * c - a * s);
    }
}

static void scalar_softmax(float *scores, size_t n, float factor, float *lse)
{
    for (size_t c = 0; c < ATTENTION_QUERIES; c++) {
        double max = -HUGE_VAL, sum = 0;

        for (size_t i = 0; i < n; i++)
            max = fmax(max, (double)scores[i * ATTENTION_QUERIES + c] * (double)factor);
        for (size_t i = 0; i < n; i++)
            sum += exp((double)scores[i * ATTENTION_QUERIES + c] * (double)factor - max);
        lse[c] = (float)(max + log(sum));
        for (size_t i = 0; i < n; i++) {
            float *score = scores + i * ATTENTION_QUERIES + c;

            *score = (float)(exp((double)*score * (double)factor - max) / sum);
        }
    }
}

static void scalar_softmax_backward(float *scores, float *dw, size_t n, float factor,
                                    const float *lse, const float *inner)
{
    for (size_t i = 0; i < n * ATTENTION_QUERIES; i++) {
        const size_t c = i % ATTENTION_QUERIES;
        const double w = exp((double)scores[i] * (double)factor - (double)lse[c]);

        scores[i] = (float)w;
        dw[i] = (float)(w * ((double)dw[i] - (double)inner[c]) * (double)factor);
    }
}

static void scalar_exp_less(float *y, const float *x, float lse, float weight, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = (float)(exp((double)x[i] - (double)lse) * (double)weight);
}

static float scalar_dot(const float *a, const float *b, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return (float)sum;
}

const struct cpu_gradient_kernels cpu_gradient_scalar = {
    .transpose = scalar_transpose,
    .drop = scalar_drop,
    .rmsnorm = scalar_rmsnorm,
    .silu_mul = scalar_silu_mul,
    .rope = scalar_rope,
    .softmax = scalar_softmax,
    .softmax_backward = scalar_softmax_backward,
    .exp_less = scalar_exp_less,
    .dot = scalar_dot,
};
