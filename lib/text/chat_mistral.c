#include "text/chat_mistral.h"

#include <stdio.h>

#include "base/buf.h"

static const char begin[] = "<s>", end[] = "</s>", turn_begin[] = "[INST]", turn_end[] = "[/INST]";
static const char joint[] = "\n\n";

bool chat_mistral_fits(const struct tokenizer *tokenizer, const char **missing)
{
    static const char *const pieces[] = {turn_begin, turn_end, begin, end};

    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        *missing = pieces[i];
        if (!tokenizer_is_control(tokenizer, tokenizer_find(tokenizer, pieces[i])))
            return false;
    }
    return true;
}

enum role { ROLE_NONE, ROLE_SYSTEM, ROLE_USER, ROLE_ASSISTANT };

static const char *const role_names[] = {"", "system", "user", "assistant"};

static bool fail(struct status *status, size_t i, const char *why)
{
    char member[40];

    snprintf(member, sizeof(member), "messages[%zu].role", i);
    return status_fail_record(status, "messages", member, "%s", why);
}

static bool read_role(const struct message *messages, size_t i, enum role *role,
                      struct status *status)
{
    for (int r = ROLE_SYSTEM; r <= ROLE_ASSISTANT; r++) {
        if (text_is(messages[i].role, role_names[r])) {
            *role = (enum role)r;
            return true;
        }
    }
    if (text_is(messages[i].role, "tool"))
        return fail(status, i, "tools are not known");
    return fail(status, i, "is none of system, user, assistant");
}

/* What mistral-common's validator says of the order of turns. */
static bool check_turns(const struct message *messages, size_t n, bool add_generation_prompt,
                        struct status *status)
{
    enum role role = ROLE_NONE, before = ROLE_NONE;

    for (size_t i = 0; i < n; i++) {
        if (!read_role(messages, i, &role, status))
            return false;
        if (before == ROLE_ASSISTANT && role == ROLE_SYSTEM)
            return fail(status, i, "the system cannot follow the assistant");
        if (role == ROLE_ASSISTANT && messages[i].content.len == 0)
            return fail(status, i, "an answer must not be empty");
        before = role;
    }
    if (n == 1 && role == ROLE_ASSISTANT)
        return fail(status, 0, "a chat must not begin with an answer");
    if (add_generation_prompt && role == ROLE_ASSISTANT)
        return fail(status, n - 1, "the last turn is an answer already");
    return true;
}

/* Append `text` as one more part, unless it is empty. */
static void join(struct buf *parts, struct text text)
{
    if (text.len == 0)
        return;
    if (parts->len > 0)
        buf_append_string(parts, joint);
    buf_append_text(parts, text);
}

static struct text without_end_spaces(struct text text)
{
    while (text.len > 0 && text.ptr[text.len - 1] == ' ')
        text.len--;
    return text;
}

/* What is being written. */
struct writer {
    const struct tokenizer *tokenizer;
    struct tokens *out;
    struct status *status;
    struct buf system, turn, text;
};

static void put_control(const struct writer *w, const char *piece)
{
    tokens_push(w->out, tokenizer_find(w->tokenizer, piece));
}

/* A text encoded alone begins with a space, whatever the container says of prefixes. */
static bool put_text(struct writer *w, struct text text)
{
    if (text.len == 0)
        return true;
    buf_reset(&w->text);
    buf_append_char(&w->text, ' ');
    buf_append_text(&w->text, text);
    return tokenizer_encode(w->tokenizer, buf_text(&w->text),
                            TOKENIZER_NO_ADDED | TOKENIZER_GOES_ON, w->out, w->status);
}

static bool put_user(struct writer *w, bool last)
{
    struct buf whole = {0};
    bool ok;

    if (last && w->system.len > 0) {
        buf_append_text(&whole, buf_text(&w->system));
        buf_append_string(&whole, joint);
    }
    buf_append_text(&whole, buf_text(&w->turn));
    put_control(w, turn_begin);
    ok = put_text(w, buf_text(&whole));
    put_control(w, turn_end);
    buf_release(&whole);
    return ok;
}

static bool put_turn(struct writer *w, enum role role, bool last_user)
{
    if (role == ROLE_USER)
        return put_user(w, last_user);
    if (role == ROLE_ASSISTANT) {
        if (!put_text(w, without_end_spaces(buf_text(&w->turn))))
            return false;
        put_control(w, end);
    }
    return true;
}

static enum role role_of(const struct message *message)
{
    return text_is(message->role, "user")     ? ROLE_USER
           : text_is(message->role, "system") ? ROLE_SYSTEM
                                              : ROLE_ASSISTANT;
}

/* The turn that begins at `from`: its end, its text in w->turn. */
static size_t collect_turn(struct writer *w, const struct message *messages, size_t n, size_t from)
{
    const enum role role = role_of(&messages[from]);
    size_t at = from;

    buf_reset(&w->turn);
    for (; at < n && role_of(&messages[at]) == role; at++)
        join(&w->turn, messages[at].content);
    return at;
}

static bool put_turns(struct writer *w, const struct message *messages, size_t n)
{
    size_t first = n, last_user = n, next;

    for (size_t i = 0; i < n; i++) {
        const enum role role = role_of(&messages[i]);

        if (role == ROLE_SYSTEM)
            join(&w->system, messages[i].content);
        else if (first == n)
            first = i;
        if (role == ROLE_USER && (i == 0 || role_of(&messages[i - 1]) != ROLE_USER))
            last_user = i;
    }
    put_control(w, begin);
    /* A chat that no user begins gets an empty user turn. */
    if ((first == n || role_of(&messages[first]) != ROLE_USER) && !put_user(w, last_user == n))
        return false;
    for (size_t i = 0; i < n; i = next) {
        next = collect_turn(w, messages, n, i);
        if (!put_turn(w, role_of(&messages[i]), i == last_user))
            return false;
    }
    return true;
}

bool chat_mistral_render(const struct tokenizer *tokenizer, const struct message *messages,
                         size_t n, bool add_generation_prompt, struct tokens *out,
                         struct status *status)
{
    struct writer w = {.tokenizer = tokenizer, .out = out, .status = status};
    const bool ok =
        check_turns(messages, n, add_generation_prompt, status) && put_turns(&w, messages, n);

    buf_release(&w.system);
    buf_release(&w.turn);
    buf_release(&w.text);
    return ok;
}
