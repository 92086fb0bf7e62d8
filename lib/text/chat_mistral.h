/* The chat template mistral-v3, as mistral-common builds it for Mistral-7B-Instruct-v0.3:
 *
 *   <s> [INST] U1 [/INST] A1 </s> [INST] U2 [/INST]
 *
 * Each text is encoded alone, with a space in front. Turns of one role that follow one another are
 * one turn, joined by an empty line; so are the system's, which go before the last user turn.
 * Spaces that end an answer are dropped.
 */
#ifndef TEXT_CHAT_MISTRAL_H
#define TEXT_CHAT_MISTRAL_H

#include "text/chat_template.h"

/* Has the vocabulary the control tokens? *missing names one that it has not. */
bool chat_mistral_fits(const struct tokenizer *tokenizer, const char **missing);

/* As chat_template_render. An answer that begins is one that the last turn asks for: with
 * add_generation_prompt the last turn must not be the assistant's. STATUS_INPUT, kind "messages",
 * if the roles do not follow one another as mistral-common demands, or ask for tools. */
bool chat_mistral_render(const struct tokenizer *tokenizer, const struct message *messages,
                         size_t n, bool add_generation_prompt, struct tokens *out,
                         struct status *status) MUST_CHECK;

#endif
