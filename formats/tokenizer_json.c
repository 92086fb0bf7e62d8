#include "formats/tokenizer_json.h"

#include <stdlib.h>
#include <string.h>

#include "base/mapped_file.h"
#include "base/memory.h"
#include "formats/json_file.h"
#include "formats/json_kind.h"
#include "formats/tokenizer_json_steps.h"

static struct text text_value(const json_t *string)
{
    return (struct text){json_string_value(string), json_string_length(string)};
}

/* {piece: id}: every id from 0 to one less than their number has one piece. */
static bool read_vocab(struct tokenizer_json *json, const json_t *vocab, struct status *status)
{
    const size_t n = json_object_size(vocab);
    const char *key;
    json_t *value;

    if (n == 0)
        return status_fail(status, STATUS_CONFIG, "vocab: must be an object of tokens and ids");
    json->pieces = memory_zeroed(n, sizeof(*json->pieces));
    json_object_foreach((json_t *)vocab, key, value)
    {
        const json_int_t id = json_is_integer(value) ? json_integer_value(value) : -1;

        if (id < 0 || (uint64_t)id >= n)
            return status_fail(
                status, STATUS_CONFIG,
                "vocab: an id is not an integer from 0 to %zu, as %zu tokens have it", n - 1, n);
        if (json->pieces[id].ptr)
            return status_fail(status, STATUS_CONFIG, "vocab: two tokens have the id %lld",
                               (long long)id);
        json->pieces[id] = text_of(key);
    }
    json->n_pieces = n;
    json->n_model = n;
    return true;
}

/* "left right" */
static bool split_merge(struct tokenizer_json_merge *merge, struct text text)
{
    const char *space = memchr(text.ptr, ' ', text.len);

    if (!space)
        return false;
    merge->left = (struct text){text.ptr, (size_t)(space - text.ptr)};
    merge->right = (struct text){space + 1, text.len - merge->left.len - 1};
    return !memchr(merge->right.ptr, ' ', merge->right.len);
}

static bool read_merge(struct tokenizer_json_merge *merge, const json_t *value)
{
    const json_t *left = json_array_get(value, 0), *right = json_array_get(value, 1);

    if (json_is_string(value)) {
        if (!split_merge(merge, text_value(value)))
            return false;
    } else {
        if (json_array_size(value) != 2 || !json_is_string(left) || !json_is_string(right))
            return false;
        *merge = (struct tokenizer_json_merge){text_value(left), text_value(right)};
    }
    return merge->left.len > 0 && merge->right.len > 0;
}

static bool read_merges(struct tokenizer_json *json, const json_t *merges, struct status *status)
{
    const json_t *value;
    size_t i;

    if (!json_is_array(merges))
        return status_fail(status, STATUS_CONFIG, "merges: must be a list");
    json->n_merges = json_array_size(merges);
    json->merges = memory_zeroed(json->n_merges + 1, sizeof(*json->merges));
    json_array_foreach(merges, i, value)
    {
        if (!read_merge(&json->merges[i], value))
            return status_fail(status, STATUS_CONFIG,
                               "merges: %zu is neither 'left right' nor a list of two", i);
    }
    return true;
}

static bool read_unknown(struct tokenizer_json *json, const json_t *model, struct status *status)
{
    const char *token = NULL;
    const json_t *id;
    bool found;

    json->unknown_id = -1;
    if (!json_file_string(model, "unk_token", &token, &found, status))
        return false;
    if (!found)
        return true;
    id = json_object_get(json_object_get(model, "vocab"), token);
    if (!id)
        return status_fail(status, STATUS_CONFIG, "unk_token: not in the vocabulary");
    json->unknown_id = (int32_t)json_integer_value(id);
    return true;
}

/* These change every word where they are set; only empty ones are known. */
static bool check_affix(const json_t *model, const char *key, struct status *status)
{
    const char *affix = "";
    bool found;

    if (!json_file_string(model, key, &affix, &found, status))
        return false;
    return *affix == '\0' ||
           status_fail(status, STATUS_CONFIG, "%s '%.40s' is not known with BPE", key, affix);
}

