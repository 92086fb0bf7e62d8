/* Patterns of Python's `re` over short ASCII names, matched by PCRE2 within limits.
 *
 * Both engines go back over choices in the same order, so what both accept means the same to both.
 * What they read differently (escapes that only one knows, "{,3}", "[[:alpha:]]", flags, verbs) is
 * refused by name, as is what PCRE2 cannot compile.
 */
#ifndef FORMATS_PYTHON_REGEX_H
#define FORMATS_PYTHON_REGEX_H

#include "base/status.h"
#include "base/text.h"

struct python_regex;

enum python_regex_use {
    PYTHON_REGEX_MATCH,     /* re.match: from the start on */
    PYTHON_REGEX_FULLMATCH, /* re.fullmatch: the whole of it */
};

/* NULL and STATUS_CONFIG, the reason alone, if the pattern cannot be had. The caller frees it. */
struct python_regex *python_regex_new(struct text pattern, enum python_regex_use use,
                                      struct status *status) MUST_CHECK;
void python_regex_free(struct python_regex *regex); /* NULL allowed */

/* Does it match? group, where not NULL, gets the part that the named group has matched, empty with
 * ptr NULL if there is none. STATUS_CONFIG if the pattern takes too many steps. */
bool python_regex_match(const struct python_regex *regex, struct text name, const char *group_name,
                        bool *matches, struct text *group, struct status *status) MUST_CHECK;

#endif
