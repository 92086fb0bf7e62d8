/* The steps of SentencePiece's normalizer, in its order. */
#include "text/metaspace_text.h"

#include <string.h>

#include "base/utf8.h"

#define REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

static void append_space(const struct metaspace_options *o, struct buf *out)
{
    if (o->escape)
        buf_append_string(out, METASPACE);
    else
        buf_append_char(out, ' ');
}

static bool ends_with_space(const struct metaspace_options *o, const struct buf *buf)
{
    const char *space = o->escape ? METASPACE : " ";
    const size_t n = strlen(space);

    return buf->len >= n && memcmp(buf->data + buf->len - n, space, n) == 0;
}

static bool begins_with_space(const struct metaspace_options *o, struct text text)
{
    return text.len > 0 &&
           ((o->escape && text.ptr[0] == ' ') || text_starts_with(text, text_of(METASPACE)));
}

/* Spaces escaped, and collapsed if so. */
static void append_escaped(const struct metaspace_options *o, struct text text, struct buf *out)
{
    const char *space = o->escape ? METASPACE : " ";
    const size_t n_space = strlen(space);
    bool after_space = o->collapse;
    char *to = buf_reserve(out, n_space * text.len); /* were it all spaces */

    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] != ' ') {
            *to++ = text.ptr[i];
            after_space = false;
        } else if (!after_space) {
            memcpy(to, space, n_space);
            to += n_space;
            after_space = o->collapse;
        }
    }
    out->len = (size_t)(to - out->data);
    *to = '\0';
}

static void append_repaired(struct text text, struct buf *out)
{
    for (size_t at = 0; at < text.len;) {
        const size_t size = utf8_char_size(text, at);

        if (size > 0)
            buf_append(out, text.ptr + at, size);
        else
            buf_append_string(out, REPLACEMENT);
        at += size > 0 ? size : 1;
    }
}

static struct text trim_start(struct text text)
{
    while (text.len > 0 && text.ptr[0] == ' ') {
        text.ptr++;
        text.len--;
    }
    return text;
}

void metaspace_text(const struct metaspace_options *o, struct text text, bool prefix,
                    struct buf *out)
{
    struct buf repaired = {0};

    buf_reset(out);
    if (utf8_first_bad(text) < text.len) {
        append_repaired(text, &repaired);
        text = buf_text(&repaired);
    }
    if (o->collapse)
        text = trim_start(text);
    if (text.len > 0) {
        if (prefix && (o->prefix == METASPACE_PREFIX ||
                       (o->prefix == METASPACE_PREFIX_UNLESS && !begins_with_space(o, text))))
            append_space(o, out);
        append_escaped(o, text, out);
    }
    while (o->collapse && ends_with_space(o, out))
        out->len -= o->escape ? strlen(METASPACE) : 1;
    buf_release(&repaired);
}
