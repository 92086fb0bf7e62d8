#include "cli/cli_settings.h"

#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"

/* Records do not depend on these: where they go, what is said, how fast; models count by what they
 * hold, not by a path. */
static bool is_neutral(const char *name)
{
    static const char *const names[] = {
        "output",  "resume",   "grace", "stats", "progress",   "quiet",   "verbose",
        "update",  "dep-file", "meta",  "plan",  "log-format", "lock",    "lock-wait",
        "threads", "batch",    "mem",   "model", "adapter",    "encoder", "cross-encoder",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

static void append_strings(const struct cli_strings *strings, struct buf *out)
{
    for (size_t i = 0; i < strings->n; i++)
        buf_printf(out, "%s%s", i > 0 ? "\n" : "", strings->items[i]);
}

static void append_value(const struct cli_option *option, struct buf *out)
{
    switch (option->kind) {
    case CLI_FLAG:
        buf_append_string(out, *(const bool *)option->value ? "true" : "false");
        break;
    case CLI_SWITCH:
    case CLI_INT:
        buf_printf(out, "%d", *(const int *)option->value);
        break;
    case CLI_UINT64:
        buf_printf(out, "%" PRIu64, *(const uint64_t *)option->value);
        break;
    case CLI_SIZE:
        buf_printf(out, "%zu", *(const size_t *)option->value);
        break;
    case CLI_FLOAT:
        buf_printf(out, "%.17g", *(const double *)option->value);
        break;
    case CLI_STRING:
        if (*(const char *const *)option->value)
            buf_append_string(out, *(const char *const *)option->value);
        break;
    case CLI_STRINGS:
        append_strings(option->value, out);
        break;
    case CLI_CHOICE:
        buf_append_string(out, option->choices[*(const int *)option->value]);
        break;
    case CLI_CUSTOM:
    case CLI_HEADING:
        break;
    }
}

/* A question is the text of a record, which stands in no file but the output. */
static void hide(struct buf *text)
{
    const uint64_t hash = hash64(text->data, text->len);

    buf_reset(text);
    buf_printf(text, "%016" PRIx64, hash);
}

json_t *cli_settings(const struct cli_tool *tool)
{
    json_t *settings = json_object();

    for (size_t i = 0; i < tool->n_options; i++) {
        const struct cli_option *option = &tool->options[i];
        struct buf text = {0};

        if (option->kind == CLI_HEADING || option->kind == CLI_CUSTOM || is_neutral(option->name))
            continue;
        append_value(option, &text);
        if (strcmp(option->name, "query") == 0 && text.len > 0)
            hide(&text);
        json_object_set_new(settings, option->name,
                            json_stringn(buf_text(&text).ptr, buf_text(&text).len));
        buf_release(&text);
    }
    return settings;
}