static bool read_bpe(struct tokenizer_json *json, const json_t *model, struct status *status)
{
    static const char *const known[] = {"type",
                                        "dropout",
                                        "unk_token",
                                        "continuing_subword_prefix",
                                        "end_of_word_suffix",
                                        "fuse_unk",
                                        "byte_fallback",
                                        "ignore_merges",
                                        "vocab",
                                        "merges",
                                        NULL};
    double dropout = 0;
    bool found;

    json->model = TOKENIZER_JSON_BPE;
    if (!tokenizer_json_members(model, known, status) ||
        !json_file_number(model, "dropout", 0, 1, &dropout, &found, status))
        return false;
    if (dropout > 0)
        return status_fail(status, STATUS_CONFIG, "dropout: drawn merges are not known");
    return check_affix(model, "continuing_subword_prefix", status) &&
           check_affix(model, "end_of_word_suffix", status) &&
           json_file_bool(model, "fuse_unk", &json->fuse_unk, &found, status) &&
           json_file_bool(model, "byte_fallback", &json->byte_fallback, &found, status) &&
           json_file_bool(model, "ignore_merges", &json->ignore_merges, &found, status) &&
           read_vocab(json, json_object_get(model, "vocab"), status) &&
           read_merges(json, json_object_get(model, "merges"), status) &&
           read_unknown(json, model, status);
}

static bool read_wordpiece(struct tokenizer_json *json, const json_t *model, struct status *status)
{
    static const char *const known[] = {
        "type",  "unk_token", "continuing_subword_prefix", "max_input_chars_per_word",
        "vocab", NULL};
    const char *prefix = "##";
    int64_t max_word = 100;
    bool found;

    json->model = TOKENIZER_JSON_WORDPIECE;
    if (!tokenizer_json_members(model, known, status) ||
        !json_file_string(model, "continuing_subword_prefix", &prefix, &found, status) ||
        !json_file_int(model, "max_input_chars_per_word", 1, 1 << 20, &max_word, &found, status) ||
        !read_vocab(json, json_object_get(model, "vocab"), status) ||
        !read_unknown(json, model, status))
        return false;
    json->prefix = text_of(prefix);
    json->max_word = (size_t)max_word;
    return json->unknown_id >= 0 || status_fail(status, STATUS_CONFIG, "unk_token: missing");
}

/* Files of old name no type; the library then tries one after the other. */
static bool read_model(struct tokenizer_json *json, const json_t *model, struct status *status)
{
    const char *type = "";
    bool found;

    if (!json_is_object(model))
        return status_fail(status, STATUS_CONFIG, "must be an object");
    if (!json_file_string(model, "type", &type, &found, status))
        return false;
    if (!found && json_object_get(model, "merges"))
        type = "BPE";
    else if (!found && json_object_get(model, "max_input_chars_per_word"))
        type = "WordPiece";
    if (strcmp(type, "BPE") == 0)
        return read_bpe(json, model, status);
    if (strcmp(type, "WordPiece") == 0)
        return read_wordpiece(json, model, status);
    return status_fail(status, STATUS_CONFIG, "type '%.40s' is not known; BPE and WordPiece are",
                       type);
}

static bool read_token(struct tokenizer_json_token *token, const json_t *value,
                       struct status *status)
{
    static const char *const known[] = {"id",     "content",    "single_word", "lstrip",
                                        "rstrip", "normalized", "special",     NULL};
    const char *content = NULL;
    int64_t id = 0;

    if (!json_is_object(value))
        return status_fail(status, STATUS_CONFIG, "must be an object, is %s", json_kind(value));
    if (!tokenizer_json_members(value, known, status) ||
        !json_file_int(value, "id", 0, INT32_MAX - 1, &id, NULL, status) ||
        !json_file_string(value, "content", &content, NULL, status) ||
        !json_file_bool(value, "single_word", &token->single_word, NULL, status) ||
        !json_file_bool(value, "lstrip", &token->lstrip, NULL, status) ||
        !json_file_bool(value, "rstrip", &token->rstrip, NULL, status) ||
        !json_file_bool(value, "normalized", &token->normalized, NULL, status) ||
        !json_file_bool(value, "special", &token->special, NULL, status))
        return false;
    token->content = text_of(content);
    token->id = (int32_t)id;
    return token->content.len > 0 || status_fail(status, STATUS_CONFIG, "content: is empty");
}

/* The library finds an added token's id itself: the model's, else the next one free. A file that
 * says otherwise would be read with other ids than it names. */
