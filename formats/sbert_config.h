/* How a sentence-transformers folder uses its BERT: modules.json, the pooling's config.json,
 * sentence_bert_config.json, config_sentence_transformers.json and the tokenizer's limit.
 *
 * An encoder of texts is the chain Transformer, Pooling (mean, CLS or max), Normalize; without the
 * last, vectors stay as long as they are. A scorer of pairs (CrossEncoder) is a Transformer alone,
 * whose head makes the scores. Other modules, poolings and similarities are refused by name.
 *
 * A folder without modules.json is read as sentence-transformers reads one: mean pooling, not
 * normalised, as many tokens as tokenizer_config.json's model_max_length and the positions of the
 * model allow.
 */
#ifndef FORMATS_SBERT_CONFIG_H
#define FORMATS_SBERT_CONFIG_H

#include <jansson.h>

#include "base/status.h"
#include "formats/gguf.h"

enum sbert_kind { SBERT_ENCODER, SBERT_CROSS_ENCODER };

enum sbert_pooling {
    SBERT_MEAN, /* of all tokens, [CLS] and [SEP] included */
    SBERT_CLS,  /* the first token */
    SBERT_MAX,  /* of all tokens, number by number */
};

enum sbert_similarity { SBERT_COSINE, SBERT_DOT };

struct sbert_config {
    bool has_modules;   /* the folder has a modules.json */
    int max_seq_length; /* tokens, specials included; at most the model's positions */

    enum sbert_pooling pooling;
    bool pools_prompt; /* false: the tokens of the prompt are left out of the pooling */
    bool normalize;    /* to Euclidean length 1 */
    enum sbert_similarity similarity;

    /* Put before texts, ours, never NULL; "" where the folder names none.
     * Encoder: before a question, the prompt "query"; before a passage, the first of "document",
     * "passage" and "corpus" that the folder has. Cross-encoder: before the first text of a pair,
     * the prompt that default_prompt_name names. */
    char *query_prompt, *document_prompt;
};

/* `dim` and `max_positions` are the transformer's (model_config's dim and max_seq_len): the pooling
 * must be of this width, and texts cannot be longer. On failure *config holds nothing. */
bool sbert_config_read(struct sbert_config *config, enum sbert_kind kind, const char *path, int dim,
                       int max_positions, struct status *status) MUST_CHECK;
/* Of an encoder in a GGUF file, which says no more than how it pools ("bert.pooling_type"; without
 * it, the mean): no normalisation, cosine, no prompts, as many tokens as positions. */
bool sbert_config_read_gguf(struct sbert_config *config, const struct gguf *gguf, int max_positions,
                            struct status *status) MUST_CHECK;
void sbert_config_release(struct sbert_config *config);

/* The same, with the files coming from elsewhere. The reader gives the JSON of the file `name`
 * ("1_Pooling/config.json"), read with JSON_FILE_INTEGERS_AS_REALS, which is dropped after use;
 * NULL and STATUS_NO_INPUT where there is no such file. Messages begin with the name. */
typedef json_t *sbert_reader(void *context, const char *name, struct status *status);
bool sbert_config_parse(struct sbert_config *config, enum sbert_kind kind, sbert_reader *reader,
                        void *context, int dim, int max_positions,
                        struct status *status) MUST_CHECK;

#endif
