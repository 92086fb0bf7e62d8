/* The tokenizer of a Hugging Face folder: vocab.txt, and what tokenizer_config.json and
 * tokenizer.json say of it. Where both speak, tokenizer_config.json wins, as in transformers. The
 * truncation and padding that a tokenizer.json carries are not the model's and are left alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mapped_file.h"
#include "base/memory.h"
#include "formats/foreign_file.h"
#include "formats/json_file.h"
#include "text/tokenizer_parts.h"

/* The pieces with a part to play, by their names in tokenizer_config.json. */
enum { UNKNOWN, BEGIN, END, PADDING, MASK, N_SPECIAL };
static const char *const special_keys[N_SPECIAL] = {"unk_token", "cls_token", "sep_token",
                                                    "pad_token", "mask_token"};
static const char *const special_defaults[N_SPECIAL] = {"[UNK]", "[CLS]", "[SEP]", "[PAD]",
                                                        "[MASK]"};

struct folder {
    json_t *config;    /* tokenizer_config.json; NULL: not there */
    json_t *tokenizer; /* tokenizer.json; NULL: not there */
    struct wordpiece_options options;
    const char *special[N_SPECIAL];
    int32_t special_ids[N_SPECIAL]; /* -1: not in the vocabulary */
};

static void join(struct buf *path, const char *folder, const char *name)
{
    buf_reset(path);
    buf_printf(path, "%s/%s", folder, name);
}

static bool refuse(struct status *status, const char *what, const char *name)
{
    return status_fail(status, STATUS_CONFIG, "%s '%.60s' is not known; WordPiece's is", what,
                       name);
}

/* object.key.type must be `wanted`. *part is the object under the key. */
static bool check_type(const json_t *object, const char *key, const char *wanted,
                       const json_t **part, struct status *status)
{
    const char *type = NULL;

    *part = json_object_get(object, key);
    if (!json_is_object(*part))
        return status_fail(status, STATUS_CONFIG, "%s: must be an object", key);
    if (!json_file_string(*part, "type", &type, NULL, status))
        return status_context(status, "%s", key);
    return strcmp(type, wanted) == 0 || refuse(status, key, type);
}

/* Item i of a template of the post-processor: is it `kind` with this id and type_id? */
static bool is_item(const json_t *items, size_t i, const char *kind, const char *id, int type_id)
{
    const json_t *item = json_object_get(json_array_get(items, i), kind);
    const char *text = json_string_value(json_object_get(item, "id"));

    return text && strcmp(text, id) == 0 &&
           json_integer_value(json_object_get(item, "type_id")) == type_id;
}

static bool check_frame(const struct folder *f, struct status *status)
{
    const json_t *frame = json_object_get(f->tokenizer, "post_processor");
    const char *type = json_string_value(json_object_get(frame, "type"));
    const json_t *one = json_object_get(frame, "single"), *two = json_object_get(frame, "pair");
    const char *begin = f->special[BEGIN], *end = f->special[END];

    if (type && strcmp(type, "BertProcessing") == 0)
        return true;
    if (!type || strcmp(type, "TemplateProcessing") != 0)
        return refuse(status, "post_processor", type ? type : "null");
    if (json_array_size(one) != 3 || !is_item(one, 0, "SpecialToken", begin, 0) ||
        !is_item(one, 1, "Sequence", "A", 0) || !is_item(one, 2, "SpecialToken", end, 0) ||
        json_array_size(two) != 5 || !is_item(two, 0, "SpecialToken", begin, 0) ||
        !is_item(two, 1, "Sequence", "A", 0) || !is_item(two, 2, "SpecialToken", end, 0) ||
        !is_item(two, 3, "Sequence", "B", 1) || !is_item(two, 4, "SpecialToken", end, 1))
        return status_fail(status, STATUS_CONFIG, "post_processor: a template that is not BERT's");
    return true;
}

/* strip_accents may be null: then it follows lowercase. */
static bool read_normalizer(struct folder *f, struct status *status)
{
    struct wordpiece_options *o = &f->options;
    const json_t *normalizer;
    bool found;

    if (!check_type(f->tokenizer, "normalizer", "BertNormalizer", &normalizer, status))
        return false;
    if (!json_file_bool(normalizer, "clean_text", &o->clean_text, &found, status) ||
        !json_file_bool(normalizer, "handle_chinese_chars", &o->chinese_chars, &found, status) ||
        !json_file_bool(normalizer, "lowercase", &o->lowercase, &found, status))
        return status_context(status, "normalizer");
    o->strip_accents = o->lowercase;
    if (!json_file_bool(normalizer, "strip_accents", &o->strip_accents, &found, status))
        return status_context(status, "normalizer");
    return true;
}

