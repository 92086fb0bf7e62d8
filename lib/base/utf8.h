/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stddef.h>

#include "base/text.h"

/* The length (1 to 4) of the character that starts at text.ptr[at]; 0: none does, or it is cut. */
size_t utf8_char_size(struct text text, size_t at);

/* Offset of the first byte that is not part of a character; text.len if there is none. */
size_t utf8_first_bad(struct text text);

#endif
