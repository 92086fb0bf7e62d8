#include "cli/message.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "formats/json_write.h"

int message_format = MESSAGE_TEXT;
static const char *tool = "medrat";

void message_tool(const char *name)
{
    tool = name;
}

/* In one piece: others may write to the same place. */
static void put(struct buf *line)
{
    buf_append_char(line, '\n');
    fwrite(line->data, 1, line->len, stderr);
    fflush(stderr);
    buf_release(line);
}

/* ---- JSON ---- */

static void write_string(struct buf *out, const char *name, const char *value)
{
    json_write_name(out, name);
    json_write_string(out, text_of(value));
}

static void begin(struct buf *out, enum message_level level)
{
    static const char *const levels[] = {"info", "warning", "error"};
    const time_t now = time(NULL);
    char text[40] = "";
    struct tm utc;

    if (gmtime_r(&now, &utc))
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
    buf_append_char(out, '{');
    write_string(out, "time", text);
    write_string(out, "tool", tool);
    write_string(out, "level", levels[level]);
}

static void put_object(struct buf *object)
{
    buf_append_char(object, '}');
    put(object);
}

static void write_place(struct buf *out, const char *file, size_t number, const struct status *why)
{
    write_string(out, "file", file);
    if (number > 0) {
        json_write_name(out, "line");
        json_write_uint(out, number);
    }
    if (why->column > 0) {
        json_write_name(out, "column");
        json_write_uint(out, why->column);
    }
    if (why->kind)
        write_string(out, "code", why->kind);
    if (why->member[0] != '\0')
        write_string(out, "member", why->member);
}

/* ---- both ---- */

static void put_text(enum message_level level, struct text text)
{
    struct buf line = {0};

    if (message_format == MESSAGE_TEXT) {
        buf_printf(&line, "%s: ", tool);
        buf_append_text(&line, text);
        put(&line);
        return;
    }
    begin(&line, level);
    json_write_name(&line, "message");
    json_write_string(&line, text);
    put_object(&line);
}

void message(enum message_level level, const char *format, ...)
{
    char text[4096];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    put_text(level, text_of(text));
}

void message_lines(enum message_level level, const struct buf *lines)
{
    const char *line = buf_text(lines).ptr, *end;

    for (; (end = strchr(line, '\n')) != NULL; line = end + 1)
        put_text(level, (struct text){line, (size_t)(end - line)});
}

void message_record(const char *file, size_t number, const struct status *why)
{
    struct buf line = {0};

    if (message_format == MESSAGE_JSON) {
        begin(&line, MESSAGE_WARNING);
        write_place(&line, file, number, why);
        write_string(&line, "message", why->message);
        put_object(&line);
        return;
    }
    buf_printf(&line, "%s: %s", tool, file);
    if (number > 0)
        buf_printf(&line, ":%zu", number);
    buf_printf(&line, ": %s", why->message);
    if (why->column > 0)
        buf_printf(&line, " (column %zu)", why->column);
    put(&line);
}

void message_members(const struct buf *members, struct text text)
{
    struct buf line = {0};

    if (message_format == MESSAGE_TEXT) {
        put_text(MESSAGE_INFO, text);
        return;
    }
    begin(&line, MESSAGE_INFO);
    buf_append_char(&line, ',');
    buf_append_text(&line, buf_text(members));
    put_object(&line);
}
