/* Which tokenizer it is, in a few characters. */
#ifndef TEXT_TOKENIZER_IDENTITY_H
#define TEXT_TOKENIZER_IDENTITY_H

#include "text/tokenizer.h"

enum { TOKENIZER_IDENTITY_SIZE = 96 };

/* "NAME@HASH": the name and 16 hex digits, of all pieces, the chat template, and the ids of a few
 * words. Equal for what turns texts into the same ids; unequal for all others that there are. */
void tokenizer_identity(const struct tokenizer *tokenizer, char identity[TOKENIZER_IDENTITY_SIZE]);

#endif
