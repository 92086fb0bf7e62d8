/* From the steps of a tokenizer.json to the parts of a tokenizer. Steps that do not fit together,
 * or stand where we do not have them, are refused by their names. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "text/tokenizer_parts.h"

static const char *step_name(enum tokenizer_json_type type)
{
    static const char *const names[] = {
        [STEP_NFC] = "NFC",
        [STEP_NFD] = "NFD",
        [STEP_NFKC] = "NFKC",
        [STEP_NFKD] = "NFKD",
        [STEP_LOWERCASE] = "Lowercase",
        [STEP_STRIP_ACCENTS] = "StripAccents",
        [STEP_STRIP] = "Strip",
        [STEP_REPLACE] = "Replace",
        [STEP_PREPEND] = "Prepend",
        [STEP_BERT_NORMALIZER] = "BertNormalizer",
        [STEP_BYTE_LEVEL] = "ByteLevel",
        [STEP_SPLIT] = "Split",
        [STEP_DIGITS] = "Digits",
        [STEP_METASPACE] = "Metaspace",
        [STEP_BERT_PRE_TOKENIZER] = "BertPreTokenizer",
        [STEP_WORDPIECE] = "WordPiece",
        [STEP_BYTE_FALLBACK] = "ByteFallback",
        [STEP_FUSE] = "Fuse",
        [STEP_STRIP_TOKENS] = "Strip",
    };

    return names[type];
}

/* There must be this one step and no other. */
static bool check_only(const struct tokenizer_json_steps *steps, enum tokenizer_json_type type,
                       const char *member, const char *model, struct status *status)
{
    for (size_t i = 0; i < steps->n; i++) {
        if (steps->steps[i].type != type || i > 0)
            return status_fail(status, STATUS_CONFIG, "%s: '%s' is not known with %s", member,
                               step_name(steps->steps[i].type), model);
    }
    return steps->n == 1 ||
           status_fail(status, STATUS_CONFIG, "%s: null is not known with %s", member, model);
}

/* A folder of BERT's class has its options in tokenizer_config.json, where transformers looks: what
 * is not given there is BERT's own, whatever the file says. */
static void apply_bert_options(struct tokenizer_json_step *step,
                               const struct tokenizer_config *config)
{
    if (step->type != STEP_BERT_NORMALIZER || !tokenizer_config_is_bert(config))
        return;
    step->clean_text = true;
    step->lowercase = !config->do_lower_case.found || config->do_lower_case.value;
    step->handle_chinese_chars =
        !config->tokenize_chinese_chars.found || config->tokenize_chinese_chars.value;
    step->strip_accents =
        config->strip_accents.found ? config->strip_accents.value : step->lowercase;
}

static bool add_normalizers(struct tokenizer *t, const struct tokenizer_json *json,
                            const struct tokenizer_config *config, struct status *status)
{
    if (t->kind == TOKENIZER_METASPACE && tokenizer_is_llama_normalizer(json))
        return true;
    for (size_t i = 0; i < json->normalizers.n; i++) {
        struct tokenizer_json_step step = json->normalizers.steps[i];

        apply_bert_options(&step, config);
        if (!normalizer_add(&t->normalizer, &step, status))
            return status_context(status, "normalizer: %s", step_name(step.type));
    }
    return true;
}

/* ByteLevel comes last: what it makes is bytes, no text. */
static bool add_pre_tokenizers(struct tokenizer *t, const struct tokenizer_json *json,
                               const struct tokenizer_config *config, struct status *status)
{
    const struct tokenizer_json_steps *steps = &json->pre_tokenizers;

    for (size_t i = 0; i < steps->n; i++) {
        struct tokenizer_json_step step = steps->steps[i];

        if (step.type != STEP_SPLIT && step.type != STEP_DIGITS && step.type != STEP_BYTE_LEVEL)
            return status_fail(status, STATUS_CONFIG,
                               "pre_tokenizer: '%s' is not known with byte-level BPE",
                               step_name(step.type));
        if (step.type == STEP_BYTE_LEVEL && i + 1 < steps->n)
            return status_fail(status, STATUS_CONFIG,
                               "pre_tokenizer: '%s' after ByteLevel is not known",
                               step_name(steps->steps[i + 1].type));
        if (step.type == STEP_BYTE_LEVEL &&
            (tokenizer_config_is_gpt2(config) || tokenizer_config_is_roberta(config)))
            step.add_prefix_space = config->add_prefix_space.value;
        if (!splitter_add(&t->splitter, &step, status))
            return status_context(status, "pre_tokenizer: %s", step_name(step.type));
    }
    return true;
}

