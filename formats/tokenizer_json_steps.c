#include "formats/tokenizer_json_steps.h"

#include <stddef.h>
#include <string.h>

#include "base/memory.h"
#include "formats/json_file.h"
#include "formats/json_kind.h"

enum {
    MAX_STEPS = 64,
    MAX_OPTIONS = 6,
    MAX_STRIPPED = 1024, /* characters that a Strip decoder may take */
};

enum option_kind {
    OPTION_NONE,
    OPTION_BOOL,     /* must be there */
    OPTION_BOOL_MAY, /* may be absent or null */
    OPTION_TEXT,     /* must be there; may be empty */
    OPTION_CHARACTER,
    OPTION_COUNT,
    OPTION_PATTERN,
    OPTION_BEHAVIOR,
    OPTION_PREPEND,
    OPTION_ACCENTS,
    OPTION_LEGACY_PREFIX, /* Metaspace's add_prefix_space of old */
    OPTION_IGNORED,       /* concerns offsets, or says what another option says */
};

struct step_option {
    const char *key;
    enum option_kind kind;
    size_t offset; /* in struct tokenizer_json_step */
};

struct step_kind {
    const char *name;
    enum tokenizer_json_type type;
    struct step_option options[MAX_OPTIONS];
};

#define AT(member) offsetof(struct tokenizer_json_step, member)

#define METASPACE                                                                                  \
    {                                                                                              \
        "Metaspace", STEP_METASPACE,                                                               \
        {                                                                                          \
            {"replacement", OPTION_CHARACTER, AT(content)}, {"prepend_scheme", OPTION_PREPEND, 0}, \
                {"split", OPTION_BOOL_MAY, AT(split)},                                             \
                {"add_prefix_space", OPTION_LEGACY_PREFIX, 0}, {"str_rep", OPTION_IGNORED, 0},     \
        }                                                                                          \
    }

#define REPLACE                                                                                    \
    {                                                                                              \
        "Replace", STEP_REPLACE,                                                                   \
        {                                                                                          \
            {"pattern", OPTION_PATTERN, 0}, {"content", OPTION_TEXT, AT(content)},                 \
        }                                                                                          \
    }

static const struct step_kind normalizer_kinds[] = {
    {"NFC", STEP_NFC, {{0}}},
    {"NFD", STEP_NFD, {{0}}},
    {"NFKC", STEP_NFKC, {{0}}},
    {"NFKD", STEP_NFKD, {{0}}},
    {"Lowercase", STEP_LOWERCASE, {{0}}},
    {"StripAccents", STEP_STRIP_ACCENTS, {{0}}},
    {"Strip",
     STEP_STRIP,
     {{"strip_left", OPTION_BOOL, AT(strip_left)}, {"strip_right", OPTION_BOOL, AT(strip_right)}}},
    REPLACE,
    {"Prepend", STEP_PREPEND, {{"prepend", OPTION_TEXT, AT(content)}}},
    {"BertNormalizer",
     STEP_BERT_NORMALIZER,
     {{"clean_text", OPTION_BOOL, AT(clean_text)},
      {"handle_chinese_chars", OPTION_BOOL, AT(handle_chinese_chars)},
      {"strip_accents", OPTION_ACCENTS, 0},
      {"lowercase", OPTION_BOOL, AT(lowercase)}}},
    {0},
};

static const struct step_kind pre_tokenizer_kinds[] = {
    {"ByteLevel",
     STEP_BYTE_LEVEL,
     {{"add_prefix_space", OPTION_BOOL, AT(add_prefix_space)},
      {"use_regex", OPTION_BOOL_MAY, AT(use_regex)},
      {"trim_offsets", OPTION_IGNORED, 0}}},
    {"Split",
     STEP_SPLIT,
     {{"pattern", OPTION_PATTERN, 0},
      {"behavior", OPTION_BEHAVIOR, 0},
      {"invert", OPTION_BOOL, AT(invert)}}},
    {"Digits", STEP_DIGITS, {{"individual_digits", OPTION_BOOL, AT(individual_digits)}}},
    METASPACE,
    {"BertPreTokenizer", STEP_BERT_PRE_TOKENIZER, {{0}}},
    {0},
};

static const struct step_kind decoder_kinds[] = {
    {"ByteLevel",
     STEP_BYTE_LEVEL,
     {{"add_prefix_space", OPTION_IGNORED, 0},
      {"use_regex", OPTION_IGNORED, 0},
      {"trim_offsets", OPTION_IGNORED, 0}}},
    {"WordPiece",
     STEP_WORDPIECE,
     {{"prefix", OPTION_TEXT, AT(content)}, {"cleanup", OPTION_BOOL, AT(cleanup)}}},
    METASPACE,
    REPLACE,
    {"ByteFallback", STEP_BYTE_FALLBACK, {{0}}},
    {"Fuse", STEP_FUSE, {{0}}},
    {"Strip",
     STEP_STRIP_TOKENS,
     {{"content", OPTION_CHARACTER, AT(content)},
      {"start", OPTION_COUNT, AT(start)},
      {"stop", OPTION_COUNT, AT(stop)}}},
    {0},
};

