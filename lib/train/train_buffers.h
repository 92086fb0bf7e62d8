/* What a training pass has on the device: one piece of memory, divided. */
#ifndef TRAIN_TRAIN_BUFFERS_H
#define TRAIN_TRAIN_BUFFERS_H

#include <stddef.h>

#include "formats/model_config.h"
#include "train/lora.h"
#include "train/train_pass.h"

enum { TRAIN_LOGIT_ROWS = 192 }; /* most rows of logits at a time */

/* What a layer keeps on its way forward for the way back, [max_tokens][...]. */
struct train_activations {
    float *q;        /* [n_heads * head_dim] rotated */
    float *k, *v;    /* [n_kv_heads * head_dim] k rotated */
    float *attended; /* [n_heads * head_dim] */
    float *lse;      /* [n_heads] of attention's rows */
    float *mid;      /* [dim] the stream between the layer's halves */
    float *gate;     /* [ffn_dim] before silu; on the way back their gradients */
    float *up;
    float *u[LORA_TARGETS]; /* [rank] of the adapter's modules */
};

/* All that a pass has on the device, [max_tokens][...] but for the logits. */
struct train_buffers {
    float **x; /* [n_layers + 1][dim] the list ours: the stream before each layer, and behind */
    struct train_activations *layers; /* [n_kept] ours: of each layer, or of the one at hand */
    float *normed;                    /* [dim] */
    float *hidden;                    /* [ffn_dim] silu(gate) * up */
    /* on the way back */
    float *dx;        /* [dim] of the stream */
    float *dnormed;   /* [dim] */
    float *dhidden;   /* [ffn_dim] */
    float *dq;        /* [n_heads * head_dim] */
    float *dk, *dv;   /* [n_kv_heads * head_dim] */
    float *dattended; /* [n_heads * head_dim] */
    /* of the rows that predict a target alone */
    float *head;   /* [dim] the stream behind the last layer, normed */
    float *dhead;  /* [dim] */
    float *logits; /* [TRAIN_LOGIT_ROWS][vocab_size] */
};

/* Layers that keep their activations: all, or one. */
int train_buffers_kept(const struct model_config *config, const struct train_pass_options *options);

/* Floats of all buffers; SIZE_MAX: too many to count. */
size_t train_buffers_count(const struct model_config *config, const struct lora_options *lora,
                           const struct train_pass_options *options);

/* Divides so many floats, which stay the caller's. */
void train_buffers_open(struct train_buffers *buffers, float *floats,
                        const struct model_config *config, const struct lora_options *lora,
                        const struct train_pass_options *options);
void train_buffers_close(struct train_buffers *buffers);

#endif
