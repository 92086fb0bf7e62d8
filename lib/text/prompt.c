#include "text/prompt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#include "text/prompt_render.h"

/* One record's prompt from its recipe, while it is made. */
struct maker {
    const struct prompt_options *options;
    const struct recipe *recipe;
    const struct record *record;
    struct prompt_text *texts; /* [n_texts]: the prompt, or the contents of the messages */
    size_t n_texts;
    struct buf filled; /* the text at hand, or those of all messages */
    struct buf cut;    /* the whole of the member that may be shortened */
    struct tokens *tokens;
    struct status *status;
};

/* The control pieces of the vocabulary, looked for in the text of a recipe: who writes one means a
 * token, and would get letters. */
static bool check_part(const struct tokenizer *tokenizer, struct text text, struct status *status)
{
    const int n = tokenizer_vocab_size(tokenizer);

    for (int32_t id = 0; id < n; id++) {
        const struct text piece = tokenizer_piece(tokenizer, id);

        if (!tokenizer_is_control(tokenizer, id) || piece.len == 0)
            continue;
        for (size_t at = 0; at + piece.len <= text.len; at++) {
            if (memcmp(text.ptr + at, piece.ptr, piece.len) == 0)
                return status_fail(status, STATUS_CONFIG,
                                   "the prompt holds the control piece '%.*s' of this model: write "
                                   "it as 'messages'",
                                   (int)piece.len, piece.ptr);
        }
    }
    return true;
}

static bool check_prompt(const struct recipe *recipe, const struct tokenizer *tokenizer,
                         struct status *status)
{
    for (size_t i = 0; i < recipe->prompt.n_parts; i++) {
        const struct prompt_part *part = &recipe->prompt.parts[i];

        if (part->kind == PROMPT_PART_TEXT && !check_part(tokenizer, part->text, status))
            return status_context(status, "%s", recipe->name);
    }
    return true;
}

bool prompt_open(struct prompt_options *options, struct status *status)
{
    struct status why;

    options->has_chat_template = false;
    if (!options->tokenizer)
        return true;
    options->has_chat_template =
        chat_template_find(NULL, options->tokenizer, &options->chat_template, &why);
    if (options->recipe->n_messages > 0 && !options->has_chat_template)
        return status_fail(status, STATUS_CONFIG, "%s: the recipe has messages: %.400s",
                           options->recipe->name, why.message);
    return check_prompt(options->recipe, options->tokenizer, status);
}

static bool fail_too_long(const struct record *record, const char *member, size_t n, size_t limit,
                          const char *why, struct status *status)
{
    return record_fail(record, status, "too_long", member,
                       "the prompt has %zu tokens, at most %zu fit%s", n, limit, why);
}

/* -- the record's own tokens, messages or prompt -- */

/* What the record's own prompt may have. Asked for and it may be cut to that. */
static size_t own_limit(const struct prompt_options *options)
{
    const size_t asked = options->max_length;

    return asked > 0 && asked < options->context ? asked : options->context;
}

/* Is it short enough, or may it be made so? */
static bool check_own_length(const struct prompt_options *options, const struct record *record,
                             const char *member, size_t n, struct status *status)
{
    if (n <= own_limit(options))
        return true;
    if (options->max_length == 0)
        return fail_too_long(record, member, n, options->context, "", status);
    if (options->truncate == TRUNCATE_ERROR)
        return fail_too_long(record, member, n, own_limit(options), ", and none may be cut",
                             status);
    return true;
}

static bool make_from_tokens(const struct prompt_options *options, const struct record *record,
                             struct tokens *tokens, size_t *truncated, bool *found,
                             struct status *status)
{
    size_t n, skip, keep;
    int32_t *ids;

    if (!record_tokens(record, "tokens", &ids, &n, found, status))
        return false;
    if (!*found)
        return true;
    if (!check_own_length(options, record, "tokens", n, status)) {
        free(ids);
        return false;
    }
    keep = n < own_limit(options) ? n : own_limit(options);
    skip = options->truncate == TRUNCATE_TAIL ? n - keep : 0;
    tokens_reserve(tokens, keep);
    for (size_t i = 0; i < keep; i++)
        tokens_push(tokens, ids[skip + i]);
    free(ids);
    *truncated = n - keep;
    return true;
}

