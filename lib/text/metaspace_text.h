/* A text as a Metaspace vocabulary spells it: U+2581 for spaces, one in front. */
#ifndef TEXT_METASPACE_TEXT_H
#define TEXT_METASPACE_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define METASPACE "\xE2\x96\x81" /* U+2581 */

enum metaspace_prefix {
    METASPACE_NO_PREFIX,
    METASPACE_PREFIX,        /* in front of any text but the empty one */
    METASPACE_PREFIX_UNLESS, /* not where the text begins with one */
};

struct metaspace_options {
    bool escape;                  /* spaces become U+2581 */
    bool collapse;                /* no space at the ends, no two in a row */
    enum metaspace_prefix prefix; /* a space, before it is escaped */
    bool split;                   /* every U+2581 begins a word that merges stay within */
    bool byte_fallback;           /* the vocabulary has <0x00> to <0xFF> */
    bool fuse_unknown;            /* unknown characters side by side are one token */
    bool ignore_merges;           /* a text that is a token is that token */
    int32_t unknown_id;           /* -1: unknown characters are left out */
    size_t n_model; /* ids from here on are not the model's: never made of text; 0: all are */
};

/* Fill *out (emptied first) with the text as it will be merged. `prefix` false: it gets none. A
 * malformed byte is U+FFFD. */
void metaspace_text(const struct metaspace_options *options, struct text text, bool prefix,
                    struct buf *out);

#endif
