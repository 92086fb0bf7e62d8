#include "formats/json_scan.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/utf8.h"

/* RFC 8259, one function a rule. `at` is the next byte; the zero behind the text ends every rule
 * that looks at one byte, so only `at == len` tells the end from a NUL byte. */
struct walk {
    struct json_scan *scan;
    struct text text;
    size_t at;
    int depth, max_depth;
    struct status *status;
};

static bool scan_value(struct walk *walk);

static char peek(const struct walk *walk)
{
    return walk->text.ptr[walk->at];
}

static bool fail_at(struct walk *walk, size_t at, const char *kind, const char *message)
{
    status_set_record(walk->status, kind, NULL, "%s", message);
    walk->status->column = at + 1;
    return false;
}

/* The byte at `at` cannot stand there; `wanted` says what could. */
static bool fail_unexpected(struct walk *walk, const char *wanted)
{
    const unsigned char c = (unsigned char)peek(walk);

    if (walk->at == walk->text.len)
        status_set_record(walk->status, "json", NULL, "not valid JSON: the line ends before %s",
                          wanted);
    else if (c == '\0')
        return fail_at(walk, walk->at, "nul", "NUL byte in line");
    else if (utf8_char_size(walk->text, walk->at) == 0)
        status_set_record(walk->status, "utf8", NULL, "byte 0x%02x is not UTF-8", c);
    else
        status_set_record(walk->status, "json", NULL, "not valid JSON: expected %s", wanted);
    walk->status->column = walk->at + 1;
    return false;
}

static void skip_spaces(struct walk *walk)
{
    while (peek(walk) == ' ' || peek(walk) == '\t' || peek(walk) == '\n' || peek(walk) == '\r')
        walk->at++;
}

static bool skip_literal(struct walk *walk, const char *literal)
{
    for (; *literal != '\0'; literal++, walk->at++) {
        if (peek(walk) != *literal)
            return fail_unexpected(walk, "true, false or null");
    }
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool skip_digits(struct walk *walk)
{
    if (!is_digit(peek(walk)))
        return fail_unexpected(walk, "a digit");
    while (is_digit(peek(walk)))
        walk->at++;
    return true;
}

size_t json_scan_number_end(struct text text, size_t at)
{
    while (at < text.len && (is_digit(text.ptr[at]) || memchr("+-.eE", text.ptr[at], 5)))
        at++;
    return at;
}

/* A number that is spelled well: would jansson refuse its size? Any 18 digits fit int64_t. */
static bool is_wide(const char *number, size_t len, bool is_real)
{
    if (is_real) {
        const double value = strtod(number, NULL);

        return !isfinite(value);
    }
    if (len <= 18)
        return false;
    errno = 0;
    strtoll(number, NULL, 10);
    return errno == ERANGE;
}

static void note_wide(struct json_scan *scan, size_t at)
{
    if (scan->n_wide == scan->wide_cap) {
        scan->wide_cap = scan->wide_cap ? 2 * scan->wide_cap : 8;
        scan->wide = memory_resize(scan->wide, scan->wide_cap, sizeof(*scan->wide));
    }
    scan->wide[scan->n_wide++] = at;
}

static bool scan_number(struct walk *walk)
{
    const size_t start = walk->at;
    bool has_exponent = false, is_real = false;

    if (peek(walk) == '-')
        walk->at++;
    if (peek(walk) == '0')
        walk->at++; /* nothing but a point or an exponent may follow */
    else if (!skip_digits(walk))
        return false;
    if (peek(walk) == '.') {
        is_real = true;
        walk->at++;
        if (!skip_digits(walk))
            return false;
    }
    if (peek(walk) == 'e' || peek(walk) == 'E') {
        is_real = has_exponent = true;
        walk->at++;
        if (peek(walk) == '+' || peek(walk) == '-')
            walk->at++;
        if (!skip_digits(walk))
            return false;
    }
    if (is_digit(peek(walk)))
        return fail_at(walk, walk->at, "json", "not valid JSON: a number starts with 0");
    if (is_real && !has_exponent && walk->at - start < 300)
        return true;
    if (is_wide(walk->text.ptr + start, walk->at - start, is_real))
        note_wide(walk->scan, start);
    return true;
}

/* The four digits of \uXXXX; `at` is at the first. */
static bool scan_hex(struct walk *walk, unsigned *unit)
{
    *unit = 0;
    for (int i = 0; i < 4; i++, walk->at++) {
        const char c = peek(walk);

        if (is_digit(c))
            *unit = *unit * 16 + (unsigned)(c - '0');
        else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
            *unit = *unit * 16 + (unsigned)((c | 0x20) - 'a' + 10);
        else
            return fail_unexpected(walk, "four hexadecimal digits after \\u");
    }
    return true;
}

/* At the 'u' of \uXXXX. Surrogates come in pairs, high then low. */
static bool scan_unicode_escape(struct walk *walk, bool is_name)
{
    const size_t start = walk->at - 1;
    unsigned unit, low;

    walk->at++;
    if (!scan_hex(walk, &unit))
        return false;
    if (unit == 0 && is_name) /* jansson cannot hold it */
        return fail_at(walk, start, "nul", "\\u0000 in the name of a member");
    if (unit < 0xd800 || unit > 0xdfff)
        return true;
    if (unit > 0xdbff || peek(walk) != '\\' || walk->text.ptr[walk->at + 1] != 'u')
        return fail_at(walk, start, "surrogate", "half of a surrogate pair alone");
    walk->at += 2;
    if (!scan_hex(walk, &low))
        return false;
    if (low < 0xdc00 || low > 0xdfff)
        return fail_at(walk, start, "surrogate", "half of a surrogate pair alone");
    return true;
}

static bool scan_escape(struct walk *walk, bool is_name)
{
    walk->at++;
    if (peek(walk) == 'u')
        return scan_unicode_escape(walk, is_name);
    if (peek(walk) == '\0' || !strchr("\"\\/bfnrt", peek(walk)))
        return fail_unexpected(walk, "one of \" \\ / b f n r t u after a backslash");
    walk->at++;
    return true;
}

static bool scan_string(struct walk *walk, bool is_name)
{
    walk->at++;
    for (;;) {
        const unsigned char c = (unsigned char)peek(walk);

        if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
            walk->at++;
        } else if (c == '"') {
            walk->at++;
            return true;
        } else if (c == '\\') {
            if (!scan_escape(walk, is_name))
                return false;
        } else if (c == '\0') {
            return fail_unexpected(walk, "the end of a string");
        } else if (c < 0x20) {
            return fail_at(walk, walk->at, "json", "not valid JSON: control character in a string");
        } else {
            const size_t size = utf8_char_size(walk->text, walk->at);

            if (size == 0)
                return fail_unexpected(walk, "UTF-8");
            walk->at += size;
        }
    }
}

