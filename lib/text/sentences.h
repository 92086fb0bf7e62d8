/* Where the sentences of a text are: rules for written English, medical prose above all.
 *
 * A sentence ends at . ! ? or an ellipsis, with the quotes, brackets and reference numbers that
 * follow, where white space and then no small letter comes next; a full stop does not end it behind
 * an abbreviation ("e.g.", "Fig.", "et al.") or an initial ("J. Smith"), or in a number. The full
 * stops of Chinese and Japanese need no white space. An empty line always ends one, and so does a
 * line before an item of a list.
 */
#ifndef TEXT_SENTENCES_H
#define TEXT_SENTENCES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

/* Bytes [begin, end) of a text. */
struct sentence {
    size_t begin, end;
};

/* The first sentence that begins at or after `at`, without the white space round it; false if only
 * white space is left. All that is not white space is in one of the sentences that follow one
 * another: the next is looked for at sentence->end. Takes time in proportion to its length. */
bool sentences_next(struct text text, size_t at, struct sentence *sentence);

#endif