static bool read_model(struct folder *f, struct status *status)
{
    const json_t *model, *part;
    const char *prefix = "##", *unknown = f->special[UNKNOWN];
    int64_t max_word = (int64_t)f->options.max_word;
    bool found;

    if (!check_type(f->tokenizer, "model", "WordPiece", &model, status) ||
        !check_type(f->tokenizer, "pre_tokenizer", "BertPreTokenizer", &part, status))
        return false;
    if (!json_file_string(model, "continuing_subword_prefix", &prefix, &found, status) ||
        !json_file_string(model, "unk_token", &unknown, &found, status) ||
        !json_file_int(model, "max_input_chars_per_word", 1, 1 << 20, &max_word, &found, status))
        return status_context(status, "model");
    f->options.max_word = (size_t)max_word;
    if (strcmp(prefix, "##") != 0)
        return refuse(status, "continuing_subword_prefix", prefix);
    if (strcmp(unknown, f->special[UNKNOWN]) != 0)
        return status_fail(status, STATUS_CONFIG,
                           "model: unk_token is not that of tokenizer_config.json");
    return true;
}

/* A special token is a string or an object with its "content". */
static void read_special_names(struct folder *f)
{
    for (size_t i = 0; i < N_SPECIAL; i++) {
        const json_t *value = json_object_get(f->config, special_keys[i]);
        const char *name =
            json_string_value(json_is_object(value) ? json_object_get(value, "content") : value);

        f->special[i] = name ? name : special_defaults[i];
    }
}

static bool check_class(const struct folder *f, struct status *status)
{
    static const char *const known[] = {"BertTokenizer",           "BertTokenizerFast",
                                        "DistilBertTokenizer",     "DistilBertTokenizerFast",
                                        "PreTrainedTokenizerFast", "TokenizersBackend"};
    const char *class = NULL;
    bool found;

    if (!json_file_string(f->config, "tokenizer_class", &class, &found, status))
        return false;
    if (!found)
        return true;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(class, known[i]) == 0)
            return true;
    }
    return refuse(status, "tokenizer_class", class);
}

static bool read_config_options(struct folder *f, struct status *status)
{
    struct wordpiece_options *o = &f->options;
    bool lowercase_found, found;

    if (!json_file_bool(f->config, "do_lower_case", &o->lowercase, &lowercase_found, status) ||
        !json_file_bool(f->config, "tokenize_chinese_chars", &o->chinese_chars, &found, status))
        return false;
    if (lowercase_found)
        o->strip_accents = o->lowercase;
    return json_file_bool(f->config, "strip_accents", &o->strip_accents, &found, status);
}

/* Everything but the pieces. */
static bool read_settings(struct folder *f, const char *folder, struct buf *path,
                          struct status *status)
{
    f->options = (struct wordpiece_options){true, true, true, true, 100};
    join(path, folder, "tokenizer_config.json");
    if (access(path->data, F_OK) == 0) {
        f->config = json_file_read(path->data, JSON_FILE_INTEGERS_AS_REALS, status);
        if (!f->config)
            return false;
    }
    read_special_names(f);
    if (f->config && !check_class(f, status))
        return status_context(status, "%s", path->data);
    join(path, folder, "tokenizer.json");
    if (access(path->data, F_OK) == 0) {
        f->tokenizer = json_file_read(path->data, JSON_FILE_EXACT, status);
        if (!f->tokenizer)
            return false;
        if (!read_model(f, status) || !read_normalizer(f, status) || !check_frame(f, status))
            return status_context(status, "%s", path->data);
    }
    join(path, folder, "tokenizer_config.json");
    return !f->config || read_config_options(f, status) || status_context(status, "%s", path->data);
}

/* An added token must be a piece of the vocabulary that is matched as it stands. */
static bool add_token(struct tokenizer *tokenizer, int64_t id, const json_t *token,
                      struct status *status)
{
    static const char *const flags[] = {"single_word", "lstrip", "rstrip"};
    const char *content = NULL;
    bool special = false, normalized = false, found;

    if (!json_file_string(token, "content", &content, NULL, status) ||
        !json_file_bool(token, "special", &special, &found, status) ||
        !json_file_bool(token, "normalized", &normalized, &found, status))
        return false;
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        bool flag = false;

        if (!json_file_bool(token, flags[i], &flag, &found, status))
            return false;
        if (flag)
            return status_fail(status, STATUS_CONFIG, "token %lld: '%s' is not known",
                               (long long)id, flags[i]);
    }
    if (normalized)
        return status_fail(status, STATUS_CONFIG, "token %lld: 'normalized' is not known",
                           (long long)id);
    if (vocab_find(&tokenizer->vocab, text_of(content)) != id)
        return status_fail(status, STATUS_CONFIG, "token %lld is not that of vocab.txt",
                           (long long)id);
    tokenizer->roles[id] = special ? TOKEN_ADDED | TOKEN_CONTROL : TOKEN_ADDED;
    return true;
}

