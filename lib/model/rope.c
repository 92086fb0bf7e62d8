#include "model/rope.h"

#include <math.h>

#include "base/memory.h"

float *rope_frequencies(const struct model_config *config)
{
    const int half = config->head_dim / 2;
    float *inv_freq = memory_zeroed((size_t)half, sizeof(*inv_freq));

    for (int i = 0; i < half; i++) {
        const float exponent = (float)(2 * i) / (float)config->head_dim;

        inv_freq[i] = 1.0f / (float)pow((double)(float)config->rope_theta, (double)exponent);
    }
    return inv_freq;
}
