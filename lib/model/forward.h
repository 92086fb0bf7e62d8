/* The forward pass of a decoder (Llama, Mistral), one operation a line.
 *
 *   x = embed(tokens)
 *   each layer:  x += o_proj(attention(rope(q_proj(h)), rope(k_proj(h)), v_proj(h))), h =
 * rmsnorm(x) x += down_proj(silu(gate_proj(h)) * up_proj(h)),                     h = rmsnorm(x)
 *   logits = lm_head(rmsnorm(x)), for the rows that are asked for
 *
 * Neighbouring rows of one adapter are a run: to each linear layer of theirs that the adapter has,
 * scale * B (A x) is added, rows of no adapter are left as they are.
 *
 * Logits of all rows would be [rows][vocab_size]; they are made in chunks instead.
 */
#ifndef MODEL_FORWARD_H
#define MODEL_FORWARD_H

#include "base/status.h"
#include "compute/batch.h"
#include "compute/kv_cache.h"
#include "model/adapter.h"
#include "model/model.h"

enum { FORWARD_LOGIT_ROWS = 64 }; /* most rows of logits at a time */

struct forward; /* scratch of one caller */

/* For batches of at most max_rows rows, whose segments may name one of the n_adapters adapters of
 * the model by index. `model` and the adapters must outlive it. STATUS_MEMORY: no room. */
struct forward *forward_open(const struct model *model, struct adapter *const *adapters,
                             int n_adapters, int max_rows, struct status *status) MUST_CHECK;
/* Bytes of the device's memory that one takes. */
size_t forward_size(const struct model_config *config, int max_rows);
void forward_close(struct forward *forward); /* NULL allowed */

/* Passes the batch through all layers; its keys and values go into the cache, whose slots have
 * grown over them. Keeps the final hidden states of rows[0 .. n_rows), which ascend, on the device
 * for forward_logits; the last layer computes no others. Errors show there or in the device's
 * finish(). */
void forward_hidden(struct forward *forward, struct kv_cache *kv, const struct batch *batch,
                    const int32_t *rows, int n_rows);

/* Logits of the kept rows first .. first + n, 1 <= n <= FORWARD_LOGIT_ROWS: [n][vocab_size] in host
 * memory, valid until the next call; and of each the normalizer [n]: the log-probability of a token
 * is its logit less this, NaN if the logits are not all finite. NULL and a status when the device
 * has failed since the last call. */
const float *forward_logits(struct forward *forward, int first, int n, double *normalizers,
                            struct status *status) MUST_CHECK;

#endif
