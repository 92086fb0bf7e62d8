/* Generated text -> rationales: one a line, read leniently.
 *
 * Bullets, numbers ("1.", "2)", "Rationale 3:"), tags (<rationale_1>) and bold marks are taken off;
 * empty lines, lines that only announce a list ("Here are 3 rationales:") and exact repeats are
 * dropped; "###" ends the text. Bytes that are not UTF-8 become U+FFFD.
 */
#ifndef TEXT_RATIONALES_H
#define TEXT_RATIONALES_H

#include <stddef.h>

#include "base/buf.h"
#include "base/text.h"

struct rationales {
    struct text *items; /* into bytes */
    size_t n;
    size_t cap;
    size_t n_lines; /* that say something, repeats included */
    struct buf bytes;
};

/* At most max rationales; 0: all. */
void rationales_parse(struct rationales *rationales, struct text generation, size_t max);
void rationales_release(struct rationales *rationales);

/* Whether `generation`, which may go on, already holds n rationales in lines that have ended; or 2
 * n lines that say something, repeats included, as of a model that goes round in circles. */
bool rationales_complete(struct text generation, size_t n);

/* `["...","..."]` */
void rationales_write(const struct rationales *rationales, struct buf *out);

#endif