static struct text text_value(const json_t *string)
{
    return (struct text){json_string_value(string), json_string_length(string)};
}

static bool need_text(const json_t *object, const char *key, struct text *text,
                      struct status *status)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_string(value))
        return status_fail(status, STATUS_CONFIG, "%s: must be a string, is %s", key,
                           value ? json_kind(value) : "missing");
    *text = text_value(value);
    return true;
}

/* One code point of UTF-8, which jansson has checked. */
static bool is_character(struct text text)
{
    size_t n = 0;

    for (size_t i = 0; i < text.len; i++)
        n += ((unsigned char)text.ptr[i] & 0xC0) != 0x80;
    return n == 1;
}

/* {"String": text} or {"Regex": text} */
static bool read_pattern(struct tokenizer_json_step *step, const json_t *value,
                         struct status *status)
{
    const json_t *text = json_object_get(value, "String");

    if (!text) {
        text = json_object_get(value, "Regex");
        step->is_regex = true;
    }
    if (!json_is_string(text) || json_object_size(value) != 1)
        return status_fail(status, STATUS_CONFIG,
                           "pattern: must be an object with one string, 'String' or 'Regex'");
    step->pattern = text_value(text);
    return step->pattern.len > 0 || status_fail(status, STATUS_CONFIG, "pattern: is empty");
}

/* The place of the string under the key among the names. */
static bool read_choice(const json_t *object, const char *key, const char *const *names, int n,
                        int *choice, struct status *status)
{
    struct text text;

    if (!need_text(object, key, &text, status))
        return false;
    for (*choice = 0; *choice < n; ++*choice) {
        if (text_is(text, names[*choice]))
            return true;
    }
    return status_fail(status, STATUS_CONFIG, "%s '%.40s' is not known", key, text.ptr);
}

static bool read_behavior(struct tokenizer_json_step *step, const json_t *object,
                          struct status *status)
{
    static const char *const names[] = {"Removed", "Isolated", "MergedWithPrevious",
                                        "MergedWithNext", "Contiguous"};
    int choice = 0;

    if (!read_choice(object, "behavior", names, 5, &choice, status))
        return false;
    step->behavior = (enum tokenizer_json_behavior)choice;
    return true;
}

static bool read_prepend(struct tokenizer_json_step *step, const json_t *object,
                         struct status *status)
{
    static const char *const names[] = {"always", "first", "never"};
    int choice = PREPEND_ALWAYS;

    if (json_object_get(object, "prepend_scheme") &&
        !read_choice(object, "prepend_scheme", names, 3, &choice, status))
        return false;
    step->prepend = (enum tokenizer_json_prepend)choice;
    return true;
}

/* The library takes false here only where prepend_scheme says "never", too. */
static bool check_legacy_prefix(const struct tokenizer_json_step *step, const json_t *object,
                                struct status *status)
{
    bool prefix = true, found;

    if (!json_file_bool(object, "add_prefix_space", &prefix, &found, status))
        return false;
    if (!prefix && step->prepend != PREPEND_NEVER)
        return status_fail(status, STATUS_CONFIG,
                           "add_prefix_space: false, but prepend_scheme is not 'never'");
    return true;
}

static bool read_text_option(const struct step_option *option, const json_t *object, void *place,
                             struct status *status)
{
    struct text *text = place;

    if (!need_text(object, option->key, text, status))
        return false;
    return option->kind == OPTION_TEXT || is_character(*text) ||
           status_fail(status, STATUS_CONFIG, "%s: must be one character", option->key);
}

static bool read_count(const struct step_option *option, const json_t *object, int32_t *count,
                       struct status *status)
{
    int64_t value = 0;

    if (!json_file_int(object, option->key, 0, MAX_STRIPPED, &value, NULL, status))
        return false;
    *count = (int32_t)value;
    return true;
}