static void note_span(struct json_scan *scan, struct json_span span)
{
    if (scan->n_spans == scan->spans_cap) {
        scan->spans_cap = scan->spans_cap ? 2 * scan->spans_cap : 16;
        scan->spans = memory_resize(scan->spans, scan->spans_cap, sizeof(*scan->spans));
    }
    scan->spans[scan->n_spans++] = span;
}

static bool scan_member(struct walk *walk)
{
    struct json_span span = {.name = walk->at};

    if (peek(walk) != '"')
        return fail_unexpected(walk, "the name of a member");
    if (!scan_string(walk, true))
        return false;
    span.name_end = walk->at;
    skip_spaces(walk);
    if (peek(walk) != ':')
        return fail_unexpected(walk, "':'");
    walk->at++;
    skip_spaces(walk);
    span.value = walk->at;
    if (!scan_value(walk))
        return false;
    span.value_end = walk->at;
    if (walk->depth == 1)
        note_span(walk->scan, span);
    return true;
}

/* An object or a list, from its opening bracket to its closing one. */
static bool scan_items(struct walk *walk, bool (*item)(struct walk *), char closing,
                       const char *wanted)
{
    if (++walk->depth > walk->max_depth)
        return fail_at(walk, walk->at, "depth", "nested too deep");
    walk->at++;
    skip_spaces(walk);
    if (peek(walk) != closing) {
        for (;;) {
            if (!item(walk))
                return false;
            skip_spaces(walk);
            if (peek(walk) != ',')
                break;
            walk->at++;
            skip_spaces(walk);
        }
        if (peek(walk) != closing)
            return fail_unexpected(walk, wanted);
    }
    walk->at++;
    walk->depth--;
    return true;
}

/* NOLINTNEXTLINE(misc-no-recursion): max_depth deep at most */
static bool scan_value(struct walk *walk)
{
    switch (peek(walk)) {
    case '{':
        return scan_items(walk, scan_member, '}', "',' or '}'");
    case '[':
        return scan_items(walk, scan_value, ']', "',' or ']'");
    case '"':
        return scan_string(walk, false);
    case 't':
        return skip_literal(walk, "true");
    case 'f':
        return skip_literal(walk, "false");
    case 'n':
        return skip_literal(walk, "null");
    default:
        if (peek(walk) == '-' || is_digit(peek(walk)))
            return scan_number(walk);
        return fail_unexpected(walk, "a value");
    }
}

bool json_scan_object(struct json_scan *scan, struct text text, int max_depth,
                      struct status *status)
{
    struct walk walk = {.scan = scan, .text = text, .max_depth = max_depth, .status = status};
    size_t start;

    scan->n_spans = scan->n_wide = 0;
    skip_spaces(&walk);
    start = walk.at;
    if (start == text.len)
        return fail_at(&walk, 0, "blank", "blank line");
    if (!scan_value(&walk)) {
        /* plain text, most likely: where it stops to look like a JSON value is no help */
        if (text.ptr[start] != '{' && strcmp(status->kind, "json") == 0)
            return fail_at(&walk, start, "json", "not valid JSON: expected an object");
        return false;
    }
    skip_spaces(&walk);
    if (walk.at != text.len)
        return fail_unexpected(&walk, "nothing more after the object");
    if (text.ptr[start] != '{')
        return fail_at(&walk, start, "object", "a JSON value, but not an object");
    return true;
}

void json_scan_release(struct json_scan *scan)
{
    free(scan->spans);
    free(scan->wide);
    *scan = (struct json_scan){0};
}
