/* tokenizer_config.json, and chat_template.jinja beside it: what a model's folder says of its
 * tokenizer besides the tokenizer itself. Members that are not listed do not concern encoding. */
#ifndef FORMATS_TOKENIZER_CONFIG_H
#define FORMATS_TOKENIZER_CONFIG_H

#include <jansson.h>

#include "base/buf.h"
#include "base/status.h"
#include "base/text.h"

/* A bool that need not be there. */
struct tokenizer_config_bool {
    bool found, value;
};

enum tokenizer_config_special {
    SPECIAL_UNKNOWN,
    SPECIAL_CLS,
    SPECIAL_SEP,
    SPECIAL_PAD,
    SPECIAL_MASK,
    SPECIAL_BOS,
    SPECIAL_EOS,
    N_SPECIAL
};

/* Zeroed = valid and empty: as if the folder had no such file. */
struct tokenizer_config {
    json_t *root;
    const char *class;              /* tokenizer_class; NULL: not given */
    const char *special[N_SPECIAL]; /* unk_token, cls_token, ...; NULL: not given */
    struct tokenizer_config_bool do_lower_case, tokenize_chinese_chars, strip_accents;
    struct tokenizer_config_bool add_bos_token, add_eos_token, add_prefix_space;
    struct buf chat_template;
};

/* Of a folder; files that are not there leave things empty. */
bool tokenizer_config_read(struct tokenizer_config *config, const char *folder,
                           struct status *status) MUST_CHECK;
void tokenizer_config_release(struct tokenizer_config *config);

/* Is the class one of those that transformers builds as BERT, or as GPT-2 or RoBERTa? */
bool tokenizer_config_is_bert(const struct tokenizer_config *config);
bool tokenizer_config_is_gpt2(const struct tokenizer_config *config);
bool tokenizer_config_is_roberta(const struct tokenizer_config *config);

#endif
