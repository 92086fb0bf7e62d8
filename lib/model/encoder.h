/* A sentence encoder: texts -> vectors, by a BERT and what a sentence-transformers folder says of
 * pooling, length, prompts and similarity (formats/sbert_config.h).
 *
 * Texts of a call share ragged passes of a bounded number of tokens; the vector of a text is the
 * same, bit for bit, whatever texts it shares a pass with.
 */
#ifndef MODEL_ENCODER_H
#define MODEL_ENCODER_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "base/text.h"
#include "compute/backend.h"
#include "formats/sbert_config.h"

struct encoder;

/* What a text is; each may have a prompt of the folder before it. */
enum encoder_role { ENCODER_QUERY, ENCODER_DOCUMENT };

/* A sentence-transformers folder, one of a BertModel alone, or a GGUF file of a BERT. NULL and a
 * status that names the file. `backend` and `device` must outlive the encoder. */
struct encoder *encoder_open(const char *path, const struct backend *backend, struct device *device,
                             struct status *status) MUST_CHECK;
void encoder_close(struct encoder *encoder); /* NULL allowed */

int encoder_dim(const struct encoder *encoder);          /* floats a vector */
int encoder_max_tokens(const struct encoder *encoder);   /* specials included; the rest is cut */
const char *encoder_name(const struct encoder *encoder); /* short name '@' hash, as model.name */
/* How its vectors are to be compared. */
enum sbert_similarity encoder_similarity(const struct encoder *encoder);
/* Appends, for people: "mean of the tokens, normalised, cosine, 256 tokens, tokenizer FILE". */
void encoder_describe(const struct encoder *encoder, struct buf *out);
/* The file that its tokenizer was read from, without the folder. */
const char *encoder_tokenizer(const struct encoder *encoder);

/* out [n][dim]: the vectors of texts[0 .. n), each of length 1 when the model normalises. roles
 * [n] (NULL: all documents). White space around a text does not count. n_tokens [n] (may be NULL):
 * tokens of each text, specials and prompt included, before it was cut to encoder_max_tokens. One
 * caller at a time. */
bool encoder_embed(struct encoder *encoder, const struct text *texts,
                   const enum encoder_role *roles, size_t n, float *out, int32_t *n_tokens,
                   struct status *status) MUST_CHECK;

#endif
