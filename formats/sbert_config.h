/* How a sentence-transformers folder makes one vector of a text: modules.json, the pooling's
 * config.json and sentence_bert_config.json.
 *
 * Read is the chain Transformer, Pooling (mean), Normalize; without the last, vectors stay as long
 * as they are. Other modules and poolings are refused by name.
 *
 * A folder without modules.json is read as sentence-transformers reads one: mean pooling, not
 * normalised, as many tokens as tokenizer_config.json's model_max_length and the positions of the
 * model allow.
 */
#ifndef FORMATS_SBERT_CONFIG_H
#define FORMATS_SBERT_CONFIG_H

#include "base/status.h"

enum pooling {
    POOLING_MEAN, /* the mean of all tokens, [CLS] and [SEP] included */
};

struct sbert_config {
    int max_seq_length; /* tokens, [CLS] and [SEP] included; at most the model's positions */
    enum pooling pooling;
    bool normalize; /* to Euclidean length 1 */
};

/* `dim` and `max_positions` are the transformer's (model_config's dim and max_seq_len): the pooling
 * must be of this width, and texts cannot be longer. */
bool sbert_config_read(struct sbert_config *config, const char *folder, int dim, int max_positions,
                       struct status *status) MUST_CHECK;

#endif
