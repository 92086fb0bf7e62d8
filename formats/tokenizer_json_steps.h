/* The steps of a tokenizer.json, for tokenizer_json.c. */
#ifndef FORMATS_TOKENIZER_JSON_STEPS_H
#define FORMATS_TOKENIZER_JSON_STEPS_H

#include "formats/tokenizer_json.h"

/* The steps of one member of the file; NULL and null are none. Texts point into `value`. False:
 * *steps may hold what was read before and is still to be released. */
bool tokenizer_json_normalizers(struct tokenizer_json_steps *steps, const json_t *value,
                                struct status *status) MUST_CHECK;
bool tokenizer_json_pre_tokenizers(struct tokenizer_json_steps *steps, const json_t *value,
                                   struct status *status) MUST_CHECK;
bool tokenizer_json_decoders(struct tokenizer_json_steps *steps, const json_t *value,
                             struct status *status) MUST_CHECK;

/* The frames of the file's post_processor; the pieces are read already. */
bool tokenizer_json_frames(struct tokenizer_json *json, const json_t *value,
                           struct status *status) MUST_CHECK;

/* Only these members may be in the object (NULL ends the list). */
bool tokenizer_json_members(const json_t *object, const char *const *known,
                            struct status *status) MUST_CHECK;

#endif
