#include "rank/passages.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "formats/json_write.h"

/* A passage while `ids` still grows: offsets instead of texts. */
struct span {
    size_t start, end;
};

struct reader {
    const struct record *record;
    struct passages *out;
    struct span *id;  /* [n] */
    struct span *doc; /* [n] */
    char member[64];  /* "passages[3]", or "passages[3].text" */
};

static const char *member_of(struct reader *reader, size_t index, const char *name)
{
    snprintf(reader->member, sizeof(reader->member), "passages[%zu]%s%s", index, name ? "." : "",
             name ? name : "");
    return reader->member;
}

static json_t *get(const struct reader *reader, const json_t *object, const char *member)
{
    return record_item_get(reader->record, object, "passages", member);
}

static struct text string_text(const json_t *string)
{
    return (struct text){json_string_value(string), json_string_length(string)};
}

/* A string or an integer as JSON, behind `ids`. */
static struct span append_name(struct buf *ids, const json_t *value)
{
    struct span span = {.start = ids->len};
    struct buf item = {0};

    if (json_is_string(value))
        json_write_string(&item, string_text(value));
    else
        json_write_int(&item, json_integer_value(value));
    buf_append_text(ids, buf_text(&item));
    buf_release(&item);
    span.end = ids->len;
    return span;
}

/* The member if it is a string or an integer; *value is NULL where it is absent or null. */
static bool read_name(struct reader *reader, const json_t *object, size_t index, const char *member,
                      json_t **value, struct status *status)
{
    *value = get(reader, object, member);
    if (json_is_null(*value))
        *value = NULL;
    if (*value && !json_is_string(*value) && !json_is_integer(*value))
        return record_fail_type(reader->record, member_of(reader, index, member),
                                "a string or an integer", *value, status);
    return true;
}

static bool read_place(struct reader *reader, const json_t *object, size_t index,
                       struct status *status)
{
    struct passage *passage = &reader->out->list[index];
    const json_t *pos = get(reader, object, "pos");
    json_t *doc;

    if (!read_name(reader, object, index, "doc", &doc, status))
        return false;
    if (pos && !json_is_null(pos) && !json_is_integer(pos))
        return record_fail_type(reader->record, member_of(reader, index, "pos"), "an integer", pos,
                                status);
    if (!doc || !pos || json_is_null(pos))
        return true;
    passage->placed = true;
    passage->pos = json_integer_value(pos);
    reader->doc[index] = append_name(&reader->out->ids, doc);
    reader->out->placed = true;
    return true;
}

static bool read_object(struct reader *reader, const json_t *object, size_t index,
                        struct status *status)
{
    struct passage *passage = &reader->out->list[index];
    const json_t *text = get(reader, object, "text");
    json_t *id;

    if (!text)
        return record_fail_missing(reader->record, member_of(reader, index, "text"), status);
    if (!json_is_string(text))
        return record_fail_type(reader->record, member_of(reader, index, "text"), "a string", text,
                                status);
    passage->text = string_text(text);
    if (!read_name(reader, object, index, "id", &id, status))
        return false;
    if (id) {
        reader->id[index] = append_name(&reader->out->ids, id);
        if (json_is_string(id))
            passage->name = string_text(id);
    }
    return read_place(reader, object, index, status);
}

static bool read_passage(struct reader *reader, const json_t *item, size_t index,
                         struct status *status)
{
    struct passage *passage = &reader->out->list[index];
    struct buf *ids = &reader->out->ids;

    if (json_is_string(item))
        passage->text = string_text(item);
    else if (!json_is_object(item))
        return record_fail_type(reader->record, member_of(reader, index, NULL),
                                "a string or an object", item, status);
    else if (!read_object(reader, item, index, status))
        return false;
    if (reader->id[index].end == 0) { /* no id: its index */
        reader->id[index].start = ids->len;
        buf_printf(ids, "%zu", index);
        reader->id[index].end = ids->len;
    }
    return true;
}

static struct text text_of_span(const struct buf *ids, struct span span)
{
    return (struct text){ids->data + span.start, span.end - span.start};
}

/* `ids` is complete and no longer moves. */
static void point_into_ids(struct reader *reader)
{
    const struct buf *ids = &reader->out->ids;

    for (size_t i = 0; i < reader->out->n; i++) {
        struct passage *passage = &reader->out->list[i];

        passage->id = text_of_span(ids, reader->id[i]);
        if (!passage->name.ptr)
            passage->name = passage->id;
        if (passage->placed)
            passage->doc = text_of_span(ids, reader->doc[i]);
    }
}

static int compare_names(const void *left, const void *right)
{
    const struct passage *x = *(const struct passage *const *)left;
    const struct passage *y = *(const struct passage *const *)right;
    const size_t shorter = x->name.len < y->name.len ? x->name.len : y->name.len;
    const int order = shorter > 0 ? memcmp(x->name.ptr, y->name.ptr, shorter) : 0;

    if (order != 0)
        return order;
    if (x->name.len != y->name.len)
        return x->name.len > y->name.len ? 1 : -1;
    return (x > y) - (x < y);
}

/* Of the ids that stand twice, the one whose second stands first is reported. */
static bool ids_are_distinct(struct reader *reader, struct status *status)
{
    const struct passages *passages = reader->out;
    const struct passage **sorted = memory_zeroed(passages->n + 1, sizeof(*sorted));
    size_t first = SIZE_MAX;
    size_t second = SIZE_MAX;

    for (size_t i = 0; i < passages->n; i++)
        sorted[i] = &passages->list[i];
    qsort(sorted, passages->n, sizeof(*sorted), compare_names);
    for (size_t i = 1; i < passages->n; i++) {
        const size_t index = (size_t)(sorted[i] - passages->list);

        if (index < second && text_equals(sorted[i - 1]->name, sorted[i]->name)) {
            first = (size_t)(sorted[i - 1] - passages->list);
            second = index;
        }
    }
    free(sorted);
    if (second != SIZE_MAX)
        return record_fail(reader->record, status, "duplicate", member_of(reader, second, "id"),
                           "the id is that of passages[%zu]", first);
    return true;
}

static bool read_list(struct reader *reader, const json_t *list, struct status *status)
{
    const size_t n = json_array_size(list);
    const json_t *item;
    size_t index;

    if (n > PASSAGES_MAX)
        return record_fail(reader->record, status, "too_many", "passages",
                           "%zu passages, %d are the most", n, PASSAGES_MAX);
    reader->out->list = memory_zeroed(n + 1, sizeof(*reader->out->list));
    reader->out->n = n;
    reader->id = memory_zeroed(n + 1, sizeof(*reader->id));
    reader->doc = memory_zeroed(n + 1, sizeof(*reader->doc));
    json_array_foreach(list, index,
                       item) if (!read_passage(reader, item, index, status)) return false;
    point_into_ids(reader);
    return ids_are_distinct(reader, status);
}

bool passages_read(struct passages *passages, const struct record *record, struct status *status)
{
    struct reader reader = {.record = record, .out = passages};
    const json_t *list = record_get(record, "passages");
    bool ok;

    *passages = (struct passages){0};
    if (!list || json_is_null(list))
        return record_fail_missing(record, "passages", status);
    if (!json_is_array(list))
        return record_fail_type(record, "passages", "a list", list, status);
    ok = read_list(&reader, list, status);
    free(reader.id);
    free(reader.doc);
    if (!ok)
        passages_release(passages);
    return ok;
}

void passages_release(struct passages *passages)
{
    free(passages->list);
    buf_release(&passages->ids);
    *passages = (struct passages){0};
}
