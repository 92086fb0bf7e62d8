#include "train/gradients_clip.h"

#include <math.h>

double gradients_clip(float *gradients, size_t n, double max_norm)
{
    double squares = 0, norm;

    for (size_t i = 0; i < n; i++)
        squares += (double)gradients[i] * (double)gradients[i];
    norm = sqrt(squares);
    if (max_norm > 0 && isfinite(norm) && norm > max_norm) {
        const float factor = (float)(max_norm / (norm + 1e-6));

        for (size_t i = 0; i < n; i++)
            gradients[i] *= factor;
    }
    return norm;
}
