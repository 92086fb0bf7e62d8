/* A sentence encoder: texts -> unit vectors, by a BERT with mean pooling (sentence-transformers).
 *
 * Texts of a call share ragged passes of a bounded number of tokens; the vector of a text is the
 * same, bit for bit, whatever texts it shares a pass with.
 */
#ifndef MODEL_ENCODER_H
#define MODEL_ENCODER_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/text.h"
#include "compute/backend.h"

struct encoder;

/* A sentence-transformers folder (modules.json). NULL and a status that names the file. `backend`
 * and `device` must outlive the encoder. */
struct encoder *encoder_open(const char *path, const struct backend *backend, struct device *device,
                             struct status *status) MUST_CHECK;
void encoder_close(struct encoder *encoder); /* NULL allowed */

int encoder_dim(const struct encoder *encoder);          /* floats a vector */
int encoder_max_tokens(const struct encoder *encoder);   /* specials included; the rest is cut */
const char *encoder_name(const struct encoder *encoder); /* short name '@' hash, as model.name */

/* out [n][dim]: the vectors of texts[0 .. n), each of length 1 when the model normalises. White
 * space around a text does not count. n_tokens [n] (may be NULL): tokens of each text, specials
 * included, before it was cut to encoder_max_tokens. One caller at a time. */
bool encoder_embed(struct encoder *encoder, const struct text *texts, size_t n, float *out,
                   int32_t *n_tokens, struct status *status) MUST_CHECK;

#endif
