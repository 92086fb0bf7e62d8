/* The post_processor of a tokenizer.json: what stands round a text and round a pair. */
#include <string.h>

#include "base/memory.h"
#include "formats/json_file.h"
#include "formats/json_kind.h"
#include "formats/tokenizer_json_steps.h"

enum { MAX_ITEMS = 1024 };

static bool add_item(struct tokenizer_json_frame *frame, int32_t id, int32_t type,
                     struct status *status)
{
    if (frame->n == MAX_ITEMS)
        return status_fail(status, STATUS_CONFIG, "more than %d items", MAX_ITEMS);
    frame->items = memory_resize(frame->items, frame->n + 1, sizeof(*frame->items));
    frame->items[frame->n++] = (struct tokenizer_json_item){id, type};
    return true;
}

static bool is_id(const struct tokenizer_json *json, const json_t *value)
{
    return json_is_integer(value) && json_integer_value(value) >= 0 &&
           (size_t)json_integer_value(value) < json->n_pieces;
}

/* The ids that a name of a template stands for. */
static bool add_special(const struct tokenizer_json *json, struct tokenizer_json_frame *frame,
                        const json_t *specials, const char *name, int32_t type,
                        struct status *status)
{
    const json_t *ids = json_object_get(json_object_get(specials, name), "ids"), *id;
    size_t i;

    if (!json_is_array(ids))
        return status_fail(status, STATUS_CONFIG, "special_tokens: no ids for '%.40s'", name);
    json_array_foreach(ids, i, id)
    {
        if (!is_id(json, id))
            return status_fail(status, STATUS_CONFIG,
                               "special_tokens: '%.40s' has an id without a token", name);
        if (!add_item(frame, (int32_t)json_integer_value(id), type, status))
            return false;
    }
    return true;
}

static bool add_template_item(const struct tokenizer_json *json, struct tokenizer_json_frame *frame,
                              const json_t *specials, const json_t *item, struct status *status)
{
    const json_t *sequence = json_object_get(item, "Sequence");
    const json_t *special = json_object_get(item, "SpecialToken");
    const json_t *part = sequence ? sequence : special;
    const char *id = NULL;
    int64_t type = 0;

    if (json_object_size(item) != 1 || !json_is_object(part))
        return status_fail(status, STATUS_CONFIG, "an item must be a Sequence or a SpecialToken");
    if (!json_file_string(part, "id", &id, NULL, status) ||
        !json_file_int(part, "type_id", 0, INT32_MAX, &type, NULL, status))
        return false;
    if (special)
        return add_special(json, frame, specials, id, (int32_t)type, status);
    if (strcmp(id, "A") != 0 && strcmp(id, "B") != 0)
        return status_fail(status, STATUS_CONFIG, "Sequence '%.40s' is not known", id);
    return add_item(frame, *id == 'A' ? TOKENIZER_JSON_A : TOKENIZER_JSON_B, (int32_t)type, status);
}

static size_t count(const struct tokenizer_json_frame *frame, int32_t id)
{
    size_t n = 0;

    for (size_t i = 0; i < frame->n; i++)
        n += frame->items[i].id == id;
    return n;
}

static bool read_frame(const struct tokenizer_json *json, struct tokenizer_json_frame *frame,
                       const json_t *processor, const char *key, size_t n_b, struct status *status)
{
    const json_t *items = json_object_get(processor, key), *item;
    size_t i;

    if (!json_is_array(items))
        return status_fail(status, STATUS_CONFIG, "%s: must be a list", key);
    json_array_foreach(items, i, item)
    {
        if (!add_template_item(json, frame, json_object_get(processor, "special_tokens"), item,
                               status))
            return status_context(status, "%s", key);
    }
    if (count(frame, TOKENIZER_JSON_A) != 1 || count(frame, TOKENIZER_JSON_B) != n_b)
        return status_fail(status, STATUS_CONFIG, "%s: must have %s once", key,
                           n_b ? "A and B" : "A and no B");
    return true;
}