static bool fail_message(const struct record *record, size_t i, const char *name,
                         const json_t *value, struct status *status)
{
    char member[64];

    snprintf(member, sizeof(member), "messages[%zu]%s%s", i, name ? "." : "", name ? name : "");
    if (!value)
        return record_fail_missing(record, member, status);
    return record_fail_type(record, member, name ? "a string" : "an object", value, status);
}

static bool read_turn(const struct record *record, size_t i, const json_t *turn,
                      struct message *message, struct status *status)
{
    const json_t *role = json_object_get(turn, "role");
    const json_t *content = json_object_get(turn, "content");
    const json_t *calls = json_object_get(turn, "tool_calls");

    if (!json_is_object(turn))
        return fail_message(record, i, NULL, turn, status);
    if (calls && !json_is_null(calls) && !(json_is_array(calls) && json_array_size(calls) == 0))
        return record_fail(record, status, "value", "messages", "'tool_calls' are not known");
    if (!json_is_string(role))
        return fail_message(record, i, "role", role, status);
    if (!json_is_string(content))
        return fail_message(record, i, "content", content, status);
    message->role = (struct text){json_string_value(role), json_string_length(role)};
    message->content = (struct text){json_string_value(content), json_string_length(content)};
    return true;
}

bool prompt_messages(const struct record *record, struct message **messages, size_t *n, bool *found,
                     struct status *status)
{
    const json_t *list = record_get(record, "messages");

    *messages = NULL;
    *n = 0;
    *found = list && !json_is_null(list);
    if (!*found)
        return true;
    if (!json_is_array(list))
        return record_fail_type(record, "messages", "a list of messages", list, status);
    *n = json_array_size(list);
    *messages = memory_zeroed(*n, sizeof(**messages));
    for (size_t i = 0; i < *n; i++) {
        if (!read_turn(record, i, json_array_get(list, i), &(*messages)[i], status)) {
            free(*messages);
            *messages = NULL;
            return false;
        }
    }
    return true;
}

static bool make_from_messages(const struct prompt_options *options, const struct record *record,
                               struct tokens *tokens, bool *found, struct status *status)
{
    struct message *messages;
    bool ok;
    size_t n;

    if (!prompt_messages(record, &messages, &n, found, status))
        return false;
    if (!*found)
        return true;
    if (!options->has_chat_template)
        ok = record_fail(record, status, "no_template", "messages",
                         "the model has no chat template that is known");
    else
        ok = chat_template_render(options->chat_template, options->tokenizer, messages, n, true,
                                  tokens, status);
    free(messages);
    if (ok && tokens->n > own_limit(options))
        return fail_too_long(record, "messages", tokens->n, own_limit(options),
                             ", and messages are not cut", status);
    return ok;
}

static bool make_from_prompt(const struct prompt_options *options, const struct record *record,
                             struct tokens *tokens, size_t *truncated, bool *found,
                             struct status *status)
{
    const enum tokenizer_keep keep =
        options->truncate == TRUNCATE_TAIL ? TOKENIZER_KEEP_TAIL : TOKENIZER_KEEP_HEAD;
    struct text prompt;

    if (!record_string(record, "prompt", &prompt, found, status))
        return false;
    if (!*found)
        return true;
    if (!tokenizer_encode(options->tokenizer, prompt, TOKENIZER_SPECIAL, tokens, status))
        return false;
    if (!check_own_length(options, record, "prompt", tokens->n, status))
        return false;
    if (tokens->n > own_limit(options))
        *truncated =
            tokenizer_cut(options->tokenizer, TOKENIZER_SPECIAL, own_limit(options), keep, tokens);
    return true;
}

/* -- the recipe's prompt -- */

