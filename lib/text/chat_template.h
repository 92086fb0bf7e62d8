/* Chat turns -> token ids. Templates are ours, known by name; Jinja source is never run.
 *
 * The ids are built, not text: the control tokens are written by the template alone, and roles and
 * contents are encoded with TOKENIZER_NO_ADDED, so no text can forge a turn.
 *
 *   chatml   <|im_start|>ROLE\nCONTENT<|im_end|>\n ... <|im_start|>assistant\n
 *   smollm2  chatml; where the first turn is not the system's, SmolLM2's default system text
 *   mistral-v3  <s>[INST] ...[/INST] ...</s>: text/chat_mistral.h
 */
#ifndef TEXT_CHAT_TEMPLATE_H
#define TEXT_CHAT_TEMPLATE_H

#include "text/tokenizer.h"

struct message {
    struct text role;
    struct text content;
};

enum chat_template {
    CHAT_TEMPLATE_CHATML,
    CHAT_TEMPLATE_SMOLLM2,
    CHAT_TEMPLATE_MISTRAL_V3,
    CHAT_TEMPLATE_COUNT
};

const char *chat_template_name(enum chat_template which);

/* By `name`; where that is NULL, by the hash of the model's own template text, else by its control
 * tokens. STATUS_CONFIG if the name is not known, the vocabulary lacks the template's control
 * tokens, or nothing tells. */
bool chat_template_find(const char *name, const struct tokenizer *tokenizer,
                        enum chat_template *which, struct status *status) MUST_CHECK;

/* Append the ids of the messages to *out, and with add_generation_prompt the opening of the
 * assistant's next turn. `which` must come from chat_template_find for this tokenizer.
 * STATUS_INPUT if there are no messages, or
 * if their roles are not those that the template takes. */
bool chat_template_render(enum chat_template which, const struct tokenizer *tokenizer,
                          const struct message *messages, size_t n, bool add_generation_prompt,
                          struct tokens *out, struct status *status) MUST_CHECK;

#endif