/* The library decodes a token that is looked for in the normalised text to what it looked for. */
static void set_spellings(struct tokenizer *t, const struct added_token *tokens,
                          const struct buf *contents, size_t n)
{
    size_t size = 1;

    t->spellings = memory_zeroed(t->vocab.n, sizeof(*t->spellings));
    memcpy(t->spellings, t->vocab.pieces, t->vocab.n * sizeof(*t->spellings));
    for (size_t i = 0; i < n; i++)
        size += contents[i].len;
    buf_reserve(&t->spelled, size); /* from here on its bytes do not move */
    for (size_t i = 0; i < n; i++) {
        t->spellings[tokens[i].id] =
            (struct text){t->spelled.data + t->spelled.len, contents[i].len};
        buf_append_text(&t->spelled, buf_text(&contents[i]));
    }
}

/* Those that are looked for in the text as it came, or in the normalised text: special ones first,
 * as the library orders them. */
static bool index_added(struct tokenizer *t, const struct tokenizer_json *json, bool normalized,
                        const struct added_token *extra, size_t n_extra, struct status *status)
{
    struct added_token *tokens = memory_zeroed(json->n_added + n_extra + 1, sizeof(*tokens));
    struct buf *contents = memory_zeroed(json->n_added + 1, sizeof(*contents));
    struct normalizer_scratch scratch = {0};
    size_t n = 0;
    bool ok = true;

    for (size_t i = 0; ok && i < 2 * json->n_added; i++) {
        const struct tokenizer_json_token *from = &json->added[i % json->n_added];
        struct text content = from->content;

        if (from->normalized != normalized || from->special != (i < json->n_added))
            continue;
        if (normalized)
            ok = normalizer_run(&t->normalizer, &scratch, &content, status);
        if (ok && content.len == 0)
            ok = status_fail(status, STATUS_CONFIG, "token %d is empty when normalised",
                             (int)from->id);
        if (!ok)
            break;
        buf_append_text(&contents[n], content);
        tokens[n] = (struct added_token){buf_text(&contents[n]), from->id,
                                         (from->single_word ? ADDED_SINGLE_WORD : 0u) |
                                             (from->lstrip ? ADDED_LSTRIP : 0u) |
                                             (from->rstrip ? ADDED_RSTRIP : 0u)};
        n++;
    }
    memcpy(tokens + n, extra, n_extra * sizeof(*tokens));
    ok = ok &&
         added_tokens_init(normalized ? &t->normalized : &t->added, tokens, n + n_extra, status);
    if (ok && normalized && n > 0)
        set_spellings(t, tokens, contents, n);
    for (size_t i = 0; i < n; i++)
        buf_release(&contents[i]);
    free(contents);
    free(tokens);
    normalizer_scratch_release(&scratch);
    return ok || status_context(status, "added_tokens");
}

/* transformers makes special what tokenizer_config.json names so. What is a piece of the vocabulary
 * and no added token goes to extra; what is neither would get an id that no model has. */
static bool add_specials(struct tokenizer *t, const struct tokenizer_config *config,
                         struct added_token extra[N_SPECIAL], size_t *n_extra,
                         struct status *status)
{
    *n_extra = 0;
    for (int i = 0; i < N_SPECIAL; i++) {
        const char *name = config->special[i];
        const int32_t id = name ? vocab_find(&t->vocab, text_of(name)) : -1;

        if (name && id < 0)
            return status_fail(status, STATUS_CONFIG,
                               "the token '%.40s' that tokenizer_config.json names is not there",
                               name);
        if (id < 0)
            continue;
        if (!(t->roles[id] & TOKEN_ADDED))
            extra[(*n_extra)++] = (struct added_token){t->vocab.pieces[id], id, 0};
        t->roles[id] |= TOKEN_ADDED | TOKEN_CONTROL;
    }
    return true;
}

static bool add_added(struct tokenizer *t, const struct tokenizer_json *json,
                      const struct tokenizer_config *config, struct status *status)
{
    struct added_token extra[N_SPECIAL];
    size_t n_extra;

    for (size_t i = 0; i < json->n_added; i++)
        t->roles[json->added[i].id] =
            json->added[i].special ? TOKEN_ADDED | TOKEN_CONTROL : TOKEN_ADDED;
    return add_specials(t, config, extra, &n_extra, status) &&
           index_added(t, json, false, extra, n_extra, status) &&
           index_added(t, json, true, extra, 0, status);
}

static void set_frame(struct token_frame *frame, const struct tokenizer_json_frame *from)
{
    token_frame_release(frame);
    for (size_t i = 0; i < from->n; i++) {
        const int32_t id = from->items[i].id;

        token_frame_add(frame,
                        id == TOKENIZER_JSON_A   ? TOKEN_FRAME_A
                        : id == TOKENIZER_JSON_B ? TOKEN_FRAME_B
                                                 : id,
                        from->items[i].type);
    }
}

/* transformers ignores add_bos_token and add_eos_token where there is a tokenizer.json: its own
 * post_processor counts. */
