#include "train/adamw.h"

#include <math.h>
#include <stdlib.h>

bool adamw_open(struct adamw *adamw, size_t n, struct status *status)
{
    *adamw = (struct adamw){.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .n = n};
    adamw->m = calloc(n ? n : 1, sizeof(*adamw->m));
    adamw->v = calloc(n ? n : 1, sizeof(*adamw->v));
    if (adamw->m && adamw->v)
        return true;
    adamw_close(adamw);
    return status_fail(status, STATUS_MEMORY, "cannot have %zu x 8 bytes for the optimiser", n);
}

void adamw_close(struct adamw *adamw)
{
    free(adamw->m);
    free(adamw->v);
    adamw->m = adamw->v = NULL;
}

void adamw_step(struct adamw *adamw, float *values, const float *gradients, double lr)
{
    const double t = (double)++adamw->step;
    const float beta1 = (float)adamw->beta1, rest1 = (float)(1 - adamw->beta1);
    const float beta2 = (float)adamw->beta2, rest2 = (float)(1 - adamw->beta2);
    const float step = (float)(lr / (1 - pow(adamw->beta1, t)));
    const float root = (float)sqrt(1 - pow(adamw->beta2, t));
    const float keep = (float)(1 - lr * adamw->weight_decay), eps = (float)adamw->eps;

    for (size_t i = 0; i < adamw->n; i++) {
        const float g = gradients[i];

        adamw->m[i] = beta1 * adamw->m[i] + rest1 * g;
        adamw->v[i] = beta2 * adamw->v[i] + rest2 * g * g;
        values[i] = keep * values[i] - step * adamw->m[i] / (sqrtf(adamw->v[i]) / root + eps);
    }
}
