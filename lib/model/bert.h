/* The forward pass of a BERT, one operation a line. Normalisation is behind each sum:
 *
 *   x = layernorm(word[token] + position[position] + type[type])
 *   each layer:  x = layernorm(x + output(attention(query(x), key(x), value(x))))
 *                x = layernorm(x + output(activation(intermediate(x))))
 */
#ifndef MODEL_BERT_H
#define MODEL_BERT_H

#include "base/status.h"
#include "compute/backend.h"
#include "formats/model_config.h"
#include "model/weights.h"

struct bert; /* weights and scratch of one caller */

/* For batches of at most max_rows rows in at most max_segments segments. Takes over nothing; files
 * may be closed afterwards. */
struct bert *bert_open(const struct model_files *files, const struct backend *backend,
                       struct device *device, int max_rows, int max_segments,
                       struct status *status) MUST_CHECK;
void bert_close(struct bert *bert); /* NULL allowed */

/* The hidden states of the last layer, of rows[0 .. n_rows) or, with rows NULL, of all: [n_rows]
 * [dim] to `hidden` in host memory. Each segment is a whole text from position 0, in a slot of its
 * own below max_segments; batch->types is given. */
bool bert_forward(struct bert *bert, const struct batch *batch, const int32_t *rows, int n_rows,
                  float *hidden, struct status *status) MUST_CHECK;

/* The logits of each segment by the model's head (config.n_labels > 0), read off its first row:
 * [n_segments][n_labels] to `logits` in host memory. Batches as above. */
bool bert_classify(struct bert *bert, const struct batch *batch, float *logits,
                   struct status *status) MUST_CHECK;

#endif
