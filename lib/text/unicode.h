/* Code points: UTF-8, and the properties that tokenizers ask for (utf8proc 2.8: Unicode 15.0). */
#ifndef TEXT_UNICODE_H
#define TEXT_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

#define UNICODE_REPLACEMENT 0xFFFD
enum { UNICODE_MAX_BYTES = 4, UNICODE_MAX_DECOMPOSED = 4, UNICODE_MAX_LOWER = 2 };

/* The code point at text.ptr[at] and its length in bytes. A byte that begins no well-formed
 * character is U+FFFD and 1 byte. Needs at < text.len. */
size_t unicode_decode(struct text text, size_t at, int32_t *code_point);

/* Write a code point and return its length. A surrogate or a number beyond U+10FFFF is written as
 * U+FFFD. */
size_t unicode_encode(int32_t code_point, char out[UNICODE_MAX_BYTES]);

/* Is all of it well-formed UTF-8? */
bool unicode_is_valid(struct text text);

/* The classes of GPT-2's pattern: \p{L}, \p{N} (of Unicode 16.0, as Oniguruma has them), \s
 * (White_Space), all else. */
enum unicode_class { UNICODE_OTHER, UNICODE_LETTER, UNICODE_NUMBER, UNICODE_SPACE };
enum unicode_class unicode_class(int32_t code_point);

/* Where GPT-4o's pattern lets a character stand: among capitals (Lu, Lt), among small letters (Ll),
 * both (Lm, Lo, M*), or 0; of Unicode 16.0. */
enum unicode_case { UNICODE_UPPER = 1, UNICODE_LOWER = 2 };
unsigned unicode_cases(int32_t code_point);

bool unicode_is_number(int32_t code_point);          /* \p{N} of Unicode 17.0, as Rust has it */
bool unicode_is_space(int32_t code_point);           /* White_Space */
bool unicode_is_punctuation(int32_t code_point);     /* general category P* */
bool unicode_is_control(int32_t code_point);         /* Cc, Cf, Co, Cs; not Cn */
bool unicode_is_nonspacing_mark(int32_t code_point); /* Mn */
bool unicode_is_mark(int32_t code_point);            /* M*: Mn, Mc, Me */
/* A word character as Rust's and Oniguruma's \w: Alphabetic, M*, Nd, Pc, Join_Control. */
bool unicode_is_word(int32_t code_point);
unsigned unicode_combining_class(int32_t code_point); /* 0..254; 0: a starter */

/* Full lower case of one code point without context (a sigma is never final). Returns how many. */
size_t unicode_lower(int32_t code_point, int32_t out[UNICODE_MAX_LOWER]);

/* Full canonical decomposition of one code point, not ordered with its neighbours. */
size_t unicode_decompose(int32_t code_point, int32_t out[UNICODE_MAX_DECOMPOSED]);

#endif