static void set_frames(struct tokenizer *t, const struct tokenizer_json *json)
{
    set_frame(&t->single, &json->single);
    set_frame(&t->pair, &json->pair);
}

/* What every model has. */
static bool add_common(struct tokenizer *t, const struct tokenizer_json *json,
                       const struct tokenizer_config *config, struct status *status)
{
    if (!tokenizer_set_vocab(t, json->pieces, json->n_pieces, status) ||
        !add_normalizers(t, json, config, status) || !add_added(t, json, config, status))
        return false;
    set_frames(t, json);
    buf_append_text(&t->chat_template, buf_text(&config->chat_template));
    return true;
}

static bool fill_wordpiece(struct tokenizer *t, const struct tokenizer_json *json,
                           struct status *status)
{
    static const char model[] = "WordPiece";

    if (!check_only(&json->pre_tokenizers, STEP_BERT_PRE_TOKENIZER, "pre_tokenizer", model,
                    status) ||
        !check_only(&json->decoders, STEP_WORDPIECE, "decoder", model, status))
        return false;
    if (!text_is(json->prefix, "##") || !text_is(json->decoders.steps[0].content, "##"))
        return status_fail(status, STATUS_CONFIG,
                           "model: a continuing_subword_prefix other than '##' is not known");
    t->cleanup = json->decoders.steps[0].cleanup;
    return wordpiece_init(&t->wordpiece, json->pieces, json->n_model, json->prefix,
                          json->unknown_id, json->max_word, status);
}

static bool fill_byte_level(struct tokenizer *t, const struct tokenizer_json *json,
                            const struct tokenizer_config *config, struct status *status)
{
    const struct byte_level_options options = {json->n_model, json->ignore_merges, json->unknown_id,
                                               json->fuse_unk, t->spellings};
    struct byte_level_merge *merges;
    bool ok;

    if (json->byte_fallback)
        return status_fail(status, STATUS_CONFIG,
                           "model: byte_fallback is not known with byte-level BPE");
    if (!check_only(&json->decoders, STEP_BYTE_LEVEL, "decoder", "byte-level BPE", status) ||
        !add_pre_tokenizers(t, json, config, status))
        return false;
    merges = memory_zeroed(json->n_merges + 1, sizeof(*merges));
    for (size_t i = 0; i < json->n_merges; i++)
        merges[i] = (struct byte_level_merge){json->merges[i].left, json->merges[i].right};
    ok = byte_level_init(&t->byte_level, &t->vocab, merges, json->n_merges, &options, status) ||
         status_context(status, "model");
    free(merges);
    return ok;
}

static bool is_byte_level(const struct tokenizer_json *json)
{
    for (size_t i = 0; i < json->pre_tokenizers.n; i++) {
        if (json->pre_tokenizers.steps[i].type == STEP_BYTE_LEVEL)
            return true;
    }
    return false;
}

static enum tokenizer_kind kind_of(const struct tokenizer_json *json)
{
    if (json->model == TOKENIZER_JSON_WORDPIECE)
        return TOKENIZER_WORDPIECE;
    return is_byte_level(json) ? TOKENIZER_BYTE_LEVEL : TOKENIZER_METASPACE;
}

static bool fill_model(struct tokenizer *t, const struct tokenizer_json *json,
                       const struct tokenizer_config *config, struct status *status)
{
    switch (t->kind) {
    case TOKENIZER_WORDPIECE:
        return fill_wordpiece(t, json, status);
    case TOKENIZER_BYTE_LEVEL:
        return fill_byte_level(t, json, config, status);
    case TOKENIZER_METASPACE:
        break;
    }
    return tokenizer_fill_metaspace(t, json, status);
}

struct tokenizer *tokenizer_from_json(const struct tokenizer_json *json,
                                      const struct tokenizer_config *config, const char *path,
                                      struct status *status)
{
    const struct tokenizer_config none = {0};
    static const char *const names[] = {[TOKENIZER_WORDPIECE] = "wordpiece",
                                        [TOKENIZER_BYTE_LEVEL] = "byte-level BPE",
                                        [TOKENIZER_METASPACE] = "metaspace BPE"};
    const enum tokenizer_kind kind = kind_of(json);
    struct tokenizer *t = tokenizer_new(kind, names[kind], path);

    if (!config)
        config = &none;
    if (add_common(t, json, config, status) && fill_model(t, json, config, status))
        return t;
    tokenizer_close(t);
    return NULL;
}

struct tokenizer *tokenizer_open_json(const char *path, const struct tokenizer_config *config,
                                      struct status *status)
{
    struct tokenizer *tokenizer;
    struct tokenizer_json json;

    if (!tokenizer_json_read(&json, path, status))
        return NULL;
    tokenizer = tokenizer_from_json(&json, config, path, status);
    tokenizer_json_release(&json);
    if (!tokenizer)
        status_prefix(status, "%s", path);
    return tokenizer;
}
