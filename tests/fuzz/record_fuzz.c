/* Parse, splice, parse again: the old members are there byte for byte, and so is the new one. What
 * jansson takes for an object is refused for reasons of ours alone. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "formats/record.h"
#include "fuzz.h"

static void check(bool ok)
{
    if (!ok)
        abort();
}

static struct text slice(const struct record *record, size_t start, size_t end)
{
    return (struct text){record->line.data + start, end - start};
}

static void check_same_members(const struct record *a, const struct record *b)
{
    check(b->scan.n_spans >= a->scan.n_spans);
    for (size_t i = 0; i < a->scan.n_spans; i++) {
        const struct json_span *old = &a->scan.spans[i], *new = &b->scan.spans[i];

        check(
            text_equals(slice(a, old->name, old->value_end), slice(b, new->name, new->value_end)));
    }
}

/* The record with "fuzz":[1] added, the one that was there replaced; kept for the next round. */
static void splice(const struct record *record, struct record *longer)
{
    static const char *const replaced[] = {"fuzz"};
    struct status status = {0};
    struct buf out = {0};

    record_write(record, text_of("\"fuzz\":[1]"), replaced, 1, &out);
    check(out.len > 0 && out.data[out.len - 1] == '\n');
    out.len--;
    check(record_parse(longer, buf_text(&out), &status));
    check(json_array_size(record_get(longer, "fuzz")) == 1);
    check(text_equals(record->id, longer->id));
    buf_release(&out);
}

static void check_error_record(const struct record *record, const struct status *why)
{
    struct record failed = {0};
    struct status status = {0};
    struct buf out = {0};

    record_write_error(record, "fuzz", why, 7, &out);
    out.len--;
    check(record_parse(&failed, buf_text(&out), &status));
    check(failed.failed_upstream && text_equals(failed.id, record->id));
    buf_release(&out);
    record_release(&failed);
}

/* (jansson overlooks a NUL byte behind a real number.) */
static bool is_ours(const char *kind)
{
    return strcmp(kind, "depth") == 0 || strcmp(kind, "type") == 0 || strcmp(kind, "nul") == 0;
}

static void check_refusal(const struct record *record, struct text line, const struct status *why)
{
    json_t *value = json_loadb(line.ptr, line.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);

    check(why->code == STATUS_INPUT && why->kind && why->column <= line.len + 1);
    check(!json_is_object(value) || is_ours(why->kind));
    json_decref(value);
    check_error_record(record, why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct text line = {(const char *)data, size};
    struct record record = {0}, longer = {0}, longest = {0};
    struct status status = {0};

    if (size == 0)
        return 0;
    if (!record_parse(&record, line, &status)) {
        check_refusal(&record, line, &status);
    } else if (!record_get(&record, "fuzz")) {
        splice(&record, &longer);
        check_same_members(&record, &longer);
        splice(&longer, &longest);
        check_same_members(&record, &longest);
        check(longest.scan.n_spans == longer.scan.n_spans);
    } else {
        splice(&record, &longer);
        check(longer.scan.n_spans == record.scan.n_spans);
    }
    record_release(&record);
    record_release(&longer);
    record_release(&longest);
    return 0;
}
