#include "text/rationales.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/memory.h"
#include "formats/json_write.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_mark(char c)
{
    return c == '.' || c == ')' || c == ':';
}

static struct text skip(struct text t, size_t n)
{
    return (struct text){t.ptr + n, t.len - n};
}

static struct text trim(struct text t)
{
    while (t.len > 0 && is_space(t.ptr[0]))
        t = skip(t, 1);
    while (t.len > 0 && is_space(t.ptr[t.len - 1]))
        t.len--;
    return t;
}

static bool starts_with(struct text t, const char *prefix)
{
    return text_starts_with(t, text_of(prefix));
}

/* t without prefix; t itself if it does not begin so. */
static struct text without(struct text t, const char *prefix)
{
    return starts_with(t, prefix) ? skip(t, strlen(prefix)) : t;
}

static size_t count_digits(struct text t)
{
    size_t n = 0;

    while (n < t.len && is_digit(t.ptr[n]))
        n++;
    return n;
}

/* "- ", "* ", "+ ", bullets and dashes; never the minus of "-5". */
static struct text strip_bullet(struct text t)
{
    static const char *const bullets[] = {"-", "*", "+", "•", "–", "—", "◦", "▪", "·"};

    for (size_t i = 0; i < sizeof(bullets) / sizeof(bullets[0]); i++) {
        const size_t n = strlen(bullets[i]);

        if (starts_with(t, bullets[i]) && t.len > n && is_space(t.ptr[n]))
            return trim(skip(t, n));
    }
    return t;
}

/* "1.", "1)", "(1)", "1:" with a space behind it: not "1.5 mg", not "5-year survival". */
static struct text strip_number(struct text t)
{
    const struct text inner = without(t, "(");
    const size_t n = count_digits(inner);
    struct text rest;

    if (n == 0 || n > 3 || n == inner.len || !is_mark(inner.ptr[n]))
        return t;
    rest = without(skip(inner, n + 1), "**"); /* "**1.** text" */
    return rest.len == 0 || is_space(rest.ptr[0]) ? trim(rest) : t;
}

/* "Rationale:", "Rationale 3:", "rationale #3." */
static struct text strip_label(struct text t)
{
    static const char word[] = "rationale";
    const size_t n_word = strlen(word);
    struct text rest = t;

    for (size_t i = 0; i < n_word; i++) {
        if (i >= t.len || (t.ptr[i] | 0x20) != word[i])
            return t;
    }
    rest = trim(skip(rest, n_word));
    rest = without(rest, "#");
    rest = trim(skip(rest, count_digits(rest)));
    rest = without(rest, "**"); /* the colon may stand within the bold or behind it */
    if (rest.len == 0 || !is_mark(rest.ptr[0]))
        return t;
    return trim(without(skip(rest, 1), "**"));
}

/* "<rationale_2>...</rationale_2>" */
static struct text strip_tags(struct text t)
{
    static const char open[] = "<rationale", close[] = "</rationale";

    if (starts_with(t, open)) {
        const char *end = memchr(t.ptr, '>', t.len);

        if (end)
            t = trim(skip(t, (size_t)(end - t.ptr) + 1));
    }
    if (starts_with(t, close))
        return skip(t, t.len);
    for (size_t i = 0; i + strlen(close) <= t.len && t.ptr[t.len - 1] == '>'; i++) {
        if (starts_with(skip(t, i), close))
            return trim((struct text){t.ptr, i});
    }
    return t;
}

/* "**all of it**", and what "**Rationale 1:** text" and "**1. text**" leave behind */
static struct text strip_bold(struct text t)
{
    if (starts_with(t, "**"))
        t = trim(skip(t, 2));
    if (t.len >= 2 && memcmp(t.ptr + t.len - 2, "**", 2) == 0)
        t = trim((struct text){t.ptr, t.len - 2});
    return t;
}

static struct text clean(struct text line)
{
    struct text t = strip_tags(trim(line));

    t = strip_bullet(t);
    t = strip_bold(t);
    t = strip_number(t);
    t = strip_label(t);
    return strip_bold(t);
}

/* A line that says nothing itself: empty, marks only, "Here are 3 rationales:", "```". */
static bool says_nothing(struct text t)
{
    bool word = false;

    for (size_t i = 0; i < t.len && !word; i++) {
        const char c = t.ptr[i];

        word = (c | 0x20) >= 'a' ? (c | 0x20) <= 'z' : is_digit(c) || (c & 0x80);
    }
    return !word || t.ptr[t.len - 1] == ':' || starts_with(t, "```");
}

static bool holds(const struct rationales *r, struct text t)
{
    for (size_t i = 0; i < r->n; i++) {
        if (text_equals(r->items[i], t))
            return true;
    }
    return false;
}

static void add(struct rationales *r, struct text t)
{
    if (r->n == r->cap) {
        r->cap = r->cap ? 2 * r->cap : 8;
        r->items = memory_resize(r->items, r->cap, sizeof(*r->items));
    }
    r->items[r->n++] = t;
}

/* A copy of `from` in which each byte that is part of no character has become U+FFFD. At most
 * three bytes for one: reserved at once, so that texts into `to` stay. */
static void repair(struct text from, struct buf *to)
{
    buf_reset(to);
    buf_reserve(to, 3 * from.len);
    while (from.len > 0) {
        utf8proc_int32_t code;
        const utf8proc_ssize_t n =
            utf8proc_iterate((const utf8proc_uint8_t *)from.ptr, (utf8proc_ssize_t)from.len, &code);

        if (n > 0)
            buf_append(to, from.ptr, (size_t)n);
        else
            buf_append_string(to, "\xEF\xBF\xBD");
        from = skip(from, n > 0 ? (size_t)n : 1);
    }
}

/* The text ends where the next heading of the training data's frame would begin. */
static struct text until_heading(struct text t)
{
    for (size_t i = 0; i + 3 <= t.len; i++) {
        if (memcmp(t.ptr + i, "###", 3) == 0)
            return (struct text){t.ptr, i};
    }
    return t;
}

void rationales_parse(struct rationales *r, struct text generation, size_t max)
{
    struct text rest;

    r->n = r->n_lines = 0;
    repair(generation, &r->bytes);
    rest = until_heading(buf_text(&r->bytes));
    while (rest.len > 0 && (max == 0 || r->n < max)) {
        const char *end = memchr(rest.ptr, '\n', rest.len);
        const size_t n = end ? (size_t)(end - rest.ptr) : rest.len;
        const struct text t = clean((struct text){rest.ptr, n});

        if (!says_nothing(t)) {
            r->n_lines++;
            if (!holds(r, t))
                add(r, t);
        }
        rest = skip(rest, end ? n + 1 : n);
    }
}

void rationales_release(struct rationales *rationales)
{
    free(rationales->items);
    buf_release(&rationales->bytes);
    *rationales = (struct rationales){0};
}

bool rationales_complete(struct text generation, size_t n)
{
    struct rationales r = {0};
    bool complete;

    while (generation.len > 0 && generation.ptr[generation.len - 1] != '\n')
        generation.len--;
    if (generation.len == 0)
        return n == 0;
    rationales_parse(&r, generation, n);
    complete = r.n >= n || r.n_lines >= 2 * n;
    rationales_release(&r);
    return complete;
}

void rationales_write(const struct rationales *rationales, struct buf *out)
{
    buf_append_char(out, '[');
    for (size_t i = 0; i < rationales->n; i++) {
        json_write_comma(out);
        json_write_string(out, rationales->items[i]);
    }
    buf_append_char(out, ']');
}