static bool open_maker(struct maker *m)
{
    const struct recipe *r = m->recipe;
    const size_t n = r->has_prompt ? 1 : r->n_messages;

    m->texts = memory_zeroed(n, sizeof(*m->texts));
    m->n_texts = n;
    for (size_t i = 0; i < n; i++) {
        const struct prompt_template *template =
            r->has_prompt ? &r->prompt : &r->messages[i].content;

        if (!prompt_render(template, m->record, r->n, r->cut, &m->texts[i], m->status))
            return false;
    }
    return !r->cut || prompt_render_member(m->record, r->cut, &m->cut, m->status);
}

static void close_maker(struct maker *m)
{
    for (size_t i = 0; i < m->n_texts; i++)
        prompt_render_release(&m->texts[i]);
    free(m->texts);
    buf_release(&m->filled);
    buf_release(&m->cut);
}

static bool encode_messages(struct maker *m, struct text value)
{
    struct message *messages = memory_zeroed(m->n_texts, sizeof(*messages));
    const char *contents;
    size_t at = 0;
    bool ok;

    for (size_t i = 0; i < m->n_texts; i++)
        prompt_render_fill(&m->texts[i], value, &m->filled);
    contents = buf_text(&m->filled).ptr;
    for (size_t i = 0; i < m->n_texts; i++) {
        const size_t len = m->texts[i].frame.len + m->texts[i].n_marks * value.len;

        messages[i].role = text_of(m->recipe->messages[i].role);
        messages[i].content = (struct text){contents + at, len};
        at += len;
    }
    ok = chat_template_render(m->options->chat_template, m->options->tokenizer, messages,
                              m->n_texts, true, m->tokens, m->status);
    free(messages);
    return ok;
}

/* The prompt with `value` as the member that may be cut, into m->tokens. */
static bool encode(struct maker *m, struct text value)
{
    buf_reset(&m->filled);
    tokens_reset(m->tokens);
    if (!m->recipe->has_prompt)
        return encode_messages(m, value);
    prompt_render_fill(&m->texts[0], value, &m->filled);
    return tokenizer_encode(m->options->tokenizer, buf_text(&m->filled),
                            TOKENIZER_SPECIAL | TOKENIZER_NO_ADDED, m->tokens, m->status);
}

/* The `keep` bytes that are left of the member. */
static struct text kept(const struct maker *m, size_t keep)
{
    const struct text whole = buf_text(&m->cut);

    if (m->options->truncate == TRUNCATE_TAIL)
        return (struct text){whole.ptr + whole.len - keep, keep};
    return (struct text){whole.ptr, keep};
}

static bool is_continuation(char c)
{
    return (c & 0xC0) == 0x80;
}

/* The most bytes up to `keep` that are whole code points. */
static size_t round_down(const struct maker *m, size_t keep)
{
    const struct text whole = buf_text(&m->cut);

    if (m->options->truncate == TRUNCATE_TAIL) {
        while (keep > 0 && is_continuation(whole.ptr[whole.len - keep]))
            keep--;
    } else {
        while (keep > 0 && keep < whole.len && is_continuation(whole.ptr[keep]))
            keep--;
    }
    return keep;
}

/* One code point more than `keep`, which is not all. */
static size_t one_more(const struct maker *m, size_t keep)
{
    const struct text whole = buf_text(&m->cut);

    do
        keep++;
    while (keep < whole.len &&
           is_continuation(m->options->truncate == TRUNCATE_TAIL ? whole.ptr[whole.len - keep]
                                                                 : whole.ptr[keep]));
    return keep;
}

/* Leaves in m->tokens what `keep` bytes give. */
static bool fits(struct maker *m, size_t keep, size_t limit, bool *yes)
{
    if (!encode(m, kept(m, keep)))
        return false;
    *yes = m->tokens->n <= limit;
    return true;
}

/* Between *low, which fits, and high, which does not: *low and high become neighbours. */
static bool bisect(struct maker *m, size_t limit, size_t *low, size_t high)
{
    while (one_more(m, *low) < high) {
        size_t middle = round_down(m, *low + (high - *low) / 2);
        bool yes;

        if (middle <= *low)
            middle = one_more(m, *low);
        if (!fits(m, middle, limit, &yes))
            return false;
        if (yes)
            *low = middle;
        else
            high = middle;
    }
    return true;
}