static bool place_token(struct tokenizer_json *json, const struct tokenizer_json_token *token,
                        const json_t *vocab, const json_t *seen, struct status *status)
{
    const json_t *id = json_object_get(vocab, token->content.ptr);
    const size_t expected = id ? (size_t)json_integer_value(id) : json->n_pieces;

    if (json_object_get(seen, token->content.ptr))
        return status_fail(status, STATUS_CONFIG, "content: is there twice");
    if ((size_t)token->id != expected)
        return status_fail(status, STATUS_CONFIG, "id: is %d, must be %zu", (int)token->id,
                           expected);
    if (!id)
        json->pieces[json->n_pieces++] = token->content;
    return true;
}

static bool read_added(struct tokenizer_json *json, const json_t *added, const json_t *vocab,
                       struct status *status)
{
    const size_t n = json_array_size(added);
    json_t *seen = json_object(); /* the contents */
    const json_t *value;
    bool ok = true;
    size_t i;

    json->added = memory_zeroed(n + 1, sizeof(*json->added));
    json->pieces = memory_resize(json->pieces, json->n_model + n, sizeof(*json->pieces));
    json_array_foreach(added, i, value)
    {
        ok = read_token(&json->added[i], value, status) &&
             place_token(json, &json->added[i], vocab, seen, status);
        if (!ok) {
            status_prefix(status, "%zu", i);
            break;
        }
        json_object_set_new(seen, json->added[i].content.ptr, json_true());
        json->n_added++;
    }
    json_decref(seen);
    return ok || status_context(status, "added_tokens");
}

static bool read_all(struct tokenizer_json *json, struct status *status)
{
    static const char *const known[] = {
        "version",       "truncation",     "padding", "added_tokens", "normalizer",
        "pre_tokenizer", "post_processor", "decoder", "model",        NULL};
    const json_t *root = json->root, *model = json_object_get(root, "model");
    const json_t *added = json_object_get(root, "added_tokens");
    const char *version = NULL;

    if (!json_is_object(root))
        return status_fail(status, STATUS_CONFIG, "must be an object");
    if (!tokenizer_json_members(root, known, status) ||
        !json_file_string(root, "version", &version, NULL, status))
        return false;
    if (strcmp(version, "1.0") != 0)
        return status_fail(status, STATUS_CONFIG, "version '%.40s' is not known; 1.0 is", version);
    if (added && !json_is_array(added))
        return status_fail(status, STATUS_CONFIG, "added_tokens: must be a list, is %s",
                           json_kind(added));
    return (read_model(json, model, status) || status_context(status, "model")) &&
           read_added(json, added, json_object_get(model, "vocab"), status) &&
           tokenizer_json_normalizers(&json->normalizers, json_object_get(root, "normalizer"),
                                      status) &&
           tokenizer_json_pre_tokenizers(&json->pre_tokenizers,
                                         json_object_get(root, "pre_tokenizer"), status) &&
           tokenizer_json_decoders(&json->decoders, json_object_get(root, "decoder"), status) &&
           tokenizer_json_frames(json, json_object_get(root, "post_processor"), status);
}

bool tokenizer_json_parse(struct tokenizer_json *json, struct text bytes, struct status *status)
{
    *json = (struct tokenizer_json){.root = json_file_parse(bytes, JSON_FILE_LARGE, status)};
    if (!json->root)
        return false;
    if (read_all(json, status))
        return true;
    tokenizer_json_release(json);
    return false;
}

bool tokenizer_json_read(struct tokenizer_json *json, const char *path, struct status *status)
{
    struct mapped_file map;
    bool ok;

    *json = (struct tokenizer_json){0};
    if (!mapped_file_open(&map, path, status))
        return false;
    ok = tokenizer_json_parse(json, (struct text){(const char *)map.data, map.size}, status);
    mapped_file_close(&map);
    return ok || status_context(status, "%s", path);
}

void tokenizer_json_release(struct tokenizer_json *json)
{
    free(json->added);
    free(json->normalizers.steps);
    free(json->pre_tokenizers.steps);
    free(json->decoders.steps);
    free(json->single.items);
    free(json->pair.items);
    free(json->pieces);
    free(json->merges);
    json_decref(json->root);
    *json = (struct tokenizer_json){0};
}
