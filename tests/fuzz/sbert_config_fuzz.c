/* The settings of a sentence-transformers folder: whatever is accepted holds the promises of
 * sbert_config.h. The input is the files one after another, a form feed between them, in the order
 * of `names`; an empty part is a file that is not there. */
#include <stdlib.h>

#include "formats/json_file.h"
#include "formats/sbert_config.h"
#include "fuzz.h"

enum { N_FILES = 6, DIM = 384, POSITIONS = 512 };

static const char *const names[N_FILES] = {
    "modules.json",
    "1_Pooling/config.json",
    "2_Normalize/config.json",
    "sentence_bert_config.json",
    "tokenizer_config.json",
    "config_sentence_transformers.json",
};

/* Any other name is a folder that the input's modules.json made up: there is nothing in it. */
static json_t *read_part(void *context, const char *name, struct status *status)
{
    const struct text *parts = context;

    require(name[0] != '/' && !strstr(name, ".."));
    for (int i = 0; i < N_FILES; i++) {
        if (strcmp(name, names[i]) == 0 && parts[i].len > 0)
            return json_file_parse(parts[i], JSON_FILE_INTEGERS_AS_REALS, status);
    }
    status_set(status, STATUS_NO_INPUT, "%s: none", name);
    return NULL;
}

static void check(struct text *parts, enum sbert_kind kind)
{
    struct sbert_config config;
    struct status status;

    if (!sbert_config_parse(&config, kind, read_part, parts, DIM, POSITIONS, &status)) {
        require(status.code == STATUS_CONFIG || status.code == STATUS_NO_INPUT);
        require(status.message[0] && !config.query_prompt && !config.document_prompt);
        return;
    }
    require(config.max_seq_length >= 3 && config.max_seq_length <= POSITIONS);
    require(config.pooling <= SBERT_MAX && config.similarity <= SBERT_DOT);
    require(config.query_prompt && config.document_prompt);
    sbert_config_release(&config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text parts[N_FILES] = {0};
    size_t begin = 0;

    for (int i = 0; i < N_FILES && begin <= size; i++) {
        size_t end = begin;

        while (end < size && data[end] != '\f')
            end++;
        parts[i] = (struct text){(const char *)data + begin, end - begin};
        begin = end + 1;
    }
    check(parts, SBERT_ENCODER);
    check(parts, SBERT_CROSS_ENCODER);
    return 0;
}
