/* A classifier of text pairs (BertForSequenceClassification): pairs -> logits.
 *
 *   logits = classifier(tanh(pooler(hidden state of [CLS])))
 *
 * A pair is read whole, as [CLS] a [SEP] b [SEP] with token types 0 and 1; a longer one is cut at
 * the end of the longer text first. Pairs of a call share ragged passes; the logits of a pair are
 * the same, bit for bit, whatever pairs it shares a pass with.
 */
#ifndef MODEL_CROSS_ENCODER_H
#define MODEL_CROSS_ENCODER_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/text.h"
#include "compute/backend.h"

struct cross_encoder;

struct text_pair {
    struct text a, b; /* question and passage */
};

/* A Hugging Face folder, with or without sentence-transformers' modules.json. NULL and a status
 * that names the file. `backend` and `device` must outlive it. */
struct cross_encoder *cross_encoder_open(const char *path, const struct backend *backend,
                                         struct device *device, struct status *status) MUST_CHECK;
void cross_encoder_close(struct cross_encoder *cross); /* NULL allowed */

int cross_encoder_n_labels(const struct cross_encoder *cross);     /* logits a pair */
int cross_encoder_max_tokens(const struct cross_encoder *cross);   /* specials included */
const char *cross_encoder_name(const struct cross_encoder *cross); /* short name '@' hash */
/* The file that its tokenizer was read from, without the folder. */
const char *cross_encoder_tokenizer(const struct cross_encoder *cross);
const char *cross_encoder_prompt(const struct cross_encoder *cross); /* before a; "": none */

/* out [n][n_labels]: the logits of pairs[0 .. n), without an activation. n_tokens [n] (may be
 * NULL): tokens of each pair, specials included, before it was cut. One caller at a time. */
bool cross_encoder_score(struct cross_encoder *cross, const struct text_pair *pairs, size_t n,
                         float *out, int32_t *n_tokens, struct status *status) MUST_CHECK;

#endif
