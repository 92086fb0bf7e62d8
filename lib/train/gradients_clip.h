/* The clipping of gradients before a step of the optimiser. */
#ifndef TRAIN_GRADIENTS_CLIP_H
#define TRAIN_GRADIENTS_CLIP_H

#include <stddef.h>

/* The norm of gradients[n], summed in double in the order of the array; where it is above max_norm,
 * they are multiplied by max_norm / (norm + 1e-6) (torch.nn.utils.clip_grad_norm_). max_norm 0: no
 * clipping. A norm that is not finite is returned, and nothing is changed. */
double gradients_clip(float *gradients, size_t n, double max_norm);

#endif
