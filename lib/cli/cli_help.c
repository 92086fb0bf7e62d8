#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "cli/cli.h"
#include "cli/cli_value.h"

enum { INDENT = 28, WIDTH = 80 };

/* Words of `text` in lines up to WIDTH, from column INDENT; the cursor is at `column`. */
static void wrap(struct buf *out, const char *text, size_t column)
{
    while (*text != '\0') {
        const size_t n = strcspn(text, " ");

        if (column > INDENT && column + 1 + n > WIDTH) {
            buf_append_char(out, '\n');
            column = 0;
        } else if (column > INDENT) {
            buf_append_char(out, ' ');
            column++;
        }
        if (column < INDENT) {
            buf_printf(out, "%*s", (int)(INDENT - column), "");
            column = INDENT;
        }
        buf_append(out, text, n);
        column += n;
        text += n;
        text += strspn(text, " ");
    }
    buf_append_char(out, '\n');
}

static void row(struct buf *out, char letter, const char *name, bool negated, const char *argument,
                const char *help)
{
    const size_t begin = out->len;
    size_t column;

    if (letter)
        buf_printf(out, "  -%c, --%s", letter, name);
    else
        buf_printf(out, "      --%s", name);
    if (negated)
        buf_printf(out, ", --no-%s", name);
    if (argument)
        buf_printf(out, " %s", argument);
    column = out->len - begin;
    if (column + 2 > INDENT) { /* no room beside it */
        buf_append_char(out, '\n');
        column = 0;
    }
    wrap(out, help, column);
}

static void option_row(struct buf *out, const struct cli_option *option)
{
    struct buf help = {0};
    struct buf details = {0};

    cli_value_describe(option, &details);
    buf_append_string(&help, option->help);
    if (details.len > 0)
        buf_printf(&help, " [%s]", details.data);
    row(out, option->letter, option->name, option->kind == CLI_SWITCH, option->argument, help.data);
    buf_release(&help);
    buf_release(&details);
}

void cli_help(const struct cli_tool *tool, struct buf *out)
{
    buf_printf(out, "usage: %s %s\n%s\n", tool->name, tool->usage, tool->summary);
    for (size_t i = 0; i < tool->n_options; i++) {
        const struct cli_option *option = &tool->options[i];

        if (option->kind == CLI_HEADING)
            buf_printf(out, "\n%s:\n", option->help);
        else
            option_row(out, option);
    }
    buf_append_string(out, "\nGeneral:\n");
    row(out, 'c', "config", false, "FILE",
        "read options from a YAML file, by their long names; the environment (MEDRAT_MAX_LENGTH "
        "for --max-length) goes before it, the command line before both");
    row(out, 'h', "help", false, NULL, "this text");
    row(out, 0, "version", false, NULL, "versions, and what the program is for");
    buf_printf(out, "\n%s\nFor research; a person checks what comes out. See also: man %s\n",
               tool->no_input_hint, tool->name);
}
