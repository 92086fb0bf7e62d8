/* Record -> prompt tokens: `tokens`, else `messages`, else `prompt`, else the recipe's frame with
 * the record's members in it.
 *
 * Text that a recipe places never becomes a control token, and neither does the content of chat
 * messages. `prompt` is raw text, read as the model's own tokenizer reads it.
 *
 * Too long: of a recipe's prompt, only the member `cut` is shortened, by whole code points, to the
 * largest part that fits; the frame never. `tokens` and `prompt` are shortened, token-wise, when a
 * max_length was asked for. What may not be cut is a record error, "too_long".
 */
#ifndef TEXT_PROMPT_H
#define TEXT_PROMPT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "formats/recipe.h"
#include "formats/record.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

enum truncate { TRUNCATE_HEAD, TRUNCATE_TAIL, TRUNCATE_ERROR };

struct prompt_options {
    const struct recipe *recipe;
    const struct tokenizer *tokenizer; /* NULL: only records with `tokens` can be done */
    size_t max_length;                 /* as asked for; 0: the recipe's for its own prompts */
    size_t context;                    /* tokens of a prompt that the model has room for */
    enum truncate truncate;            /* which end is kept */
    /* set by prompt_open */
    bool has_chat_template;
    enum chat_template chat_template;
};

/* Before the first record: finds the model's chat template and checks the recipe against the
 * tokenizer. STATUS_CONFIG: the recipe has messages and there is no template, or the text of its
 * prompt holds a control piece (only `messages` make control tokens). Nothing is to be closed. */
bool prompt_open(struct prompt_options *options, struct status *status) MUST_CHECK;

/* Fills *tokens (emptied first) and *truncated, the number of prompt tokens that were cut.
 * STATUS_INPUT: kind "missing", "type" or "value" with the member, "too_long" or "no_tokenizer".
 * Thread-safe. */
bool prompt_make(const struct prompt_options *options, const struct record *record,
                 struct tokens *tokens, size_t *truncated, struct status *status) MUST_CHECK;

/* The same of the recipe's frame alone, whatever else the record has; the tokenizer must be there.
 */
bool prompt_make_recipe(const struct prompt_options *options, const struct record *record,
                        struct tokens *tokens, size_t *truncated, struct status *status) MUST_CHECK;

/* The record's `messages`: [{"role","content"}]. *messages is the caller's to free; its texts point
 * into the record. *found is false where there is no such member. */
bool prompt_messages(const struct record *record, struct message **messages, size_t *n, bool *found,
                     struct status *status) MUST_CHECK;

#endif
