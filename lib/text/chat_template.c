#include "text/chat_template.h"

#include "base/buf.h"
#include "base/hash.h"
#include "text/chat_mistral.h"

static const struct {
    const char *name;
    uint64_t hash;              /* hash64 of the Jinja source that it stands for; 0: none */
    const char *default_system; /* NULL: none */
} templates[CHAT_TEMPLATE_COUNT] = {
    [CHAT_TEMPLATE_CHATML] = {"chatml", 0, NULL},
    [CHAT_TEMPLATE_SMOLLM2] = {"smollm2", UINT64_C(0x7fcebbe67a44d2e6),
                               "You are a helpful AI assistant named SmolLM, trained by Hugging "
                               "Face"},
    [CHAT_TEMPLATE_MISTRAL_V3] = {"mistral-v3", UINT64_C(0x75093b4a26899741), NULL},
};

static const char turn_begin[] = "<|im_start|>", turn_end[] = "<|im_end|>";

const char *chat_template_name(enum chat_template which)
{
    return templates[which].name;
}

static bool has_control(const struct tokenizer *tokenizer, const char *piece)
{
    return tokenizer_is_control(tokenizer, tokenizer_find(tokenizer, piece));
}

/* Has the vocabulary the template's control tokens? *missing names one that it has not. */
static bool has_pieces(const struct tokenizer *tokenizer, enum chat_template which,
                       const char **missing)
{
    if (which == CHAT_TEMPLATE_MISTRAL_V3)
        return chat_mistral_fits(tokenizer, missing);
    *missing = has_control(tokenizer, turn_begin) ? turn_end : turn_begin;
    return has_control(tokenizer, turn_begin) && has_control(tokenizer, turn_end);
}

static bool find_by_name(const char *name, enum chat_template *which, struct status *status)
{
    for (int i = 0; i < CHAT_TEMPLATE_COUNT; i++) {
        if (text_is(text_of(name), templates[i].name)) {
            *which = (enum chat_template)i;
            return true;
        }
    }
    return status_fail(status, STATUS_CONFIG,
                       "chat template '%.40s' is not known; chatml, smollm2 and mistral-v3 are",
                       name);
}

/* Later Mistral templates have a turn of the system's own. */
static bool find_by_pieces(const struct tokenizer *tokenizer, enum chat_template *which)
{
    const char *missing;

    *which = CHAT_TEMPLATE_MISTRAL_V3;
    if (has_pieces(tokenizer, *which, &missing) && !has_control(tokenizer, "[SYSTEM_PROMPT]"))
        return true;
    *which = CHAT_TEMPLATE_CHATML;
    return has_pieces(tokenizer, *which, &missing);
}

static bool find_by_model(const struct tokenizer *tokenizer, enum chat_template *which,
                          struct status *status)
{
    const struct text source = tokenizer_chat_template(tokenizer);
    const uint64_t hash = hash64(source.ptr, source.len);
    const char *missing;

    for (int i = 0; i < CHAT_TEMPLATE_COUNT; i++) {
        if (source.len > 0 && templates[i].hash == hash &&
            has_pieces(tokenizer, (enum chat_template)i, &missing)) {
            *which = (enum chat_template)i;
            return true;
        }
    }
    return find_by_pieces(tokenizer, which) ||
           status_fail(status, STATUS_CONFIG, "the model has no chat template that is known");
}

bool chat_template_find(const char *name, const struct tokenizer *tokenizer,
                        enum chat_template *which, struct status *status)
{
    const char *missing;

    if (!name)
        return find_by_model(tokenizer, which, status);
    if (!find_by_name(name, which, status))
        return false;
    return has_pieces(tokenizer, *which, &missing) ||
           status_fail(status, STATUS_CONFIG, "chat template '%s': the vocabulary has no %s", name,
                       missing);
}

/* What stands between two control tokens is encoded as one text: pieces may span the seam. */
static bool put_text(const struct tokenizer *tokenizer, struct text text, struct tokens *out,
                     struct status *status)
{
    return tokenizer_encode(tokenizer, text, TOKENIZER_NO_ADDED, out, status);
}

static bool put_turn(const struct tokenizer *tokenizer, struct text role, struct text content,
                     struct buf *text, struct tokens *out, struct status *status)
{
    buf_reset(text);
    buf_append_text(text, role);
    buf_append_char(text, '\n');
    buf_append_text(text, content);
    tokens_push(out, tokenizer_find(tokenizer, turn_begin));
    if (!put_text(tokenizer, buf_text(text), out, status))
        return false;
    tokens_push(out, tokenizer_find(tokenizer, turn_end));
    return put_text(tokenizer, text_of("\n"), out, status);
}

bool chat_template_render(enum chat_template which, const struct tokenizer *tokenizer,
                          const struct message *messages, size_t n, bool add_generation_prompt,
                          struct tokens *out, struct status *status)
{
    const char *system = templates[which].default_system;
    struct buf text = {0};
    bool ok = true;

    if (n == 0)
        return status_fail_record(status, "messages", "messages", "there are no messages");
    if (which == CHAT_TEMPLATE_MISTRAL_V3)
        return chat_mistral_render(tokenizer, messages, n, add_generation_prompt, out, status);
    if (system && !text_is(messages[0].role, "system"))
        ok = put_turn(tokenizer, text_of("system"), text_of(system), &text, out, status);
    for (size_t i = 0; ok && i < n; i++)
        ok = put_turn(tokenizer, messages[i].role, messages[i].content, &text, out, status);
    if (ok && add_generation_prompt) {
        tokens_push(out, tokenizer_find(tokenizer, turn_begin));
        ok = put_text(tokenizer, text_of("assistant\n"), out, status);
    }
    buf_release(&text);
    return ok;
}
