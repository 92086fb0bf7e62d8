#include "rank/similarity.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"

static double dot(const float *a, const float *b, size_t dim)
{
    double sum = 0.0;

    for (size_t i = 0; i < dim; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

bool similarity_cosines(const float *a, size_t n_a, const float *b, size_t n_b, size_t dim,
                        double *cosines)
{
    double *norm_b = memory_zeroed(n_b + 1, sizeof(*norm_b));
    bool finite = true;

    for (size_t j = 0; j < n_b; j++)
        norm_b[j] = sqrt(dot(b + j * dim, b + j * dim, dim));
    for (size_t i = 0; i < n_a; i++) {
        const float *row = a + i * dim;
        const double norm_a = sqrt(dot(row, row, dim));

        for (size_t j = 0; j < n_b; j++) {
            const double norms = norm_a * norm_b[j];
            const double product = dot(row, b + j * dim, dim);

            /* a NaN or infinity anywhere makes the norms not finite */
            finite = finite && isfinite(norms);
            cosines[i * n_b + j] = norms > 0.0 ? product / norms : 0.0;
        }
    }
    free(norm_b);
    return finite;
}

bool similarity_products(const float *a, size_t n_a, const float *b, size_t n_b, size_t dim,
                         double *products)
{
    bool finite = true;

    for (size_t i = 0; i < n_a; i++) {
        for (size_t j = 0; j < n_b; j++) {
            products[i * n_b + j] = dot(a + i * dim, b + j * dim, dim);
            finite = finite && isfinite(products[i * n_b + j]);
        }
    }
    return finite;
}

void similarity_mean(const float *rows, size_t n, size_t dim, float *mean)
{
    for (size_t k = 0; k < dim; k++) {
        double sum = 0.0;

        for (size_t i = 0; i < n; i++)
            sum += (double)rows[i * dim + k];
        mean[k] = (float)(sum / (double)n);
    }
}