/* tokenizer.json: [{"id", "content", ...}]. */
static bool add_from_tokenizer(struct tokenizer *tokenizer, const struct folder *f,
                               struct status *status)
{
    const json_t *tokens = json_object_get(f->tokenizer, "added_tokens");
    const json_t *token;
    size_t i;

    if (tokens && !json_is_array(tokens))
        return status_fail(status, STATUS_CONFIG, "added_tokens: must be an array");
    json_array_foreach(tokens, i, token)
    {
        int64_t id = 0;

        if (!json_is_object(token))
            return status_fail(status, STATUS_CONFIG, "added_tokens: must be objects");
        if (!json_file_int(token, "id", 0, INT32_MAX, &id, NULL, status) ||
            !add_token(tokenizer, id, token, status))
            return status_context(status, "added_tokens");
    }
    return true;
}

/* tokenizer_config.json: {"100": {"content", ...}}. */
static bool add_from_config(struct tokenizer *tokenizer, const json_t *tokens,
                            struct status *status)
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

static bool set_roles(struct tokenizer *tokenizer, const struct folder *f, struct status *status)
{
    const json_t *decoder = json_object_get(f->config, "added_tokens_decoder");

    for (size_t i = 0; i < N_SPECIAL; i++) {
        if (f->special_ids[i] >= 0)
            tokenizer->roles[f->special_ids[i]] = TOKEN_ADDED | TOKEN_CONTROL;
    }
    if (f->tokenizer)
        return add_from_tokenizer(tokenizer, f, status);
    return !json_is_object(decoder) || add_from_config(tokenizer, decoder, status);
}

/* One piece a line; the line is the id. */
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
    return ok;
}

static bool finish(struct tokenizer *tokenizer, struct folder *f, struct status *status)
{
    const char *chat_template = json_string_value(json_object_get(f->config, "chat_template"));

    for (size_t i = 0; i < N_SPECIAL; i++) {
        f->special_ids[i] = vocab_find(&tokenizer->vocab, text_of(f->special[i]));
        if (f->special_ids[i] < 0 && (i == UNKNOWN || i == BEGIN || i == END))
            return status_fail(status, STATUS_CONFIG, "no piece '%s': not the vocabulary of a BERT",
                               special_defaults[i]);
    }
    tokenizer->begin_id = f->special_ids[BEGIN];
    tokenizer->end_id = f->special_ids[END];
    if (chat_template)
        buf_append_string(&tokenizer->chat_template, chat_template);
    return set_roles(tokenizer, f, status) && tokenizer_index_added(tokenizer, status) &&
           wordpiece_init(&tokenizer->wordpiece, tokenizer->vocab.pieces, tokenizer->vocab.n,
                          f->special_ids[UNKNOWN], &f->options, status);
}

static struct tokenizer *open_wordpiece(struct folder *f, const char *vocab_path,
                                        struct status *status)
{
    struct tokenizer *tokenizer = tokenizer_new(TOKENIZER_WORDPIECE, "wordpiece");
    bool ok = read_vocab(tokenizer, vocab_path, status) && finish(tokenizer, f, status);

    if (ok)
        return tokenizer;
    tokenizer_close(tokenizer);
    status_prefix(status, "%s", vocab_path);
    foreign_file_explain(vocab_path, "a vocab.txt", status);
    return NULL;
}

/* There is no vocab.txt: say what there is. */
static void set_absent(const char *folder, struct buf *path, struct status *status)
{
    static const char *const others[] = {"tokenizer.json", "tokenizer.model", "vocab.json"};

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        join(path, folder, others[i]);
        if (access(path->data, F_OK) == 0) {
            status_set(status, STATUS_CONFIG,
                       "%s: a tokenizer that is not known; WordPiece in a vocab.txt is",
                       path->data);
            return;
        }
    }
    status_set(status, STATUS_NO_INPUT, "%s: no tokenizer in this folder", folder);
}

struct tokenizer *tokenizer_open_folder(const char *folder, struct status *status)
{
    struct folder f = {0};
    struct buf path = {0};
    struct tokenizer *tokenizer = NULL;

    join(&path, folder, "vocab.txt");
    if (access(path.data, F_OK) != 0) {
        set_absent(folder, &path, status);
    } else if (read_settings(&f, folder, &path, status)) {
        join(&path, folder, "vocab.txt");
        tokenizer = open_wordpiece(&f, path.data, status);
    }
    json_decref(f.config);
    json_decref(f.tokenizer);
    buf_release(&path);
    return tokenizer;
}

struct tokenizer *tokenizer_open_vocab_txt(const char *path, struct status *status)
{
    struct folder f = {.options = {true, true, true, true, 100}};
    struct tokenizer *tokenizer;

    read_special_names(&f);
    tokenizer = open_wordpiece(&f, path, status);
    if (!tokenizer && status->code == STATUS_CONFIG)
        status_prefix(status, "neither GGUF nor a vocab.txt");
    return tokenizer;
}