static bool read_option(struct tokenizer_json_step *step, const struct step_option *option,
                        const json_t *object, struct status *status)
{
    void *place = (char *)step + option->offset;
    bool found;

    switch (option->kind) {
    case OPTION_BOOL:
        return json_file_bool(object, option->key, place, NULL, status);
    case OPTION_BOOL_MAY:
        *(bool *)place = true;
        return json_file_bool(object, option->key, place, &found, status);
    case OPTION_TEXT:
    case OPTION_CHARACTER:
        return read_text_option(option, object, place, status);
    case OPTION_COUNT:
        return read_count(option, object, place, status);
    case OPTION_PATTERN:
        return read_pattern(step, json_object_get(object, option->key), status);
    case OPTION_BEHAVIOR:
        return read_behavior(step, object, status);
    case OPTION_PREPEND:
        return read_prepend(step, object, status);
    case OPTION_ACCENTS:
        return json_file_bool(object, option->key, &step->strip_accents, &step->strip_accents_given,
                              status);
    case OPTION_LEGACY_PREFIX:
        return check_legacy_prefix(step, object, status);
    case OPTION_IGNORED:
    case OPTION_NONE:
        break;
    }
    return true;
}

bool tokenizer_json_members(const json_t *object, const char *const *known, struct status *status)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)object, key, value)
    {
        size_t i = 0;

        while (known[i] && strcmp(known[i], key) != 0)
            i++;
        if (!known[i])
            return status_fail(status, STATUS_CONFIG, "option '%.40s' is not known", key);
    }
    return true;
}

static bool read_options(struct tokenizer_json_step *step, const struct step_kind *kind,
                         const json_t *object, struct status *status)
{
    const char *known[MAX_OPTIONS + 2] = {"type"};

    for (size_t i = 0; i < MAX_OPTIONS && kind->options[i].key; i++)
        known[i + 1] = kind->options[i].key;
    if (!tokenizer_json_members(object, known, status))
        return false;
    for (size_t i = 0; i < MAX_OPTIONS && kind->options[i].key; i++) {
        if (!read_option(step, &kind->options[i], object, status))
            return false;
    }
    if (!step->strip_accents_given)
        step->strip_accents = step->lowercase;
    return true;
}

static bool add_step(struct tokenizer_json_steps *steps, const struct step_kind *kinds,
                     const char *type, const json_t *object, struct status *status)
{
    const struct step_kind *kind = kinds;
    struct tokenizer_json_step *step;

    while (kind->name && strcmp(kind->name, type) != 0)
        kind++;
    if (!kind->name)
        return status_fail(status, STATUS_CONFIG, "'%.40s' is not known", type);
    if (steps->n == MAX_STEPS)
        return status_fail(status, STATUS_CONFIG, "more than %d steps", MAX_STEPS);
    steps->steps = memory_resize(steps->steps, steps->n + 1, sizeof(*steps->steps));
    step = &steps->steps[steps->n++];
    *step = (struct tokenizer_json_step){.type = kind->type};
    return read_options(step, kind, object, status) || status_context(status, "%s", kind->name);
}

/* Depth is bounded by the parser of the file. */
static bool read_steps(struct tokenizer_json_steps *steps, const struct step_kind *kinds,
                       const char *sequence_key, const json_t *value, struct status *status)
{
    const char *type = NULL;
    const json_t *items, *item;
    size_t i;

    if (!json_is_object(value))
        return status_fail(status, STATUS_CONFIG, "must be an object or null, is %s",
                           json_kind(value));
    if (!json_file_string(value, "type", &type, NULL, status))
        return false;
    if (strcmp(type, "Sequence") != 0)
        return add_step(steps, kinds, type, value, status);
    items = json_object_get(value, sequence_key);
    if (!json_is_array(items) || json_object_size(value) != 2)
        return status_fail(status, STATUS_CONFIG, "Sequence: must have a list '%s'", sequence_key);
    json_array_foreach(items, i, item)
    {
        if (!read_steps(steps, kinds, sequence_key, item, status))
            return false;
    }
    return true;
}

static bool read_member(struct tokenizer_json_steps *steps, const struct step_kind *kinds,
                        const char *member, const char *sequence_key, const json_t *value,
                        struct status *status)
{
    return !value || json_is_null(value) || read_steps(steps, kinds, sequence_key, value, status) ||
           status_context(status, "%s", member);
}

bool tokenizer_json_normalizers(struct tokenizer_json_steps *steps, const json_t *value,
                                struct status *status)
{
    return read_member(steps, normalizer_kinds, "normalizer", "normalizers", value, status);
}

bool tokenizer_json_pre_tokenizers(struct tokenizer_json_steps *steps, const json_t *value,
                                   struct status *status)
{
    return read_member(steps, pre_tokenizer_kinds, "pre_tokenizer", "pretokenizers", value, status);
}

bool tokenizer_json_decoders(struct tokenizer_json_steps *steps, const json_t *value,
                             struct status *status)
{
    return read_member(steps, decoder_kinds, "decoder", "decoders", value, status);
}
