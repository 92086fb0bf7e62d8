/* How a decoder rotates its positions, out of config.json: transformers 4 has rope_theta and
 * rope_scaling beside each other, 5 has both in rope_parameters.
 *
 * Read are the kinds "default", "linear" and "llama3"; others (yarn, dynamic, longrope, ...) and
 * heads that are rotated in part are refused by name.
 */
#ifndef FORMATS_ROPE_CONFIG_H
#define FORMATS_ROPE_CONFIG_H

#include <jansson.h>

#include "base/status.h"

/* The frequency i of a head is theta^(-2i / head_dim), then scaled. */
enum rope_scaling {
    ROPE_PLAIN,
    ROPE_LINEAR, /* all frequencies divided by factor */
    ROPE_LLAMA3, /* the slow ones divided, between two wavelengths a blend (Llama 3.1) */
};

#define ROPE_CONFIG_MIN_THETA 1.0
#define ROPE_CONFIG_MAX_THETA 1e12
#define ROPE_CONFIG_DEFAULT_THETA 10000.0
#define ROPE_CONFIG_MIN_FACTOR 1e-6
#define ROPE_CONFIG_MAX_FACTOR 1e6

struct rope_config {
    double theta;
    enum rope_scaling scaling;
    double factor;                            /* not ROPE_PLAIN */
    double low_freq_factor, high_freq_factor; /* ROPE_LLAMA3: 0 < low < high */
    int original_positions;                   /* ROPE_LLAMA3: what it was trained with before */
};

/* `layer_type`: the one that all layers have ("full_attention"), or NULL: rope_parameters may have
 * an object for each type. The message begins with the key. */
bool rope_config_read(struct rope_config *rope, const json_t *root, const char *layer_type,
                      struct status *status) MUST_CHECK;

#endif
