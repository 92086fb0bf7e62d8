#include "text/normal_form.h"

#include <string.h>

#include <utf8proc.h>

#include "text/unicode.h"

/* No code point has more in its compatibility decomposition: U+FDFA has 18. */
enum { MAX_PARTS = 18 };

enum { MAX_FEW = 16 }; /* marks in a row */

void normal_form_scratch_release(struct normal_form_scratch *scratch)
{
    tokens_release(&scratch->points);
    tokens_release(&scratch->marks);
}

/* Few marks, as letters have them: by insertion. */
static void order_few(int32_t *marks, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        const int32_t mark = marks[i];
        const unsigned class = unicode_combining_class(mark);
        size_t at = i;

        for (; at > 0 && unicode_combining_class(marks[at - 1]) > class; at--)
            marks[at] = marks[at - 1];
        marks[at] = mark;
    }
}

/* By counting, so that a text of nothing but marks takes linear time. */
void normal_form_order(int32_t *marks, size_t n, struct tokens *spare)
{
    size_t starts[256] = {0}; /* of each class, where its next mark goes */
    size_t sum = 0;

    if (n <= MAX_FEW) {
        order_few(marks, n);
        return;
    }

    for (size_t i = 0; i < n; i++)
        starts[unicode_combining_class(marks[i]) & 255]++;
    for (size_t class = 0; class < 256; class ++) {
        const size_t count = starts[class];

        starts[class] = sum;
        sum += count;
    }
    tokens_reset(spare);
    tokens_reserve(spare, n);
    for (size_t i = 0; i < n; i++)
        spare->ids[starts[unicode_combining_class(marks[i]) & 255]++] = marks[i];
    memcpy(marks, spare->ids, n * sizeof(*marks));
}

static void put_parts(struct normal_form_scratch *s, int32_t c, bool compatible)
{
    int last_boundary = 0;
    const utf8proc_option_t options =
        compatible ? UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT : UTF8PROC_DECOMPOSE;
    utf8proc_ssize_t n;

    tokens_reserve(&s->points, MAX_PARTS);
    n = utf8proc_decompose_char(c, s->points.ids + s->points.n, MAX_PARTS, options, &last_boundary);
    if (n > 0 && n <= MAX_PARTS)
        s->points.n += (size_t)n;
    else
        s->points.ids[s->points.n++] = c;
}

static void order_all(struct normal_form_scratch *s)
{
    int32_t *points = s->points.ids;

    for (size_t i = 0, end; i < s->points.n; i = end) {
        end = i + 1;
        if (unicode_combining_class(points[i]) == 0)
            continue;
        while (end < s->points.n && unicode_combining_class(points[end]) != 0)
            end++;
        if (end - i > 1)
            normal_form_order(points + i, end - i, &s->marks);
    }
}

/* A stretch without malformed bytes that no other can combine with. */
static void put_stretch(enum normal_form form, struct normal_form_scratch *s, struct text text,
                        struct buf *out)
{
    const bool compatible = form == NORMAL_FORM_NFKC || form == NORMAL_FORM_NFKD;

    tokens_reset(&s->points);
    for (size_t at = 0; at < text.len;) {
        int32_t c;

        at += unicode_decode(text, at, &c);
        put_parts(s, c, compatible);
    }
    order_all(s);
    if (form == NORMAL_FORM_NFC || form == NORMAL_FORM_NFKC) {
        const utf8proc_ssize_t n = utf8proc_normalize_utf32(
            s->points.ids, (utf8proc_ssize_t)s->points.n, UTF8PROC_COMPOSE | UTF8PROC_STABLE);

        s->points.n = n >= 0 ? (size_t)n : s->points.n;
    }
    buf_reserve(out, s->points.n * UNICODE_MAX_BYTES + 1);
    for (size_t i = 0; i < s->points.n; i++)
        out->len += unicode_encode(s->points.ids[i], out->data + out->len);
    out->data[out->len] = '\0';
}

/* The end of the ASCII that begins at `at`, whose last character may have marks behind it and is
 * left out then. */
static size_t ascii_end(struct text text, size_t at)
{
    size_t end = at;

    while (end < text.len && (unsigned char)text.ptr[end] < 0x80)
        end++;
    return end < text.len && end > at ? end - 1 : end;
}

/* From a possible base in ASCII up to the next ASCII, or a malformed byte. */
static size_t stretch_end(struct text text, size_t at)
{
    size_t end = at;
    bool first = true;

    while (end < text.len && (first || (unsigned char)text.ptr[end] >= 0x80)) {
        int32_t c;
        const size_t n = unicode_decode(text, end, &c);

        if (n == 1 && c == UNICODE_REPLACEMENT)
            break;
        end += n;
        first = false;
    }
    return end;
}

void normal_form_append(enum normal_form form, struct normal_form_scratch *scratch,
                        struct text text, struct buf *out)
{
    for (size_t at = 0, end; at < text.len; at = end) {
        end = ascii_end(text, at);
        if (end > at) {
            buf_append(out, text.ptr + at, end - at);
            continue;
        }
        end = stretch_end(text, at);
        if (end > at) {
            put_stretch(form, scratch, (struct text){text.ptr + at, end - at}, out);
        } else { /* malformed */
            buf_append_char(out, text.ptr[at]);
            end = at + 1;
        }
    }
}
