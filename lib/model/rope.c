#include "model/rope.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static const double two_pi = 6.28318530717958647692;

/* Llama 3.1: waves longer than the context it was trained with are slowed down, short ones not, and
 * in between is a blend. In float, in the order of transformers' modeling_rope_utils.py. */
static float scale_llama3(const struct rope_config *rope, float frequency)
{
    const float factor = (float)rope->factor, original = (float)rope->original_positions;
    const float low = (float)rope->low_freq_factor, high = (float)rope->high_freq_factor;
    const double longest = (double)rope->original_positions / rope->low_freq_factor;
    const double shortest = (double)rope->original_positions / rope->high_freq_factor;
    const float wave = 1.0f / frequency * (float)two_pi;
    const float smooth = (1.0f / wave * original - low) / (float)((double)high - (double)low);

    if (wave > (float)longest)
        return frequency / factor;
    if (wave < (float)shortest)
        return frequency;
    return (1.0f - smooth) * frequency / factor + smooth * frequency;
}

static float scaled(const struct rope_config *rope, float frequency)
{
    switch (rope->scaling) {
    case ROPE_LINEAR:
        return frequency / (float)rope->factor;
    case ROPE_LLAMA3:
        return scale_llama3(rope, frequency);
    case ROPE_PLAIN:
        break;
    }
    return frequency;
}

static bool divide(float *inv_freq, int half, const struct tensor_entry *divisors,
                   struct status *status)
{
    if (divisors->dtype != DTYPE_F32 || divisors->n_dims != 1 || divisors->shape[0] != (size_t)half)
        return status_fail(status, STATUS_CONFIG, "tensor '%s': must be F32 of shape [%d]",
                           divisors->name, half);
    for (int i = 0; i < half; i++) {
        float divisor;

        memcpy(&divisor, divisors->data + (size_t)i * sizeof(divisor), sizeof(divisor));
        if (!(divisor > 0.0f && divisor < INFINITY))
            return status_fail(status, STATUS_CONFIG,
                               "tensor '%s': element %d must be a number above 0", divisors->name,
                               i);
        inv_freq[i] /= divisor;
    }
    return true;
}

float *rope_frequencies(const struct model_config *config, const struct tensor_entry *divisors,
                        struct status *status)
{
    const struct rope_config *rope = &config->rope;
    const int half = config->head_dim / 2;
    float *inv_freq = memory_zeroed((size_t)half, sizeof(*inv_freq));

    for (int i = 0; i < half; i++) {
        const float exponent = (float)(2 * i) / (float)config->head_dim;

        inv_freq[i] = scaled(rope, 1.0f / (float)pow((double)(float)rope->theta, (double)exponent));
    }
    if (!divisors || divide(inv_freq, half, divisors, status))
        return inv_freq;
    free(inv_freq);
    return NULL;
}
