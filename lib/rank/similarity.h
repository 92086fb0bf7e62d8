/* Cosines and dot products between rows of embeddings, computed in double in one fixed order. */
#ifndef RANK_SIMILARITY_H
#define RANK_SIMILARITY_H

#include <stdbool.h>
#include <stddef.h>

/* cosines[n_a][n_b] of a[n_a][dim] with b[n_b][dim]; 0 where a vector is zero. False, with cosines
 * undefined, if a number is not finite: such scores must not be sorted. */
bool similarity_cosines(const float *a, size_t n_a, const float *b, size_t n_b, size_t dim,
                        double *cosines);

/* products[n_a][n_b], likewise. */
bool similarity_products(const float *a, size_t n_a, const float *b, size_t n_b, size_t dim,
                         double *products);

/* mean[dim] of rows[n][dim] as they are, without weights or normalisation; n > 0. */
void similarity_mean(const float *rows, size_t n, size_t dim, float *mean);

#endif
