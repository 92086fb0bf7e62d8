/* A vocab.txt of BERT: one piece a line, the line is the id. What it does not say is as
 * tokenizer_config.json has it, else as in the first BERT. */
#include <stdlib.h>
#include <string.h>

#include "base/mapped_file.h"
#include "base/memory.h"
#include "formats/foreign_file.h"
#include "formats/json_file.h"
#include "text/tokenizer_parts.h"

enum { MAX_WORD = 100 }; /* code points */

/* The pieces with a part to play; the vocabulary need not have the last two. */
enum { N_BERT_SPECIAL = SPECIAL_MASK + 1 };
static const char *const defaults[N_BERT_SPECIAL] = {
    [SPECIAL_UNKNOWN] = "[UNK]", [SPECIAL_CLS] = "[CLS]",   [SPECIAL_SEP] = "[SEP]",
    [SPECIAL_PAD] = "[PAD]",     [SPECIAL_MASK] = "[MASK]",
};

static bool check_class(const struct tokenizer_config *config, struct status *status)
{
    static const char *const others[] = {"PreTrainedTokenizerFast", "TokenizersBackend"};

    if (!config->class || tokenizer_config_is_bert(config))
        return true;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (strcmp(config->class, others[i]) == 0)
            return true;
    }
    return status_fail(status, STATUS_CONFIG,
                       "tokenizer_class '%.60s' is not known; WordPiece's is", config->class);
}

static bool add_normalizer(struct tokenizer *tokenizer, const struct tokenizer_config *config,
                           struct status *status)
{
    const bool lowercase = config->do_lower_case.found ? config->do_lower_case.value : true;
    const struct tokenizer_config_bool accents = config->strip_accents;
    const struct tokenizer_config_bool chinese = config->tokenize_chinese_chars;
    const struct tokenizer_json_step step = {
        .type = STEP_BERT_NORMALIZER,
        .clean_text = true,
        .handle_chinese_chars = chinese.found ? chinese.value : true,
        .strip_accents = accents.found ? accents.value : lowercase,
        .lowercase = lowercase,
    };

    return normalizer_add(&tokenizer->normalizer, &step, status);
}

/* An added token must be a piece of the vocabulary that is matched as it stands. */
static bool add_token(struct tokenizer *tokenizer, int64_t id, const json_t *token,
                      struct status *status)
{
    static const char *const flags[] = {"single_word", "lstrip", "rstrip", "normalized"};
    const char *content = NULL;
    bool special = false, found;

    if (!json_file_string(token, "content", &content, NULL, status) ||
        !json_file_bool(token, "special", &special, &found, status))
        return false;
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        bool flag = false;

        if (!json_file_bool(token, flags[i], &flag, &found, status))
            return false;
        if (flag)
            return status_fail(status, STATUS_CONFIG,
                               "token %lld: '%s' is not known with vocab.txt", (long long)id,
                               flags[i]);
    }
    if (vocab_find(&tokenizer->vocab, text_of(content)) != id)
        return status_fail(status, STATUS_CONFIG, "token %lld is not that of vocab.txt",
                           (long long)id);
    tokenizer->roles[id] = special ? TOKEN_ADDED | TOKEN_CONTROL : TOKEN_ADDED;
    return true;
}

/* {"100": {"content", ...}} */
static bool add_tokens(struct tokenizer *tokenizer, const json_t *tokens, struct status *status)
{
    const char *key;
    json_t *token;

    json_object_foreach((json_t *)tokens, key, token)
    {
        char *end;
        const long id = strtol(key, &end, 10);

        if (*key == '\0' || *end != '\0' || !json_is_object(token))
            return status_fail(status, STATUS_CONFIG, "added_tokens_decoder: must be tokens by id");
        if (!add_token(tokenizer, id, token, status))
            return status_context(status, "added_tokens_decoder");
    }
    return true;
}

static bool read_vocab(struct tokenizer *tokenizer, const char *path, struct status *status)
{
    struct mapped_file file;
    struct text *pieces = NULL;
    size_t n = 0, cap = 0;
    bool ok;

    if (!mapped_file_open(&file, path, status))
        return false;
    for (size_t at = 0; at < file.size;) {
        const char *line = (const char *)file.data + at;
        const char *newline = memchr(line, '\n', file.size - at);
        size_t len = newline ? (size_t)(newline - line) : file.size - at;

        at += len + 1;
        if (len > 0 && line[len - 1] == '\r')
            len--;
        if (n == cap) {
            cap = cap ? 2 * cap : 1024;
            pieces = memory_resize(pieces, cap, sizeof(*pieces));
        }
        pieces[n++] = (struct text){line, len};
    }
    ok = tokenizer_set_vocab(tokenizer, pieces, n, status);
    free(pieces);
    mapped_file_close(&file);
    return ok || status_context(status, "%s", path);
}

static bool find_specials(const struct tokenizer *tokenizer, const struct tokenizer_config *config,
                          int32_t ids[N_BERT_SPECIAL], struct status *status)
{
    for (int i = 0; i < N_BERT_SPECIAL; i++) {
        const char *name = config->special[i] ? config->special[i] : defaults[i];

        ids[i] = vocab_find(&tokenizer->vocab, text_of(name));
        if (ids[i] >= 0)
            tokenizer->roles[ids[i]] = TOKEN_ADDED | TOKEN_CONTROL;
        else if (i == SPECIAL_UNKNOWN || i == SPECIAL_CLS || i == SPECIAL_SEP)
            return status_fail(status, STATUS_CONFIG, "no piece '%s': not the vocabulary of a BERT",
                               defaults[i]);
    }
    return true;
}

bool tokenizer_fill_bert(struct tokenizer *tokenizer, const struct tokenizer_config *config,
                         struct status *status)
{
    const json_t *added = json_object_get(config->root, "added_tokens_decoder");
    int32_t ids[N_BERT_SPECIAL];

    if (!find_specials(tokenizer, config, ids, status) ||
        (json_is_object(added) && !add_tokens(tokenizer, added, status)) ||
        !tokenizer_index_added(tokenizer, status) || !add_normalizer(tokenizer, config, status) ||
        !wordpiece_init(&tokenizer->wordpiece, tokenizer->vocab.pieces, tokenizer->vocab.n,
                        text_of("##"), ids[SPECIAL_UNKNOWN], MAX_WORD, status))
        return false;
    tokenizer_set_bert_frames(tokenizer, ids[SPECIAL_CLS], ids[SPECIAL_SEP]);
    tokenizer->cleanup = true;
    buf_append_text(&tokenizer->chat_template, buf_text(&config->chat_template));
    return true;
}

static bool fill(struct tokenizer *tokenizer, const char *path,
                 const struct tokenizer_config *config, struct status *status)
{
    return read_vocab(tokenizer, path, status) &&
           (tokenizer_fill_bert(tokenizer, config, status) || status_context(status, "%s", path));
}

struct tokenizer *tokenizer_open_vocab_txt(const char *path, const struct tokenizer_config *config,
                                           struct status *status)
{
    const struct tokenizer_config none = {0};
    struct tokenizer *tokenizer = tokenizer_new(TOKENIZER_WORDPIECE, "wordpiece", path);

    if ((!config || check_class(config, status)) &&
        fill(tokenizer, path, config ? config : &none, status))
        return tokenizer;
    tokenizer_close(tokenizer);
    foreign_file_explain(path, "a vocab.txt", status);
    if (!config && status->code == STATUS_CONFIG)
        status_prefix(status, "neither GGUF nor a tokenizer.json or vocab.txt");
    return NULL;
}
