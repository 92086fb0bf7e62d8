/* Loss and gradients of some token rows: one micro-batch forward, and backward to the parameters of
 * a LoRA adapter. The base's weights are frozen; whatever type they have, they are never copied.
 *
 *   nll of a row = sum over its targets i of -log p(tokens[i] | tokens[0 .. i))
 *
 * Rows are ragged, each a causal sequence of its own: nothing is padded, none sees another. Its
 * loss and gradients are the same bits whatever rows are beside it in the call, for any number of
 * threads, and with or without `recompute`. Gradients of several calls add up to the bits of one
 * call with all their rows in the same order.
 */
#ifndef TRAIN_TRAIN_PASS_H
#define TRAIN_TRAIN_PASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "model/model.h"
#include "train/lora.h"

struct train_row {
    const int32_t *tokens;  /* [n_tokens] ids in [0, vocab_size) */
    int n_tokens;           /* >= 1 */
    const uint8_t *targets; /* [n_tokens] is token i predicted from those before it? targets[0] is 0
                             */
    uint64_t key; /* of its dropout masks: the same key, module and place give the same mask. Mix
                     seed, row and epoch into it */
};

struct train_pass_options {
    int max_tokens; /* of the rows of a call together */
    bool recompute; /* keep the inputs of layers alone, and compute the rest again in backward */
};

struct train_pass;

/* `model` and `lora` must outlive it; the adapter's values may change between calls. NULL and
 * STATUS_MEMORY; STATUS_DEVICE where the model's device cannot train. */
struct train_pass *train_pass_open(const struct model *model, struct lora *lora,
                                   const struct train_pass_options *options,
                                   struct status *status) MUST_CHECK;
void train_pass_close(struct train_pass *pass); /* NULL allowed */

/* Bytes that one takes, without the model, the adapter's values and gradients, and what the device
 * has for itself; SIZE_MAX where the number overflows. */
size_t train_pass_size(const struct model_config *config, const struct lora_options *lora,
                       const struct train_pass_options *options);
/* What the device has for itself then, beside the scratch_size of compute/backend.h. */
size_t train_pass_scratch(const struct model_config *config, const struct lora_options *lora,
                          const struct train_pass_options *options, const struct backend *backend,
                          int n_threads);

/* nll: [n_rows], in nats; NaN or infinite where the logits are. No dropout, no gradients. False and
 * STATUS_CONFIG when the rows have more than max_tokens tokens, or an id is out of range; else what
 * the device has met. */
bool train_pass_loss(struct train_pass *pass, const struct train_row *rows, int n_rows, double *nll,
                     struct status *status) MUST_CHECK;

/* The same with dropout; adds to lora->gradients those of weight * (the sum of all nll). */
bool train_pass_gradients(struct train_pass *pass, const struct train_row *rows, int n_rows,
                          float weight, double *nll, struct status *status) MUST_CHECK;

#endif
