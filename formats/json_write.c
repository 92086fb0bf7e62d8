#include "formats/json_write.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

void json_write_comma(struct buf *out)
{
    if (out->len > 0 && !strchr("{[:,", out->data[out->len - 1]))
        buf_append_char(out, ',');
}

void json_write_name(struct buf *out, const char *name)
{
    json_write_comma(out);
    json_write_string(out, text_of(name));
    buf_append_char(out, ':');
}

static int append_dump(const char *bytes, size_t n, void *out)
{
    buf_append(out, bytes, n);
    return 0;
}

static void write_valid(struct buf *out, struct text text)
{
    json_t *string = json_stringn_nocheck(text.ptr ? text.ptr : "", text.len);

    json_dump_callback(string, append_dump, out, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(string);
}

void json_write_string(struct buf *out, struct text text)
{
    struct buf repaired = {0};
    size_t bad;

    if (utf8_first_bad(text) == text.len) {
        write_valid(out, text);
        return;
    }
    while ((bad = utf8_first_bad(text)) < text.len) {
        buf_append(&repaired, text.ptr, bad);
        buf_append_string(&repaired, "\xef\xbf\xbd"); /* U+FFFD */
        text.ptr += bad + 1;
        text.len -= bad + 1;
    }
    buf_append_text(&repaired, text);
    write_valid(out, buf_text(&repaired));
    buf_release(&repaired);
}

void json_write_int(struct buf *out, int64_t value)
{
    buf_printf(out, "%" PRId64, value);
}

void json_write_uint(struct buf *out, uint64_t value)
{
    buf_printf(out, "%" PRIu64, value);
}

void json_write_bool(struct buf *out, bool value)
{
    buf_append_string(out, value ? "true" : "false");
}

/* A number without point or exponent would read back as an integer. */
static void write_real(struct buf *out, const char *digits)
{
    buf_append_string(out, digits);
    if (!strpbrk(digits, ".e"))
        buf_append_string(out, ".0");
}

void json_write_double(struct buf *out, double value)
{
    char digits[40];

    if (!isfinite(value)) {
        buf_append_string(out, "null");
        return;
    }
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(digits, sizeof(digits), "%.*g", precision, value);
        if (strtod(digits, NULL) == value)
            break;
    }
    write_real(out, digits);
}

void json_write_float(struct buf *out, float value)
{
    char digits[40];

    if (!isfinite(value)) {
        buf_append_string(out, "null");
        return;
    }
    for (int precision = 6; precision <= 9; precision++) {
        snprintf(digits, sizeof(digits), "%.*g", precision, (double)value);
        if (strtof(digits, NULL) == value)
            break;
    }
    write_real(out, digits);
}

void json_write_ints(struct buf *out, const int32_t *values, size_t n)
{
    buf_append_char(out, '[');
    for (size_t i = 0; i < n; i++) {
        char digits[16];
        const int len = snprintf(digits, sizeof(digits), "%s%" PRId32, i > 0 ? "," : "", values[i]);

        buf_append(out, digits, (size_t)len);
    }
    buf_append_char(out, ']');
}
