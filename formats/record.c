#include "formats/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "formats/json_kind.h"
#include "formats/json_write.h"

enum { MEMBER_SIZE = sizeof(((struct status *)NULL)->member) };

/* The schema's names, the only ones a message may repeat: any other name is text of the record. */
static const char *const known_members[] = {
    "id",       "query",        "passages",   "text",        "text_pair", "completion",
    "context",  "continuation", "adapter",    "prompt",      "messages",  "tokens",
    "n_tokens", "rationales",   "generation", "generations", "score",     "score_base",
    "evidence", "selection",    "qrels",      "poisoned",    "error",     "role",
    "content",  "title",        "doc",        "pos",
};

/* The text of a JSON string as it stands in the line. A string without escapes is itself. */
static bool spells(struct text json_string, const char *name)
{
    const struct text inside = {json_string.ptr + 1, json_string.len - 2};
    json_t *string;
    bool same;

    if (inside.len == 0 || !memchr(inside.ptr, '\\', inside.len))
        return text_is(inside, name);
    string = json_loadb(json_string.ptr, json_string.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    same = string && json_string_length(string) == strlen(name) &&
           memcmp(json_string_value(string), name, strlen(name)) == 0;
    json_decref(string);
    return same;
}

static struct text slice(struct text line, size_t start, size_t end)
{
    return (struct text){line.ptr + start, end - start};
}

static bool span_is(struct text line, const struct json_span *span, const char *name)
{
    return spells(slice(line, span->name, span->name_end), name);
}

static const struct json_span *find_span(const struct record *record, const char *name)
{
    for (size_t i = 0; i < record->scan.n_spans; i++) {
        if (span_is(buf_text(&record->line), &record->scan.spans[i], name))
            return &record->scan.spans[i];
    }
    return NULL;
}

/* A number that jansson would refuse, as one of the same length and nearly the same size that it
 * takes: the first 17 digits and an exponent, or, out of a double's range, 1e308. */
static void narrow_number(char *number, size_t len)
{
    const size_t sign = number[0] == '-';
    const size_t n_digits = len - sign;
    char narrow[40];
    int n;

    if (strspn(number + sign, "0123456789") >= n_digits && n_digits < 308)
        n = snprintf(narrow, sizeof(narrow), "%.17se%zu", number + sign, n_digits - 17);
    else
        n = snprintf(narrow, sizeof(narrow), "1e308");
    memset(number + sign, ' ', n_digits);
    memcpy(number + sign, narrow, (size_t)n);
}

/* jansson's tree of a line that json_scan_object has passed. */
static json_t *load(const struct record *record, json_error_t *error)
{
    const size_t flags = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL;
    const struct text line = buf_text(&record->line);
    struct buf copy = {0};
    json_t *object;

    if (record->scan.n_wide == 0)
        return json_loadb(line.ptr, line.len, flags, error);
    buf_append_text(&copy, line);
    for (size_t i = 0; i < record->scan.n_wide; i++) {
        const size_t at = record->scan.wide[i];

        narrow_number(copy.data + at, json_scan_number_end(line, at) - at);
    }
    object = json_loadb(copy.data, copy.len, flags, error);
    buf_release(&copy);
    return object;
}

/* Where the string that ends before `end` starts: at a quote that no backslash escapes. */
static size_t string_start(struct text line, size_t end)
{
    size_t at = end - 1;

    while (at > 0) {
        size_t n_backslashes = 0;

        at--;
        if (line.ptr[at] != '"')
            continue;
        while (n_backslashes < at && line.ptr[at - 1 - n_backslashes] == '\\')
            n_backslashes++;
        if (n_backslashes % 2 == 0)
            break;
    }
    return at;
}

/* jansson stopped behind the second of two equal names. */
static bool fail_duplicate(struct record *record, size_t position, struct status *status)
{
    const struct text line = buf_text(&record->line);
    const size_t start = position >= 2 ? string_start(line, position) : 0;
    const char *name = NULL;

    for (size_t i = 0; i < sizeof(known_members) / sizeof(known_members[0]) && position >= 2; i++) {
        if (spells(slice(line, start, position), known_members[i]))
            name = known_members[i];
    }
    if (name)
        status_set_record(status, "duplicate", name, "member '%s' occurs twice", name);
    else
        status_set_record(status, "duplicate", NULL, "the same member occurs twice");
    status->column = start + 1;
    return false;
}

static bool parse_object(struct record *record, struct status *status)
{
    json_error_t error;

    if (!json_scan_object(&record->scan, buf_text(&record->line), RECORD_MAX_DEPTH, status))
        return false;
    record->object = load(record, &error);
    if (record->object)
        return true;
    if (json_error_code(&error) == json_error_duplicate_key)
        return fail_duplicate(record, (size_t)error.position, status);
    if (json_error_code(&error) == json_error_out_of_memory)
        return status_fail(status, STATUS_MEMORY, "no memory for a record of %zu bytes",
                           record->line.len);
    status_set_record(status, "json", NULL, "not valid JSON");
    status->column = (size_t)error.position + 1;
    return false;
}

/* A string or an integer of any length. */
static bool is_id(struct text value)
{
    size_t at = value.ptr[0] == '-';

    if (value.ptr[0] == '"')
        return true;
    while (at < value.len && value.ptr[at] >= '0' && value.ptr[at] <= '9')
        at++;
    return at == value.len;
}

/* What the user calls this member, or the last part of "passages.text". */
static const char *name_of(const struct record *record, const char *member)
{
    const struct member_name *found = member_map_find(record->map, text_of(member));
    const char *point = strrchr(member, '.');

    return found ? found->name : point ? point + 1 : member;
}

static void find_id(struct record *record)
{
    const struct json_span *span = find_span(record, name_of(record, "id"));

    if (span) {
        const struct text value = slice(buf_text(&record->line), span->value, span->value_end);

        if (is_id(value))
            record->id = value;
    }
}

static bool is_failed(const json_t *object)
{
    const json_t *error = json_object_get(object, "error");

    return json_object_get(error, "tool") && json_object_get(error, "code");
}

bool record_parse(struct record *record, struct text line, struct status *status)
{
    bool ok;

    record_reset(record, SIZE_MAX);
    buf_append_text(&record->line, line);
    ok = parse_object(record, status);
    find_id(record);
    record->key = record->id.len > 0 ? hash64(record->id.ptr, record->id.len)
                                     : hash64(record->line.data, record->line.len);
    if (!ok)
        return false;
    record->failed_upstream = is_failed(record->object);
    if (record->id.len == 0 && !record->failed_upstream) {
        const json_t *id = record_get(record, "id");

        if (id && !json_is_null(id)) {
            record_fail_type(record, "id", "a string or an integer", id, status);
            json_decref(record->object);
            record->object = NULL;
            return false;
        }
    }
    return true;
}

void record_reset(struct record *record, size_t keep_size)
{
    if (record->line.cap > keep_size)
        record_release(record);
    json_decref(record->object);
    record->object = NULL;
    record->id = (struct text){0};
    record->failed_upstream = false;
    buf_reset(&record->line);
    record->scan.n_spans = record->scan.n_wide = 0;
}

void record_release(struct record *record)
{
    const struct member_map *map = record->map;

    json_decref(record->object);
    buf_release(&record->line);
    json_scan_release(&record->scan);
    *record = (struct record){.map = map};
}

json_t *record_getn(const struct record *record, const char *member, size_t len)
{
    const struct member_name *found = member_map_find(record->map, (struct text){member, len});

    return found ? json_object_get(record->object, found->name)
                 : json_object_getn(record->object, member, len);
}

json_t *record_get(const struct record *record, const char *member)
{
    return record_getn(record, member, strlen(member));
}

json_t *record_item_get(const struct record *record, const json_t *item, const char *list,
                        const char *member)
{
    char path[MEMBER_SIZE];

    if (!record->map)
        return json_object_get(item, member);
    snprintf(path, sizeof(path), "%.24s.%.38s", list, member);
    return json_object_get(item, name_of(record, path));
}

bool record_has(const struct record *record, const char *name)
{
    return json_object_get(record->object, name) != NULL;
}

/* "passages[3].text" as the user has it. */
static void spell(const struct record *record, const char *member, char out[MEMBER_SIZE])
{
    const size_t n = strcspn(member, ".["), n_place = strcspn(member + n, ".");
    const char *inner = member + n + n_place;
    char outer[MEMBER_SIZE], path[MEMBER_SIZE];

    snprintf(outer, sizeof(outer), "%.*s", (int)n, member);
    snprintf(path, sizeof(path), "%.*s%.20s", (int)n, member, inner);
    snprintf(out, MEMBER_SIZE, "%.40s%.*s", name_of(record, outer), (int)n_place, member + n);
    if (inner[0] != '\0')
        snprintf(out + strlen(out), MEMBER_SIZE - strlen(out), ".%s", name_of(record, path));
}

void record_place(const struct record *record, const char *member, struct status *status)
{
    char name[MEMBER_SIZE];
    const struct json_span *span;

    if (!member || member[0] == '\0')
        return;
    spell(record, member, name);
    memcpy(status->member, name, sizeof(name));
    name[strcspn(name, ".[")] = '\0';
    span = find_span(record, name);
    if (span)
        status->column = span->value + 1;
}

bool record_fail_missing(const struct record *record, const char *member, struct status *status)
{
    char name[MEMBER_SIZE];

    spell(record, member, name);
    return record_fail(record, status, "missing", member, "member '%s' is missing", name);
}

bool record_fail_type(const struct record *record, const char *member, const char *wanted,
                      const json_t *got, struct status *status)
{
    char name[MEMBER_SIZE];

    spell(record, member, name);
    return record_fail(record, status, "type", member, "member '%s': expected %s, got %s", name,
                       wanted, json_kind(got));
}

/* The member, NULL if it is absent or null. */
static const json_t *get_value(const struct record *record, const char *member)
{
    const json_t *value = record_get(record, member);

    return json_is_null(value) ? NULL : value;
}

static struct text string_text(const json_t *string)
{
    return (struct text){json_string_value(string), json_string_length(string)};
}

bool record_string(const struct record *record, const char *member, struct text *value, bool *found,
                   struct status *status)
{
    const json_t *string = get_value(record, member);

    *value = (struct text){"", 0};
    *found = false;
    if (!string)
        return true;
    if (!json_is_string(string))
        return record_fail_type(record, member, "a string", string, status);
    *value = string_text(string);
    *found = true;
    return true;
}

static bool fail_item(const struct record *record, const char *member, size_t index,
                      const char *wanted, const json_t *got, struct status *status)
{
    char place[sizeof(status->member)];

    snprintf(place, sizeof(place), "%.40s[%zu]", member, index);
    return record_fail_type(record, place, wanted, got, status);
}

bool record_string_list(const struct record *record, const char *member, struct text **values,
                        size_t *n, bool *found, struct status *status)
{
    const json_t *list = get_value(record, member);
    const json_t *item;
    size_t i;

    *values = NULL;
    *n = 0;
    *found = false;
    if (!list)
        return true;
    if (!json_is_array(list))
        return record_fail_type(record, member, "a list of strings", list, status);
    *values = memory_zeroed(json_array_size(list), sizeof(**values));
    json_array_foreach(list, i, item)
    {
        if (!json_is_string(item)) {
            free(*values);
            *values = NULL;
            return fail_item(record, member, i, "a string", item, status);
        }
        (*values)[i] = string_text(item);
    }
    *n = json_array_size(list);
    *found = true;
    return true;
}

bool record_tokens(const struct record *record, const char *member, int32_t **ids, size_t *n,
                   bool *found, struct status *status)
{
    const json_t *list = get_value(record, member);
    const json_t *item;
    size_t i;

    *ids = NULL;
    *n = 0;
    *found = false;
    if (!list)
        return true;
    if (!json_is_array(list))
        return record_fail_type(record, member, "a list of token ids", list, status);
    *ids = memory_zeroed(json_array_size(list), sizeof(**ids));
    json_array_foreach(list, i, item)
    {
        const json_int_t id = json_integer_value(item);

        if (!json_is_integer(item) || id < 0 || id > INT32_MAX) {
            free(*ids);
            *ids = NULL;
            return fail_item(record, member, i, "a token id from 0 to 2147483647", item, status);
        }
        (*ids)[i] = (int32_t)id;
    }
    *n = json_array_size(list);
    *found = true;
    return true;
}

static bool is_one_of(struct text line, const struct json_span *span, const char *const *names,
                      size_t n_names)
{
    for (size_t i = 0; i < n_names; i++) {
        if (span_is(line, span, names[i]))
            return true;
    }
    return false;
}

/* A member that is cut out takes the comma before it along, the first one that behind it: what
 * stands between a member that stays and the one before it is written with the one that stays. */
void record_write(const struct record *record, struct text members, const char *const *replaced,
                  size_t n_replaced, struct buf *out)
{
    const struct text line = buf_text(&record->line);
    const struct json_span *spans = record->scan.spans;
    const size_t n = record->scan.n_spans;
    size_t closing = line.len, n_kept = 0;

    while (line.ptr[closing - 1] != '}') /* the line is an object: its last one closes it */
        closing--;
    closing--;
    buf_append_text(out, slice(line, 0, n > 0 ? spans[0].name : closing));
    for (size_t i = 0; i < n; i++) {
        if (is_one_of(line, &spans[i], replaced, n_replaced))
            continue;
        if (n_kept++ > 0)
            buf_append_text(out, slice(line, spans[i - 1].value_end, spans[i].name));
        buf_append_text(out, slice(line, spans[i].name, spans[i].value_end));
    }
    if (n > 0)
        buf_append_text(out, slice(line, spans[n - 1].value_end, closing));
    if (n_kept > 0 && members.len > 0)
        buf_append_char(out, ',');
    buf_append_text(out, members);
    buf_append_string(out, "}\n");
}

void record_missing_members(const struct record *record, struct text members, struct buf *out)
{
    struct json_scan scan = {0};
    struct buf object = {0};
    struct status status;
    bool any = false;

    buf_append_char(&object, '{');
    buf_append_text(&object, members);
    buf_append_char(&object, '}');
    /* the tool's own members, deeper by no more than the tool made them */
    if (json_scan_object(&scan, buf_text(&object), 2 * RECORD_MAX_DEPTH, &status)) {
        for (size_t i = 0; i < scan.n_spans; i++) {
            const struct json_span *span = &scan.spans[i];
            const struct text name = slice(buf_text(&object), span->name + 1, span->name_end - 1);
            char *zero_terminated = memory_string(name.ptr, name.len);

            if (!json_object_get(record->object, zero_terminated)) {
                if (any)
                    buf_append_char(out, ',');
                buf_append_text(out, slice(buf_text(&object), span->name, span->value_end));
                any = true;
            }
            free(zero_terminated);
        }
    }
    json_scan_release(&scan);
    buf_release(&object);
}

void record_write_error(const struct record *record, const char *tool, const struct status *why,
                        size_t line_number, struct buf *out)
{
    buf_append_char(out, '{');
    if (record && record->id.len > 0) {
        json_write_name(out, "id");
        buf_append_text(out, record->id);
    }
    json_write_name(out, "error");
    buf_append_char(out, '{');
    json_write_name(out, "tool");
    json_write_string(out, text_of(tool));
    json_write_name(out, "code");
    json_write_string(out, text_of(why->kind ? why->kind : "failed"));
    json_write_name(out, "message");
    json_write_string(out, text_of(why->message));
    json_write_name(out, "line");
    json_write_uint(out, line_number);
    if (why->column > 0) {
        json_write_name(out, "column");
        json_write_uint(out, why->column);
    }
    if (why->member[0] != '\0') {
        json_write_name(out, "member");
        json_write_string(out, text_of(why->member));
    }
    buf_append_string(out, "}}\n");
}
