/* A folder of a BERT, or its GGUF file, opened with all that reading texts takes: settings,
 * weights, tokenizer, and the pass that texts are gathered into. */
#ifndef MODEL_BERT_FOLDER_H
#define MODEL_BERT_FOLDER_H

#include "formats/sbert_config.h"
#include "model/bert.h"
#include "model/bert_pass.h"
#include "model/identity.h"
#include "text/tokenizer.h"

struct bert_folder {
    struct model_config config;
    struct sbert_config settings;
    struct bert *bert;
    struct tokenizer *tokenizer;
    char name[IDENTITY_SIZE]; /* as model.name */
    struct bert_pass pass;
};

/* SBERT_ENCODER: a BertModel. SBERT_CROSS_ENCODER: a BertForSequenceClassification whose tokenizer
 * takes pairs. On failure *folder is empty, and the message names the file. */
bool bert_folder_open(struct bert_folder *folder, enum sbert_kind kind, const char *path,
                      const struct backend *backend, struct device *device,
                      struct status *status) MUST_CHECK;
void bert_folder_close(struct bert_folder *folder);

#endif
