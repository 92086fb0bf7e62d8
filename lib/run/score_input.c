#include "run/score_input.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "run/score_frame.h"
#include "text/unicode.h"

/* The text of a record: two in a row, or the second alone. */
struct source {
    struct text first, second;
    bool is_pair, is_continuation;
};

static bool is_space_at(struct text text, size_t at)
{
    int32_t code_point;

    unicode_decode(text, at, &code_point);
    return unicode_is_space(code_point);
}

/* The length of a text without the white space at its end. */
static size_t trimmed(struct text text)
{
    size_t end = text.len;

    while (end > 0) {
        size_t start = end - 1;

        while (start > 0 && ((unsigned char)text.ptr[start] & 0xC0) == 0x80)
            start--;
        if (!is_space_at(text, start))
            break;
        end = start;
    }
    return end;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* -- what a record has -- */

/* `tokens` as they are. *found is false if the record has none. */
static bool read_tokens(const struct score_input_options *o, const struct record *record,
                        struct score_input *input, bool *found, struct status *status)
{
    int32_t *ids;
    size_t n;

    if (!record_tokens(record, "tokens", &ids, &n, found, status))
        return false;
    if (!*found)
        return true;
    tokens_reserve(&input->tokens, n);
    for (size_t i = 0; i < n; i++)
        tokens_push(&input->tokens, ids[i]);
    free(ids);
    if (o->completion_only)
        return record_fail(record, status, "missing", "completion",
                           "--completion-only needs texts, 'tokens' do not say where one begins");
    input->parts.query = input->parts.query_end = input->parts.completion = n;
    return true;
}

/* A pair of members: if the second is there, the first must be. */
static bool read_pair(const struct record *record, const char *first, const char *second,
                      struct source *source, bool *found, struct status *status)
{
    bool has_first;

    if (!record_string(record, second, &source->second, found, status))
        return false;
    if (!*found)
        return true;
    source->is_pair = true;
    if (!record_string(record, first, &source->first, &has_first, status))
        return false;
    return has_first || record_fail_missing(record, first, status);
}

static bool read_source(const struct record *record, struct source *source, struct status *status)
{
    bool found;

    *source = (struct source){0};
    if (!read_pair(record, "context", "continuation", source, &found, status))
        return false;
    if (found) {
        source->is_continuation = true;
        return true;
    }
    if (!read_pair(record, "prompt", "completion", source, &found, status))
        return false;
    if (found)
        return true;
    if (!record_string(record, "text", &source->second, &found, status))
        return false;
    return found || record_fail_missing(record, "text", status);
}

/* -- from text to tokens -- */

/* How many of the whole text's tokens are those of its beginning alone; the special ones in front
 * are. */
static bool find_border(const struct tokenizer *tokenizer, struct text beginning,
                        const struct tokens *whole, size_t *border, struct status *status)
{
    const size_t n_front = tokenizer_n_front(tokenizer);
    struct tokens alone = {0};
    size_t n = 0;
    const bool ok = tokenizer_encode(tokenizer, beginning, TOKENIZER_PLAIN, &alone, status);

    while (n < alone.n && n_front + n < whole->n && alone.ids[n] == whole->ids[n_front + n])
        n++;
    tokens_release(&alone);
    *border = n_front + n;
    return ok;
}

static bool find_continuation(const struct tokenizer *tokenizer, struct text context,
                              const struct tokens *whole, size_t *border, struct status *status)
{
    struct tokens alone = {0};
    bool ok;

    context.len = trimmed(context);
    ok = tokenizer_encode(tokenizer, context, TOKENIZER_PLAIN, &alone, status);
    *border = smaller(tokenizer_n_front(tokenizer) + alone.n, whole->n);
    tokens_release(&alone);
    return ok;
}

/* The parts of the text: where its members say so, else by its headings. */
static bool find_parts(const struct tokenizer *tokenizer, const struct source *source,
                       struct text text, struct score_input *input, struct status *status)
{
    struct score_parts *parts = &input->parts;
    const struct tokens *whole = &input->tokens;
    struct score_frame frame;
    bool ok = true;

    score_frame_find(text, &frame);
    parts->is_framed = frame.is_whole;
    parts->has_completion = source->is_pair || frame.has_completion;
    parts->completion = whole->n;
    if (source->is_continuation)
        ok = find_continuation(tokenizer, source->first, whole, &parts->completion, status);
    else if (source->is_pair)
        ok = find_border(tokenizer, source->first, whole, &parts->completion, status);
    else if (frame.has_completion)
        ok = find_border(tokenizer, (struct text){text.ptr, frame.completion}, whole,
                         &parts->completion, status);
    parts->query = parts->query_end = parts->completion;
    if (!ok || !frame.is_whole)
        return ok;
    if (!find_border(tokenizer, (struct text){text.ptr, frame.query}, whole, &parts->query,
                     status) ||
        !find_border(tokenizer, (struct text){text.ptr, frame.query_end}, whole, &parts->query_end,
                     status))
        return false;
    parts->query_end = smaller(parts->query_end, parts->completion);
    parts->query = smaller(parts->query, parts->query_end);
    return true;
}

static size_t count_bytes(const struct tokenizer *tokenizer, const struct tokens *tokens,
                          size_t from)
{
    size_t n = 0;

    for (size_t i = from; i < tokens->n; i++)
        n += tokenizer_bytes(tokenizer, tokens->ids[i]).len;
    return n;
}

/* A token that the text does not have, in front of all. */
static void put_in_front(struct score_input *input, int32_t id)
{
    struct tokens *t = &input->tokens;

    tokens_push(t, id);
    memmove(t->ids + 1, t->ids, (t->n - 1) * sizeof(*t->ids));
    t->ids[0] = id;
    input->n_front = 1;
    input->parts.query++;
    input->parts.query_end++;
    input->parts.completion++;
}

static bool encode(const struct score_input_options *o, const struct source *source,
                   struct score_input *input, struct status *status)
{
    const struct tokenizer *tokenizer = o->tokenizer;
    const size_t n_front = tokenizer_n_front(tokenizer);
    struct buf whole = {0};
    bool ok;

    buf_append_text(&whole, source->first);
    buf_append_text(&whole, source->second);
    ok = tokenizer_encode(tokenizer, buf_text(&whole), TOKENIZER_SPECIAL, &input->tokens, status) &&
         find_parts(tokenizer, source, buf_text(&whole), input, status);
    if (ok && count_bytes(tokenizer, &input->tokens, n_front) == whole.len + 1 &&
        tokenizer_bytes(tokenizer, input->tokens.ids[n_front]).ptr[0] == ' ')
        input->lead = 1;
    if (ok && source->is_continuation && source->first.len == 0 && n_front == 0 && whole.len > 0 &&
        o->empty_context)
        put_in_front(input, *o->empty_context);
    buf_release(&whole);
    return ok;
}

static bool make_from_text(const struct score_input_options *o, const struct record *record,
                           struct score_input *input, struct status *status)
{
    struct source source;

    if (!read_source(record, &source, status))
        return false;
    if (!o->tokenizer)
        return status_fail_record(status, "no_tokenizer", NULL,
                                  "the model has no tokenizer: only 'tokens' can be scored");
    if (!encode(o, &source, input, status))
        return false;
    input->is_continuation = source.is_continuation;
    if (source.is_continuation || o->completion_only)
        input->first_target = input->parts.completion;
    if (o->completion_only && !input->parts.has_completion)
        return record_fail(record, status, "missing", "completion",
                           "no 'completion', and no '### Response:' line in 'text'");
    return true;
}

/* -- to length -- */

/* The special tokens that stand in front, as a text of this tokenizer has them. */
static size_t count_front(const struct tokenizer *tokenizer, const struct tokens *tokens)
{
    const size_t most = tokenizer ? tokenizer_n_front(tokenizer) : 0;
    size_t n = 0;

    while (n < most && n < tokens->n && tokenizer_is_control(tokenizer, tokens->ids[n]))
        n++;
    return n;
}

/* Where token `index` is after `n` tokens behind the `front` first are gone. */
static size_t moved(size_t index, size_t front, size_t n)
{
    if (index <= front)
        return index;
    return index > front + n ? index - n : front;
}

static void cut_head(struct score_input *input, size_t n)
{
    const size_t front = smaller(input->n_front, input->tokens.n - n);
    struct tokens *t = &input->tokens;
    struct score_parts *parts = &input->parts;

    memmove(t->ids + front, t->ids + front + n, (t->n - front - n) * sizeof(*t->ids));
    input->first_target = moved(input->first_target, front, n);
    parts->query = moved(parts->query, front, n);
    parts->query_end = moved(parts->query_end, front, n);
    parts->completion = moved(parts->completion, front, n);
    input->lead = 0;
}

/* At most max_length tokens stay; the special ones at the front always do. */
static bool cut(const struct score_input_options *o, struct score_input *input,
                struct status *status)
{
    const size_t n = input->tokens.n - smaller(input->tokens.n, o->max_length);

    if (n == 0 || o->windows)
        return true;
    if (o->truncate == TRUNCATE_ERROR)
        return status_fail_record(status, "too_long", NULL,
                                  "%zu tokens, but --max-length is %zu, and --truncate error",
                                  input->tokens.n, o->max_length);
    if (o->truncate == TRUNCATE_TAIL)
        cut_head(input, n);
    input->tokens.n -= n;
    input->truncated = n;
    input->parts.query = smaller(input->parts.query, input->tokens.n);
    input->parts.query_end = smaller(input->parts.query_end, input->tokens.n);
    input->parts.completion = smaller(input->parts.completion, input->tokens.n);
    return true;
}

static const char *why_nothing(const struct score_input *input)
{
    if (input->truncated > 0)
        return "all that would be scored was cut";
    if (input->tokens.n == 0)
        return "there is no token";
    if (input->tokens.n == 1)
        return "a single token has no predecessor";
    return "there is nothing to score";
}

bool score_input_make(const struct score_input_options *o, const struct record *record,
                      struct score_input *input, struct status *status)
{
    const struct tokens kept = input->tokens;
    bool found;

    *input = (struct score_input){.tokens = kept};
    tokens_reset(&input->tokens);
    if (!read_tokens(o, record, input, &found, status) ||
        (!found && !make_from_text(o, record, input, status)))
        return false;
    if (input->n_front == 0)
        input->n_front = count_front(o->tokenizer, &input->tokens);
    if (!cut(o, input, status))
        return false;
    if (input->first_target == 0)
        input->first_target = 1; /* the first token has no predecessor */
    if (input->first_target < input->tokens.n)
        return true;
    input->reason = why_nothing(input);
    input->first_target = input->tokens.n;
    return true;
}

void score_input_release(struct score_input *input)
{
    tokens_release(&input->tokens);
    *input = (struct score_input){0};
}

/* -- what a token is -- */

enum score_region score_input_region(const struct score_input *input, size_t token)
{
    const struct score_parts *parts = &input->parts;

    if (token >= parts->completion)
        return SCORE_COMPLETION;
    if (!parts->is_framed)
        return SCORE_PLAIN;
    return token >= parts->query && token < parts->query_end ? SCORE_QUERY : SCORE_TEMPLATE;
}

size_t score_input_bytes(const struct score_input *input, const struct tokenizer *tokenizer,
                         size_t token)
{
    if (!tokenizer)
        return 0;
    return tokenizer_bytes(tokenizer, input->tokens.ids[token]).len -
           (token == input->n_front ? input->lead : 0);
}
