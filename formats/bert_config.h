/* What model_config holds of a BERT: config.json of BertModel and BertForSequenceClassification in
 * the spellings of transformers 4 and 5, or the keys of a GGUF file.
 *
 * Positions are learned and absolute, attention looks both ways; anything else is refused by name.
 */
#ifndef FORMATS_BERT_CONFIG_H
#define FORMATS_BERT_CONFIG_H

#include <jansson.h>

#include "base/status.h"
#include "formats/model_config.h"

/* Fills what a BERT has beside the sizes that *config holds already. The message begins with the
 * key. */
bool bert_config_read(struct model_config *config, const json_t *root,
                      struct status *status) MUST_CHECK;

/* All from the keys of a GGUF file of the architecture bert. */
bool bert_config_read_gguf(struct model_config *config, const struct gguf *gguf,
                           struct status *status) MUST_CHECK;

#endif
