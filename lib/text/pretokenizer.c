#include "text/pretokenizer.h"

#include "text/unicode.h"

/* A character of the text: its class, and where the next one begins. */
struct character {
    enum unicode_class kind;
    size_t end;
};

static struct character look(struct text text, size_t at)
{
    struct character c;
    int32_t code_point;

    c.end = at + unicode_decode(text, at, &code_point);
    c.kind = unicode_class(code_point);
    return c;
}

/* The length of 's, 't, 're, 've, 'm, 'll or 'd behind an apostrophe, without it; 0 if none. */
static size_t contraction(struct text text, size_t at)
{
    const size_t rest = text.len - at;
    const char *p = text.ptr + at;

    if (rest >= 1 && (*p == 's' || *p == 't' || *p == 'm' || *p == 'd'))
        return 1;
    if (rest >= 2 && ((p[1] == 'e' && (*p == 'r' || *p == 'v')) || (*p == 'l' && p[1] == 'l')))
        return 2;
    return 0;
}

/* The end of the run of characters of one kind that goes on at `at`. */
static size_t run_end(struct text text, size_t at, enum unicode_class kind)
{
    while (at < text.len) {
        const struct character c = look(text, at);

        if (c.kind != kind)
            break;
        at = c.end;
    }
    return at;
}

/* A run of white space: all of it at the end of a stretch; else all but its last character, which
 * the next segment takes if it is a space. A run of one character stands alone. */
static size_t space_end(struct text text, size_t at)
{
    size_t last = at; /* where the run's last character begins */
    size_t end = at;

    while (end < text.len) {
        const struct character c = look(text, end);

        if (c.kind == UNICODE_NUMBER)
            return end;
        if (c.kind != UNICODE_SPACE)
            return last > at ? last : end;
        last = end;
        end = c.end;
    }
    return end;
}

size_t pretokenizer_next(struct text text, size_t at)
{
    const struct character first = look(text, at);

    if (first.kind == UNICODE_NUMBER)
        return first.end;
    if (first.kind == UNICODE_SPACE) {
        if (text.ptr[at] == ' ' && first.end < text.len) {
            const struct character next = look(text, first.end);

            if (next.kind == UNICODE_LETTER || next.kind == UNICODE_OTHER)
                return run_end(text, next.end, next.kind);
        }
        return space_end(text, at);
    }
    if (text.ptr[at] == '\'') {
        const size_t n = contraction(text, first.end);

        if (n > 0)
            return first.end + n;
    }
    return run_end(text, first.end, first.kind);
}