/* A longer part may have fewer tokens, where a word becomes whole. From *low on, tries the code
 * points up to the end of the word (at most 64, which few words have). *better: one was found. */
static bool try_rest_of_word(struct maker *m, size_t limit, size_t *low, bool *better)
{
    const struct text whole = buf_text(&m->cut);
    const bool tail = m->options->truncate == TRUNCATE_TAIL;
    size_t keep = *low;

    *better = false;
    for (int i = 0; i < 64 && keep < whole.len && !*better; i++) {
        keep = one_more(m, keep);
        if (!fits(m, keep, limit, better))
            return false;
        if (i > 0 && strchr(" \n\t\r", tail ? whole.ptr[whole.len - keep] : whole.ptr[keep - 1]))
            break;
    }
    if (*better)
        *low = keep;
    return true;
}

/* The longest part of the member with which the prompt fits. A text of many megabytes is not
 * encoded again and again: the first guess is what so many tokens usually hold. */
static bool cut(struct maker *m, size_t limit, size_t *keep)
{
    const size_t whole = m->cut.len;
    size_t low = 0, high = limit < whole / 8 ? 8 * limit : whole;
    bool better = true, yes = true;

    while (high < whole) { /* until it does not fit; the whole does not */
        high = round_down(m, high);
        if (!fits(m, high, limit, &yes))
            return false;
        if (!yes)
            break;
        low = high;
        high = high < whole / 2 ? 2 * high : whole;
    }
    while (better) {
        if (!bisect(m, limit, &low, high) || !try_rest_of_word(m, limit, &low, &better))
            return false;
        if (better && low >= high) /* there is more behind what did not fit: begin anew there */
            high = whole;
    }
    *keep = low;
    return true;
}

static bool fit(struct maker *m, size_t limit, size_t *truncated)
{
    const size_t n = m->tokens->n;
    size_t keep;
    bool yes;

    if (m->options->truncate == TRUNCATE_ERROR || !m->recipe->cut)
        return fail_too_long(m->record, m->recipe->cut, n, limit, ", and none may be cut",
                             m->status);
    if (!fits(m, 0, limit, &yes))
        return false;
    if (!yes)
        return fail_too_long(m->record, NULL, m->tokens->n, limit,
                             " even with nothing in the place that may be cut", m->status);
    if (!cut(m, limit, &keep) || !fits(m, keep, limit, &yes))
        return false;
    *truncated = n - m->tokens->n;
    return true;
}

/* What was asked for goes before what the recipe says, and neither is over what the model takes. */
static size_t recipe_limit(const struct prompt_options *options)
{
    const size_t wanted =
        options->max_length > 0 ? options->max_length : (size_t)options->recipe->max_length;

    return wanted > 0 && wanted < options->context ? wanted : options->context;
}

bool prompt_make_recipe(const struct prompt_options *options, const struct record *record,
                        struct tokens *tokens, size_t *truncated, struct status *status)
{
    struct maker m = {
        .options = options,
        .recipe = options->recipe,
        .record = record,
        .tokens = tokens,
        .status = status,
    };
    const size_t limit = recipe_limit(options);
    bool ok;

    tokens_reset(tokens);
    *truncated = 0;
    ok = open_maker(&m) && encode(&m, buf_text(&m.cut));
    if (ok && tokens->n > limit)
        ok = fit(&m, limit, truncated);
    close_maker(&m);
    return ok;
}

bool prompt_make(const struct prompt_options *options, const struct record *record,
                 struct tokens *tokens, size_t *truncated, struct status *status)
{
    bool found;

    tokens_reset(tokens);
    *truncated = 0;
    if (!make_from_tokens(options, record, tokens, truncated, &found, status))
        return false;
    if (found)
        return true;
    if (!options->tokenizer)
        return record_fail(record, status, "no_tokenizer", "tokens",
                           "the model has no tokenizer: only 'tokens' can be done");
    if (!make_from_messages(options, record, tokens, &found, status))
        return false;
    if (found)
        return true;
    if (!make_from_prompt(options, record, tokens, truncated, &found, status))
        return false;
    return found || prompt_make_recipe(options, record, tokens, truncated, status);
}
