#include "cli/retry.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "formats/jsonl.h"

struct entry {
    size_t line;    /* of the input that failed */
    size_t at;      /* line of our file */
    json_t *object; /* ours */
    bool taken;
};

struct retry {
    const char *path, *tool; /* not ours */
    struct entry *entries;   /* [n] ours, by line */
    size_t n;
};

static bool fail(const struct retry *retry, size_t at, struct status *status, const char *why)
{
    return status_fail(status, STATUS_DATA, "%s:%zu: %s", retry->path, at, why);
}

/* An entry of the file; a blank line is none. */
static bool add(struct retry *retry, const struct line *line, struct status *status)
{
    struct entry *entry;
    json_t *object;

    if (line->bytes.len == 0 && !line->too_long)
        return true;
    object =
        json_loadb(line->bytes.ptr, line->bytes.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    retry->entries = memory_resize(retry->entries, retry->n + 1, sizeof(*retry->entries));
    entry = &retry->entries[retry->n++];
    *entry = (struct entry){.at = line->number, .object = object};
    if (!json_is_object(object))
        return fail(retry, line->number, status, "not a JSON object, or too long");
    if (json_integer_value(json_object_get(object, "line")) < 1)
        return fail(retry, line->number, status, "member 'line': must be an integer from 1");
    if (!json_is_string(json_object_get(object, "raw")))
        return fail(retry, line->number, status, "member 'raw': must be the mended line, a string");
    if (!json_equal(json_object_get(object, "file"),
                    json_object_get(retry->entries[0].object, "file")))
        return fail(retry, line->number, status,
                    "member 'file': is another than that of the first line");
    entry->line = (size_t)json_integer_value(json_object_get(object, "line"));
    return true;
}

static bool read_entries(struct retry *retry, size_t max_line, struct status *status)
{
    const char *const paths[] = {retry->path};
    /* escapes make a line up to six times as long */
    struct jsonl *jsonl = jsonl_open(paths, 1, 6 * max_line + 65536, status);
    enum jsonl_result result = JSONL_LINE;
    bool ok = jsonl != NULL;
    struct line line;

    while (ok && (result = jsonl_next(jsonl, &line, status)) == JSONL_LINE)
        ok = add(retry, &line, status);
    jsonl_close(jsonl);
    return ok && result == JSONL_END;
}

static int by_line(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    if (x->line != y->line)
        return x->line > y->line ? 1 : -1;
    return (x->at > y->at) - (x->at < y->at);
}

static bool check_distinct(const struct retry *retry, struct status *status)
{
    for (size_t i = 1; i < retry->n; i++) {
        if (retry->entries[i].line == retry->entries[i - 1].line)
            return status_fail(
                status, STATUS_DATA, "%s:%zu: line %zu is there already, in line %zu", retry->path,
                retry->entries[i].at, retry->entries[i].line, retry->entries[i - 1].at);
    }
    return true;
}

struct retry *retry_open(const char *path, const char *tool, size_t max_line, struct status *status)
{
    struct retry *retry = memory_zeroed(1, sizeof(*retry));
    bool ok;

    retry->path = path;
    retry->tool = tool;
    ok = read_entries(retry, max_line, status);
    if (ok && retry->n > 0)
        qsort(retry->entries, retry->n, sizeof(*retry->entries), by_line);
    if (ok && check_distinct(retry, status))
        return retry;
    retry_close(retry);
    return NULL;
}

static int compare_line(const void *key, const void *entry)
{
    const size_t line = *(const size_t *)key, other = ((const struct entry *)entry)->line;

    return (line > other) - (line < other);
}

bool retry_take(struct retry *retry, const struct record *failed, size_t *number,
                struct text *mended)
{
    const json_t *error = json_object_get(failed->object, "error"), *raw;
    const char *tool = json_string_value(json_object_get(error, "tool"));
    const size_t line = (size_t)json_integer_value(json_object_get(error, "line"));
    struct entry *found;

    if (!tool || strcmp(tool, retry->tool) != 0 || retry->n == 0)
        return false;
    found = bsearch(&line, retry->entries, retry->n, sizeof(*retry->entries), compare_line);
    if (!found)
        return false;
    raw = json_object_get(found->object, "raw");
    found->taken = true;
    *number = found->line;
    *mended = (struct text){json_string_value(raw), json_string_length(raw)};
    return true;
}

bool retry_all_taken(const struct retry *retry, struct status *status)
{
    for (size_t i = 0; i < retry->n; i++) {
        const struct entry *entry = &retry->entries[i];

        if (!entry->taken)
            return status_fail(status, STATUS_DATA,
                               "%s:%zu: no error record of %s in the input is about line %zu",
                               retry->path, entry->at, retry->tool, entry->line);
    }
    return true;
}

void retry_close(struct retry *retry)
{
    if (!retry)
        return;
    for (size_t i = 0; i < retry->n; i++)
        json_decref(retry->entries[i].object);
    free(retry->entries);
    free(retry);
}