static bool read_template(struct tokenizer_json *json, const json_t *value, struct status *status)
{
    static const char *const known[] = {"type", "single", "pair", "special_tokens", NULL};

    return tokenizer_json_members(value, known, status) &&
           read_frame(json, &json->single, value, "single", 0, status) &&
           read_frame(json, &json->pair, value, "pair", 1, status);
}

/* ["[SEP]", 102] */
static bool read_end(const struct tokenizer_json *json, const json_t *value, const char *key,
                     int32_t *id, struct status *status)
{
    const json_t *end = json_object_get(value, key);

    if (json_array_size(end) != 2 || !is_id(json, json_array_get(end, 1)))
        return status_fail(status, STATUS_CONFIG, "%s: must be a token and its id", key);
    *id = (int32_t)json_integer_value(json_array_get(end, 1));
    return true;
}

/* BERT: cls A sep, cls A sep B sep. RoBERTa: cls A sep, cls A sep sep B sep, and one type. */
static bool read_ends(struct tokenizer_json *json, const json_t *value, bool roberta,
                      struct status *status)
{
    static const char *const known[] = {"type", "sep", "cls", NULL};
    static const char *const known_roberta[] = {
        "type", "sep", "cls", "trim_offsets", "add_prefix_space", NULL};
    const int32_t second = roberta ? 0 : 1;
    struct tokenizer_json_frame *single = &json->single, *pair = &json->pair;
    int32_t cls = 0, sep = 0;

    return tokenizer_json_members(value, roberta ? known_roberta : known, status) &&
           read_end(json, value, "cls", &cls, status) &&
           read_end(json, value, "sep", &sep, status) && add_item(single, cls, 0, status) &&
           add_item(single, TOKENIZER_JSON_A, 0, status) && add_item(single, sep, 0, status) &&
           add_item(pair, cls, 0, status) && add_item(pair, TOKENIZER_JSON_A, 0, status) &&
           add_item(pair, sep, 0, status) && (!roberta || add_item(pair, sep, 0, status)) &&
           add_item(pair, TOKENIZER_JSON_B, second, status) && add_item(pair, sep, second, status);
}

static bool read_processors(struct tokenizer_json *json, const json_t *list, struct status *status);

static bool read_processor(struct tokenizer_json *json, const json_t *value, struct status *status)
{
    const char *type = NULL;

    if (!json_is_object(value))
        return status_fail(status, STATUS_CONFIG, "must be an object or null, is %s",
                           json_kind(value));
    if (!json_file_string(value, "type", &type, NULL, status))
        return false;
    if (strcmp(type, "ByteLevel") == 0) /* trims offsets, and nothing else */
        return true;
    if (strcmp(type, "Sequence") == 0)
        return read_processors(json, json_object_get(value, "processors"), status);
    if (json->single.n > 0)
        return status_fail(status, STATUS_CONFIG, "'%.40s' after another is not known", type);
    if (strcmp(type, "TemplateProcessing") == 0)
        return read_template(json, value, status) || status_context(status, "%s", type);
    if (strcmp(type, "BertProcessing") == 0 || strcmp(type, "RobertaProcessing") == 0)
        return read_ends(json, value, *type == 'R', status) || status_context(status, "%s", type);
    return status_fail(status, STATUS_CONFIG, "'%.40s' is not known", type);
}

static bool read_processors(struct tokenizer_json *json, const json_t *list, struct status *status)
{
    const json_t *item;
    size_t i;

    if (!json_is_array(list))
        return status_fail(status, STATUS_CONFIG, "Sequence: must have a list 'processors'");
    json_array_foreach(list, i, item)
    {
        if (!read_processor(json, item, status))
            return false;
    }
    return true;
}

bool tokenizer_json_frames(struct tokenizer_json *json, const json_t *value, struct status *status)
{
    if (value && !json_is_null(value) && !read_processor(json, value, status))
        return status_context(status, "post_processor");
    return json->single.n > 0 || add_item(&json->single, TOKENIZER_JSON_A, 0, status);
}
