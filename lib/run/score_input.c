#include "run/score_input.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "text/unicode.h"

static const char response[] = "### Response:\n"; /* what parts question and answer in the training
                                                     data of the rationale model */

enum targets {
    TARGETS_ALL,          /* of both halves */
    TARGETS_CONTINUATION, /* of the second, and the white space before it */
    TARGETS_COMPLETION,   /* from the first token that reaches into the second */
};

/* Two texts in a row. */
struct halves {
    struct text first, second;
    enum targets targets;
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
    for (size_t i = 0; i < n; i++)
        tokens_push(&input->tokens, ids[i]);
    free(ids);
    if (o->completion_only)
        return record_fail(record, status, "missing", "completion",
                           "--completion-only needs texts, 'tokens' do not say where one begins");
    input->first_target = 1;
    return true;
}

/* A pair of members: if the second is there, the first must be. */
static bool read_pair(const struct record *record, const char *first, const char *second,
                      struct halves *halves, bool *found, struct status *status)
{
    bool has_first;

    if (!record_string(record, second, &halves->second, found, status))
        return false;
    if (!*found)
        return true;
    if (!record_string(record, first, &halves->first, &has_first, status))
        return false;
    return has_first || record_fail_missing(record, first, status);
}

static bool read_text(const struct score_input_options *o, const struct record *record,
                      struct halves *halves, struct status *status)
{
    struct text text;
    bool found;

    if (!record_string(record, "text", &text, &found, status))
        return false;
    if (!found)
        return record_fail_missing(record, "text", status);
    *halves = (struct halves){.second = text, .targets = TARGETS_ALL};
    if (!o->completion_only)
        return true;
    for (size_t at = 0; at + strlen(response) <= text.len; at++) {
        if (memcmp(text.ptr + at, response, strlen(response)) == 0) {
            at += strlen(response);
            *halves =
                (struct halves){{text.ptr, at}, {text.ptr + at, text.len - at}, TARGETS_COMPLETION};
            return true;
        }
    }
    return record_fail(record, status, "missing", "completion",
                       "no 'completion', and no '### Response:' line in 'text'");
}

static bool read_halves(const struct score_input_options *o, const struct record *record,
                        struct halves *halves, struct status *status)
{
    bool found;

    *halves = (struct halves){.targets = TARGETS_CONTINUATION};
    if (!read_pair(record, "context", "continuation", halves, &found, status))
        return false;
    if (found)
        return true;
    halves->targets = o->completion_only ? TARGETS_COMPLETION : TARGETS_ALL;
    if (!read_pair(record, "prompt", "completion", halves, &found, status))
        return false;
    return found || read_text(o, record, halves, status);
}

/* Where in the tokens of the whole the second half begins. A continuation begins behind as many
 * tokens as the context alone has, without the white space at its end. A completion begins where
 * the tokens of the prompt alone and of the whole part: a token that spans both is its first. */
static bool find_second(const struct tokenizer *tokenizer, const struct halves *halves,
                        const struct tokens *whole, size_t *second, struct status *status)
{
    const size_t n_front = tokenizer_n_front(tokenizer);
    struct text first = halves->first;
    struct tokens alone = {0};
    size_t n = 0;

    if (halves->targets == TARGETS_CONTINUATION)
        first.len = trimmed(first);
    if (!tokenizer_encode(tokenizer, first, TOKENIZER_PLAIN, &alone, status)) {
        tokens_release(&alone);
        return false;
    }
    if (halves->targets == TARGETS_CONTINUATION)
        n = alone.n;
    while (n < alone.n && n_front + n < whole->n && alone.ids[n] == whole->ids[n_front + n])
        n++;
    tokens_release(&alone);
    *second = n_front + n;
    return true;
}

static bool encode(const struct tokenizer *tokenizer, const struct halves *halves,
                   struct score_input *input, struct status *status)
{
    struct buf whole = {0};
    bool ok;

    buf_append_text(&whole, halves->first);
    buf_append_text(&whole, halves->second);
    ok = tokenizer_encode(tokenizer, buf_text(&whole), TOKENIZER_SPECIAL, &input->tokens, status) &&
         (halves->targets == TARGETS_ALL ||
          find_second(tokenizer, halves, &input->tokens, &input->first_target, status));
    buf_release(&whole);
    return ok;
}

/* At most max_length tokens stay; the specials at the front always do. */
static bool cut(const struct score_input_options *o, struct score_input *input,
                struct status *status)
{
    struct tokens *t = &input->tokens;
    const size_t n = t->n - (t->n < o->max_length ? t->n : o->max_length);
    size_t front;

    if (n == 0)
        return true;
    if (o->truncate == TRUNCATE_ERROR)
        return status_fail_record(status, "too_long", NULL,
                                  "%zu tokens, but --max-length is %zu, and --truncate error", t->n,
                                  o->max_length);
    if (o->truncate == TRUNCATE_TAIL) {
        front = o->tokenizer ? tokenizer_n_front(o->tokenizer) : 0;
        front = front < o->max_length ? front : o->max_length;
        memmove(t->ids + front, t->ids + front + n, (t->n - front - n) * sizeof(*t->ids));
        input->first_target = input->first_target > front + n ? input->first_target - n : front;
    }
    t->n -= n;
    input->truncated = n;
    return true;
}

bool score_input_make(const struct score_input_options *o, const struct record *record,
                      struct score_input *input, struct status *status)
{
    struct halves halves;
    bool found;

    tokens_reset(&input->tokens);
    input->first_target = 1;
    input->truncated = 0;
    input->reason = NULL;
    if (!read_tokens(o, record, input, &found, status))
        return false;
    if (!found) {
        if (!read_halves(o, record, &halves, status))
            return false;
        if (!o->tokenizer)
            return status_fail_record(status, "no_tokenizer", NULL,
                                      "the model has no tokenizer: only 'tokens' can be scored");
        if (!encode(o->tokenizer, &halves, input, status))
            return false;
    }
    if (!cut(o, input, status))
        return false;
    if (input->first_target == 0)
        input->first_target = 1; /* the first token has no predecessor */
    if (input->first_target < input->tokens.n)
        return true;
    if (input->truncated > 0)
        input->reason = "all that would be scored was cut";
    else if (input->tokens.n == 0)
        input->reason = "there is no token";
    else if (input->tokens.n == 1)
        input->reason = "a single token has no predecessor";
    else
        input->reason = "there is nothing to score";
    input->first_target = input->tokens.n;
    return true;
}

void score_input_release(struct score_input *input)
{
    tokens_release(&input->tokens);
}
