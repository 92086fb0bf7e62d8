#include "text/prompt_render.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "formats/json_write.h"

/* One pass over a template. */
struct renderer {
    const struct prompt_template *template;
    const struct record *record;
    const char *left_out;
    int n;
    struct prompt_text *out;
    struct status *status;
    /* within {each}: the list's name, and of the item at hand ... */
    const char *list;
    size_t index;         /* ... its place in the list, as shown */
    size_t origin;        /* ... its place in the record's own list */
    const json_t *item;   /* ... its value */
    const json_t *joined; /* {each selected}: the passage that the evidence `item` is about */
};

static bool append_value(const json_t *value, struct buf *out)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        buf_append(out, json_string_value(value), json_string_length(value));
        return true;
    case JSON_INTEGER:
        json_write_int(out, json_integer_value(value));
        return true;
    case JSON_REAL:
        json_write_double(out, json_real_value(value));
        return true;
    case JSON_TRUE:
    case JSON_FALSE:
        buf_append_string(out, json_is_true(value) ? "true" : "false");
        return true;
    default:
        return false;
    }
}

static const char wanted_value[] = "a string, a number or a boolean";

/* The member `name`, or for "a.b" the member b of object a; NULL: absent or null. */
static const json_t *find_member(const struct record *record, const char *name)
{
    const json_t *value = record_get(record, name);
    size_t n = strcspn(name, ".");

    if (!value && name[n] == '.') {
        value = record_getn(record, name, n);
        while (name[n] == '.' && value) {
            name += n + 1;
            n = strcspn(name, ".");
            value = json_is_object(value) ? json_object_getn(value, name, n) : NULL;
        }
    }
    return json_is_null(value) ? NULL : value;
}

bool prompt_render_member(const struct record *record, const char *name, struct buf *out,
                          struct status *status)
{
    const json_t *value = find_member(record, name);

    if (!value)
        return record_fail_missing(record, name, status);
    if (!append_value(value, out))
        return record_fail_type(record, name, wanted_value, value, status);
    return true;
}

/* "passages[3].text", for messages */
static void item_name(const struct renderer *r, const char *field, char name[64])
{
    snprintf(name, 64, "%.24s[%zu]%s%.16s", r->list, r->origin, field[0] ? "." : "", field);
}

static const json_t *item_field(const struct renderer *r, const char *field)
{
    const json_t *value = record_item_get(r->record, r->item, r->list, field);

    if ((!value || json_is_null(value)) && r->joined)
        value = record_item_get(r->record, r->joined, "passages", field);
    return json_is_null(value) ? NULL : value;
}

/* A plain string, or what stands for it, has a text and an id. */
static bool append_plain(const struct renderer *r, const json_t *item, const char *field,
                         size_t index)
{
    if (field[0] == '\0' || strcmp(field, "text") == 0)
        return append_value(item, &r->out->frame);
    if (strcmp(field, "id") != 0)
        return false;
    json_write_int(&r->out->frame, (json_int_t)index);
    return true;
}

static bool render_item(const struct renderer *r, const char *field)
{
    const char *wanted = field[0] == '\0' ? "text" : field;
    const json_t *value;
    char name[64];

    item_name(r, field, name);
    if (!json_is_object(r->item)) {
        if (append_plain(r, r->item, field, r->index))
            return true;
        return record_fail_type(r->record, name, field[0] ? "an object" : wanted_value, r->item,
                                r->status);
    }
    value = item_field(r, wanted);
    if (!value && r->joined && json_is_string(r->joined) && strcmp(wanted, "text") == 0)
        value = r->joined;
    item_name(r, wanted, name);
    if (!value && strcmp(wanted, "id") == 0) { /* an object without id is known by its place */
        json_write_uint(&r->out->frame, r->index);
        return true;
    }
    if (!value)
        return record_fail_missing(r->record, name, r->status);
    if (!append_value(value, &r->out->frame))
        return record_fail_type(r->record, name, wanted_value, value, r->status);
    return true;
}

static void add_mark(struct prompt_text *out)
{
    if ((out->n_marks & (out->n_marks - 1)) == 0) /* full at 0, 1, 2, 4, ... */
        out->marks =
            memory_resize(out->marks, out->n_marks ? 2 * out->n_marks : 1, sizeof(*out->marks));
    out->marks[out->n_marks++] = out->frame.len;
}

static bool render_part(struct renderer *r, const struct prompt_part *part)
{
    struct buf *frame = &r->out->frame;

    switch (part->kind) {
    case PROMPT_PART_TEXT:
        buf_append_text(frame, part->text);
        return true;
    case PROMPT_PART_N:
        buf_printf(frame, "%d", r->n);
        return true;
    case PROMPT_PART_MEMBER:
        if (r->left_out && text_is(part->text, r->left_out)) {
            add_mark(r->out);
            return true;
        }
        return prompt_render_member(r->record, part->text.ptr, frame, r->status);
    case PROMPT_PART_ITEM:
        return render_item(r, part->text.ptr);
    case PROMPT_PART_INDEX:
        buf_printf(frame, "%zu", r->index);
        return true;
    case PROMPT_PART_NUMBER:
        buf_printf(frame, "%zu", r->index + 1);
        return true;
    case PROMPT_PART_EACH: /* not within another: prompt_template_parse refuses it */
    case PROMPT_PART_SELECTED:
        break;
    }
    return status_fail(r->status, STATUS_INTERNAL, "a list within a list");
}

/* The parts of a body for the item at hand. */
static bool render_body(struct renderer *r, size_t begin, size_t end)
{
    for (size_t i = begin; i < end; i++) {
        if (!render_part(r, &r->template->parts[i]))
            return false;
    }
    return true;
}

