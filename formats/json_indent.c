#include "formats/json_indent.h"

static void new_line(struct buf *out, int depth)
{
    buf_append_char(out, '\n');
    for (int i = 0; i < depth; i++)
        buf_append_string(out, "  ");
}

/* Appends the string that begins at json.ptr[at]; returns its length. */
static size_t copy_string(struct text json, size_t at, struct buf *out)
{
    size_t end = at + 1;

    while (end < json.len && json.ptr[end] != '"')
        end += json.ptr[end] == '\\' ? 2 : 1;
    end = end < json.len ? end + 1 : json.len;
    buf_append(out, json.ptr + at, end - at);
    return end - at;
}

/* Appends a character outside strings. */
static void put(char c, char before, int *depth, struct buf *out)
{
    const bool opens = c == '{' || c == '[', closes = c == '}' || c == ']';
    const bool was_opened = before == '{' || before == '[';

    if (closes) {
        --*depth;
        if (!was_opened)
            new_line(out, *depth);
    } else if (was_opened) {
        new_line(out, *depth);
    }
    buf_append_char(out, c);
    if (opens)
        ++*depth;
    else if (c == ',')
        new_line(out, *depth);
    else if (c == ':')
        buf_append_char(out, ' ');
}

void json_indent(struct text json, struct buf *out)
{
    char before = '\0';
    int depth = 0;

    for (size_t i = 0; i < json.len;) {
        const char c = json.ptr[i];

        if (c == '"') {
            if (before == '{' || before == '[')
                new_line(out, depth);
            i += copy_string(json, i, out);
        } else {
            put(c, before, &depth, out);
            i++;
        }
        before = c;
    }
    buf_append_char(out, '\n');
}
