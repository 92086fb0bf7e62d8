/* The layers of a pass over rows (train_pass.h), forward and back: what its parts share. */
#ifndef TRAIN_TRAIN_LAYERS_H
#define TRAIN_TRAIN_LAYERS_H

#include "model/model.h"
#include "train/lora.h"
#include "train/train_buffers.h"
#include "train/train_pass.h"

struct train_pass {
    const struct model *model;
    const struct lora *lora;
    struct train_pass_options options;
    int *modules; /* [n_layers][LORA_TARGETS] index of the adapter's module; -1: none */
    int n_kept;   /* layers that keep their activations */

    float *floats; /* ours, on the device */
    struct train_buffers buffers;

    /* The rows at hand, in host memory, [max_tokens]. */
    struct train_batch batch;
    int32_t *tokens, *positions;
    struct train_sequence *sequences;
    int32_t *head_rows, *head_targets; /* [n_head] who predicts, and what */
    double *head_nll;
    int n_head;
    bool drops; /* dropout is on */
};

#define TRAIN_BIT(target) (1u << (target))

/* ---- train_linear.c: linear layers and their adapters --------------------------------------- */

/* Has the adapter one of these modules in the layer? */
bool train_has(const struct train_pass *p, int layer, unsigned targets);

/* What the adapter adds to y; y NULL: only what the way back needs of it. */
void train_add_lora(const struct train_pass *p, struct train_activations *a, int layer,
                    enum lora_target t, float *y, const float *x);

/* The linear layers first, first + 1, ... of a layer, all of x, with their adapters. */
void train_multiply(const struct train_pass *p, struct train_activations *a, int layer,
                    enum lora_target first, float *const y[], int n, const float *x);

/* The way back: dx = the sum over the layers of dy W and what comes through their adapters, whose
 * gradients grow. dx NULL: nobody needs it. x and a: of the way forward. */
void train_multiply_back(const struct train_pass *p, const struct train_activations *a, int layer,
                         enum lora_target first, float *const dy[], int n, float *dx,
                         const float *x);

/* ---- train_forward.c ------------------------------------------------------------------------ */

struct train_activations *train_activations_of(const struct train_pass *p, int layer);
struct train_attention train_attention_of(const struct model_config *config);
void train_norm(const struct train_pass *p, float *y, const float *x, const struct norm *weights);

/* From the rows' tokens to the stream behind the last layer. */
void train_forward(const struct train_pass *p);

/* What was not kept of a layer, once more; what it gives to the next is still there. */
void train_forward_again(const struct train_pass *p, int layer);

/* Losses of the rows that predict; if weight is not 0, the gradient of the stream behind the last
 * layer as well. */
void train_head(const struct train_pass *p, float weight);

/* ---- train_backward.c ----------------------------------------------------------------------- */

/* From the gradient of the last layer's result down to the lowest layer that has a module. */
void train_backward(const struct train_pass *p);

#endif