static bool get_list(const struct renderer *r, const char *name, const json_t **list)
{
    *list = find_member(r->record, name);
    if (!*list)
        return record_fail_missing(r->record, name, r->status);
    if (!json_is_array(*list))
        return record_fail_type(r->record, name, "a list", *list, r->status);
    return true;
}

static bool render_each(struct renderer *r, size_t each)
{
    const struct prompt_part *part = &r->template->parts[each];
    const json_t *list;

    r->list = part->text.ptr;
    if (!get_list(r, r->list, &list))
        return false;
    for (size_t i = 0; i < json_array_size(list); i++) {
        r->item = json_array_get(list, i);
        r->index = r->origin = i;
        if (!render_body(r, each + 1, part->end))
            return false;
    }
    return true;
}

/* A passage by its id, for looking up: an integer, a string, or without either its index. */
struct passage_id {
    struct text string; /* ptr NULL: number */
    json_int_t number;
    const json_t *passage;
};

static int compare_ids(const void *a, const void *b)
{
    const struct passage_id *left = a, *right = b;
    const struct text l = left->string, r = right->string;

    if (l.ptr && r.ptr) {
        const int order = memcmp(l.ptr, r.ptr, l.len < r.len ? l.len : r.len);

        return order != 0 ? order : (l.len > r.len) - (l.len < r.len);
    }
    if (l.ptr || r.ptr)
        return l.ptr ? 1 : -1;
    return (left->number > right->number) - (left->number < right->number);
}

static struct passage_id make_id(const json_t *id, size_t index)
{
    struct passage_id made = {.number = (json_int_t)index};

    if (json_is_string(id))
        made.string = (struct text){json_string_value(id), json_string_length(id)};
    else if (json_is_integer(id))
        made.number = json_integer_value(id);
    return made;
}

/* The passages ordered by id; the caller frees. */
static struct passage_id *order_passages(const struct record *record, const json_t *passages)
{
    const size_t n = json_array_size(passages);
    struct passage_id *ids = memory_zeroed(n, sizeof(*ids));

    for (size_t i = 0; i < n; i++) {
        const json_t *passage = json_array_get(passages, i);

        ids[i] = make_id(record_item_get(record, passage, "passages", "id"), i);
        ids[i].passage = passage;
    }
    qsort(ids, n, sizeof(*ids), compare_ids);
    return ids;
}

/* The passage that the evidence at hand is about; NULL: none has its id. */
static const json_t *find_passage(const struct renderer *r, const struct passage_id *ids, size_t n)
{
    const json_t *id = record_item_get(r->record, r->item, "evidence", "id");
    const struct passage_id wanted = make_id(id, 0);
    const struct passage_id *found = NULL;

    if (json_is_string(id) || json_is_integer(id))
        found = bsearch(&wanted, ids, n, sizeof(*ids), compare_ids);
    return found ? found->passage : NULL;
}

static bool render_selected_items(struct renderer *r, size_t each, const json_t *evidence,
                                  const struct passage_id *ids, size_t n_ids)
{
    size_t n_selected = 0;

    for (size_t i = 0; i < json_array_size(evidence); i++) {
        r->item = json_array_get(evidence, i);
        if (!json_is_true(json_object_get(r->item, "selected")))
            continue;
        r->index = n_selected++;
        r->origin = i;
        r->joined = find_passage(r, ids, n_ids);
        if (!r->joined)
            return record_fail(r->record, r->status, "value", "evidence",
                               "member 'evidence[%zu].id' is the id of no passage", i);
        if (!render_body(r, each + 1, r->template->parts[each].end))
            return false;
    }
    r->joined = NULL;
    return true;
}

static bool render_selected(struct renderer *r, size_t each)
{
    const json_t *evidence, *passages;
    struct passage_id *ids;
    bool ok;

    r->list = "evidence";
    if (!get_list(r, "evidence", &evidence) || !get_list(r, "passages", &passages))
        return false;
    ids = order_passages(r->record, passages);
    ok = render_selected_items(r, each, evidence, ids, json_array_size(passages));
    free(ids);
    return ok;
}

bool prompt_render(const struct prompt_template *template, const struct record *record, int n,
                   const char *left_out, struct prompt_text *text, struct status *status)
{
    struct renderer r = {
        .template = template,
        .record = record,
        .left_out = left_out,
        .n = n,
        .out = text,
        .status = status,
    };

    *text = (struct prompt_text){0};
    for (size_t i = 0; i < template->n_parts; i++) {
        const struct prompt_part *part = &template->parts[i];
        const bool list = part->kind == PROMPT_PART_EACH || part->kind == PROMPT_PART_SELECTED;
        bool ok;

        if (part->kind == PROMPT_PART_EACH)
            ok = render_each(&r, i);
        else if (part->kind == PROMPT_PART_SELECTED)
            ok = render_selected(&r, i);
        else
            ok = render_part(&r, part);
        if (!ok)
            return false;
        if (list)
            i = part->end - 1;
    }
    return true;
}

void prompt_render_release(struct prompt_text *text)
{
    buf_release(&text->frame);
    free(text->marks);
    *text = (struct prompt_text){0};
}

void prompt_render_fill(const struct prompt_text *text, struct text value, struct buf *out)
{
    const struct text frame = buf_text(&text->frame);
    size_t from = 0;

    for (size_t i = 0; i < text->n_marks; i++) {
        buf_append(out, frame.ptr + from, text->marks[i] - from);
        buf_append_text(out, value);
        from = text->marks[i];
    }
    buf_append(out, frame.ptr + from, frame.len - from);
}
