/* A regular expression from a tokenizer file, found in a text by PCRE2.
 *
 * tokenizers runs Oniguruma with Ruby's syntax. What both read alike is handed over, \s \S \w \W \d
 * \D are spelled as the Unicode properties that Oniguruma means, and what the two read differently
 * (\h, \b, a class within a class, ...) is refused by its name. The Unicode version is PCRE2's.
 *
 * A hostile pattern can take time beyond all bounds. The steps that a text may cost are therefore
 * counted, and a text that needs more than some hundred a byte fails. PCRE2 does not count what it
 * reads without a choice (.* to the end of the text, again for each match), so there is a limit in
 * seconds, too, some hundred times what the slowest honest text takes.
 */
#ifndef TEXT_SPLIT_REGEX_H
#define TEXT_SPLIT_REGEX_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/text.h"

struct split_regex;

/* STATUS_CONFIG if it is no pattern, or has something in it that is not known. */
struct split_regex *split_regex_new(struct text pattern, struct status *status) MUST_CHECK;
void split_regex_free(struct split_regex *regex); /* NULL allowed */

/* What searching through one text at a time needs. Zeroed = valid. */
struct split_regex_scratch {
    void *match_data, *match_context; /* PCRE2's */
    uint64_t budget;                  /* steps that may still be done */
    double max_seconds, deadline; /* of this thread's processor time; deadline 0: not asked yet */
    uint32_t n_calls;
};
void split_regex_scratch_release(struct split_regex_scratch *scratch);

/* A search through one text, which must be UTF-8. */
struct split_regex_walk {
    const struct split_regex *regex;
    struct split_regex_scratch *scratch;
    struct text text;
    size_t at;       /* where the search goes on */
    size_t last_end; /* of the last match */
    bool matched;    /* was there one? */
};

/* Before the searches in a text of this size, or in its parts: what they may cost together. */
void split_regex_allow(struct split_regex_scratch *scratch, size_t size);
void split_regex_begin(struct split_regex_walk *walk, const struct split_regex *regex,
                       struct split_regex_scratch *scratch, struct text text);

/* The next match, which may be empty: then *found, and [*begin, *end). Without another one *found
 * is false. STATUS_INPUT if the text costs too much. */
bool split_regex_next(struct split_regex_walk *walk, bool *found, size_t *begin, size_t *end,
                      struct status *status) MUST_CHECK;

#endif
