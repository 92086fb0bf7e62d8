/* When a generation ends, and where its text is cut. */
#ifndef RUN_STOP_H
#define RUN_STOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

enum finish {
    FINISH_NONE,   /* still running */
    FINISH_STOP,   /* an end token, or one of the stop strings */
    FINISH_LENGTH, /* max_tokens */
    FINISH_COUNT,  /* as many rationales as the recipe wants */
};

const char *stop_finish_name(enum finish finish); /* "stop", "length", "count" */

struct stop_rules {
    const int32_t *end_ids; /* not ours; tokens that end a sequence */
    int n_end_ids;
    const struct text *strings; /* not ours; none is empty */
    int n_strings;
    int max_tokens;
    int n_rationales; /* rationales in lines that have ended (text/rationales.h); 0: not counted */
};

bool stop_is_end(const struct stop_rules *rules, int32_t id);

/* Looks at generated text of which the first `seen` bytes have been looked at before. If a stop
 * string (the earliest in the text; of two at one place the one listed first) or the last wanted
 * line is in it: the reason, and *cut = the length to keep, which excludes the string or newline.
 */
enum finish stop_search(const struct stop_rules *rules, struct text text, size_t seen, size_t *cut);

#endif
