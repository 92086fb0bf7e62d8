/* Plain C, sums in double: slow, and right. What every other set is compared with. */
#include "cpu/cpu_kernels.h"

#include <math.h>

static void scalar_expand(float *w, const struct matrix *matrix, size_t panel, size_t first,
                          size_t n)
{
    for (size_t lane = 0; lane < PANEL_ROWS; lane++)
        cpu_matrix_row(matrix, panel * PANEL_ROWS + lane, first, n, w + lane, PANEL_ROWS);
}

static void scalar_tile(float *y, size_t y_stride, int n_cols, const float *x, size_t x_stride,
                        int n_rows, const float *w, size_t w_stride, size_t n_k, bool go_on)
{
    (void)w_stride;
    for (int r = 0; r < n_rows; r++, y += y_stride, x += x_stride) {
        double sums[PANEL_ROWS] = {0};

        for (size_t k = 0; k < n_k; k++) {
            for (int c = 0; c < PANEL_ROWS; c++)
                sums[c] += (double)x[k] * (double)w[k * PANEL_ROWS + (size_t)c];
        }
        for (int c = 0; c < n_cols; c++)
            y[c] = (float)(sums[c] + (go_on ? (double)y[c] : 0.0));
    }
}

static void scalar_rmsnorm(float *y, const float *x, const float *weight, size_t dim, float eps)
{
    double sum = 0, factor;

    for (size_t i = 0; i < dim; i++)
        sum += (double)x[i] * (double)x[i];
    factor = 1 / sqrt(sum / (double)dim + (double)eps);
    for (size_t i = 0; i < dim; i++)
        y[i] = (float)((double)x[i] * factor * (double)weight[i]);
}

static void scalar_layernorm(float *y, const float *x, const float *weight, const float *bias,
                             size_t dim, float eps)
{
    double mean = 0, sum = 0, factor;

    for (size_t i = 0; i < dim; i++)
        mean += (double)x[i];
    mean /= (double)dim;
    for (size_t i = 0; i < dim; i++)
        sum += ((double)x[i] - mean) * ((double)x[i] - mean);
    factor = 1 / sqrt(sum / (double)dim + (double)eps);
    for (size_t i = 0; i < dim; i++)
        y[i] = (float)(((double)x[i] - mean) * factor * (double)weight[i] + (double)bias[i]);
}

static void scalar_add(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}

static void scalar_silu_mul(float *y, const float *gate, const float *up, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = (float)((double)gate[i] / (1 + exp(-(double)gate[i])) * (double)up[i]);
}

static void scalar_gelu(float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = (float)((double)y[i] / 2 * (1 + erf((double)y[i] / sqrt(2.0))));
}

static void scalar_scale(float *y, const float *x, float factor, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] * factor;
}

static void scalar_rope(float *x, const float *cosine, const float *sine, size_t half)
{
    for (size_t i = 0; i < half; i++) {
        const double a = (double)x[i], b = (double)x[half + i];
        const double c = (double)cosine[i], s = (double)sine[i];

        x[i] = (float)(a * c - b * s);
        x[half + i] = (float)(b * c + a * s);
    }
}

static float scalar_softmax_block(float *scores, int n_seen, float factor, float *max, float *sum)
{
    const double max_before = (double)*max;
    double total = 0, shrink;

    for (int i = 0; i < n_seen; i++) {
        scores[i] *= factor;
        if (scores[i] > *max)
            *max = scores[i];
    }
    shrink = exp(max_before - (double)*max);
    for (int i = 0; i < n_seen; i++) {
        scores[i] = (float)exp((double)scores[i] - (double)*max);
        total += (double)scores[i];
    }
    *sum = (float)((double)*sum * shrink + total);
    return (float)shrink;
}

static double scalar_log_sum_exp(const float *x, size_t n)
{
    float max = -INFINITY;
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        max = x[i] > max ? x[i] : max;
    for (size_t i = 0; i < n; i++)
        sum += exp((double)x[i] - (double)max);
    return (double)max + log(sum);
}

const struct cpu_kernels cpu_kernels_scalar = {
    .name = "scalar",
    .chunk = SIZE_MAX,
    .tile_rows = 6,
    .tile_panels = 1,
    .sums_in_double = true,
    .expand = scalar_expand,
    .tile = scalar_tile,
    .rmsnorm = scalar_rmsnorm,
    .layernorm = scalar_layernorm,
    .add = scalar_add,
    .silu_mul = scalar_silu_mul,
    .gelu = scalar_gelu,
    .scale = scalar_scale,
    .rope = scalar_rope,
    .softmax_block = scalar_softmax_block,
    .log_sum_exp = scalar_log_sum_exp,
    .gradient = &cpu_gradient_scalar,
};
