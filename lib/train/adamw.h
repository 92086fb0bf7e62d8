/* AdamW over flat arrays: torch's rules, state in f32, the
 * numbers of a step in double as torch has them.
 *
 *   step t = 1, 2, ...:   p -= lr * weight_decay * p              (decoupled, before the step)
 *                         m = beta1 m + (1 - beta1) g
 *                         v = beta2 v + (1 - beta2) g^2
 *                         p -= lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
 *
 * (torch.optim.AdamW; Loshchilov and Hutter, ICLR 2019). bitsandbytes' paged_adamw_32bit is the
 * same but that it decays after the step, which is one and the same for weight_decay 0.
 */
#ifndef TRAIN_ADAMW_H
#define TRAIN_ADAMW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "train/gradients_clip.h"

struct adamw {
    double beta1, beta2, eps, weight_decay;
    size_t n;
    float *m, *v;  /* [n] ours */
    uint64_t step; /* steps taken */
};

/* beta 0.9 and 0.999, eps 1e-8, no decay, m and v zero; the caller may change the numbers before
 * the first step. False and STATUS_MEMORY with the number of bytes. */
bool adamw_open(struct adamw *adamw, size_t n, struct status *status) MUST_CHECK;
void adamw_close(struct adamw *adamw);

/* One step of values[n] against gradients[n]. */
void adamw_step(struct adamw *adamw, float *values, const float *gradients, double lr);

#endif
