#include "formats/prompt_template.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* Reading position and what is open. Names and texts are cut out of template->bytes in place: a
 * placeholder's closing brace becomes the zero behind its name. */
struct reader {
    struct prompt_template *template;
    char *at;
    size_t line;
    bool in_each;
    size_t each; /* index of the open {each} */
    struct status *status;
};

void prompt_template_release(struct prompt_template *template)
{
    free(template->parts);
    free(template->bytes);
    *template = (struct prompt_template){0};
}

#define fail(r, ...) (status_set((r)->status, STATUS_CONFIG, __VA_ARGS__), fail_at(r))

static bool fail_at(struct reader *r)
{
    return status_context(r->status, "line %zu of the text", r->line);
}

static struct prompt_part *add_part(struct reader *r, enum prompt_part_kind kind, struct text text)
{
    struct prompt_template *t = r->template;

    if ((t->n_parts & (t->n_parts - 1)) == 0) /* full at 0, 1, 2, 4, ... */
        t->parts = memory_resize(t->parts, t->n_parts ? 2 * t->n_parts : 1, sizeof(*t->parts));
    t->parts[t->n_parts] = (struct prompt_part){.kind = kind, .text = text};
    return &t->parts[t->n_parts++];
}

static bool read_each(struct reader *r, struct text list)
{
    if (r->in_each)
        return fail(r, "{each} within {each}");
    if (list.len == 0)
        return fail(r, "{each} names no list");
    r->in_each = true;
    r->each = r->template->n_parts;
    add_part(r, text_is(list, "selected") ? PROMPT_PART_SELECTED : PROMPT_PART_EACH, list);
    return true;
}

static bool read_end(struct reader *r)
{
    if (!r->in_each)
        return fail(r, "{end} without {each}");
    r->in_each = false;
    r->template->parts[r->each].end = r->template->n_parts;
    return true;
}

/* What stands between braces. */
static bool read_placeholder(struct reader *r, struct text name)
{
    static const struct {
        const char *name;
        enum prompt_part_kind kind;
    } of_items[] = {
        {"item", PROMPT_PART_ITEM},
        {"index", PROMPT_PART_INDEX},
        {"number", PROMPT_PART_NUMBER},
    };
    static const char each[] = "each ";

    if (name.len == 0)
        return fail(r, "{} names nothing");
    if (text_is(name, "end"))
        return read_end(r);
    if (text_is(name, "each"))
        return read_each(r, text_of(""));
    if (text_starts_with(name, text_of(each)))
        return read_each(r, (struct text){name.ptr + strlen(each), name.len - strlen(each)});
    if (text_is(name, "n")) {
        add_part(r, PROMPT_PART_N, name);
        return true;
    }
    for (size_t i = 0; i < sizeof(of_items) / sizeof(of_items[0]); i++) {
        if (!text_is(name, of_items[i].name))
            continue;
        if (!r->in_each)
            return fail(r, "{%s} outside of {each}", name.ptr);
        add_part(r, of_items[i].kind, text_of(""));
        return true;
    }
    if (text_starts_with(name, text_of("item.")) && r->in_each) {
        if (name.len == strlen("item."))
            return fail(r, "{item.} names nothing");
        add_part(r, PROMPT_PART_ITEM, text_of(name.ptr + strlen("item.")));
        return true;
    }
    if (name.ptr[0] == ' ' || name.ptr[name.len - 1] == ' ')
        return fail(r, "space at the edge of {%.64s}", name.ptr);
    add_part(r, PROMPT_PART_MEMBER, name);
    return true;
}

/* Up to the next brace that opens; "{{" ends a run as well, one brace of it included. */
static void read_text(struct reader *r)
{
    char *begin = r->at;

    while (*r->at != '\0' && *r->at != '{') {
        r->line += *r->at == '\n';
        r->at++;
    }
    if (r->at[0] == '{' && r->at[1] == '{') {
        r->at++;
        add_part(r, PROMPT_PART_TEXT, (struct text){begin, (size_t)(r->at - begin)});
        r->at++;
    } else if (r->at > begin) {
        add_part(r, PROMPT_PART_TEXT, (struct text){begin, (size_t)(r->at - begin)});
    }
}

static bool read_parts(struct reader *r)
{
    while (*r->at != '\0') {
        struct text name;

        if (r->at[0] != '{' || r->at[1] == '{') {
            read_text(r);
            continue;
        }
        name.ptr = r->at + 1;
        name.len = strcspn(name.ptr, "{}\n");
        if (name.ptr[name.len] != '}')
            return fail(r, "'{' opens a placeholder that does not end; '{{' is a brace");
        r->at += name.len + 2;
        r->at[-1] = '\0';
        if (!read_placeholder(r, name))
            return false;
    }
    if (r->in_each)
        return fail(r, "{each %.64s} has no {end}", r->template->parts[r->each].text.ptr);
    return true;
}

bool prompt_template_parse(struct prompt_template *template, const char *text,
                           struct status *status)
{
    struct reader r = {.template = template, .line = 1, .status = status};

    *template = (struct prompt_template){.bytes = memory_string(text, strlen(text))};
    r.at = template->bytes;
    if (read_parts(&r))
        return true;
    prompt_template_release(template);
    return false;
}

bool prompt_template_places(const struct prompt_template *template, const char *name)
{
    for (size_t i = 0; i < template->n_parts; i++) {
        if (template->parts[i].kind == PROMPT_PART_MEMBER && text_is(template->parts[i].text, name))
            return true;
    }
    return false;
}
