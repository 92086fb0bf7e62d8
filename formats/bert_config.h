/* config.json of a BERT, as model_config_from_json reads it once the architecture is known:
 * BertModel and BertForSequenceClassification, in the spellings of transformers 4 and 5.
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

#endif
