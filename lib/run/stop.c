#include "run/stop.h"

#include <string.h>

#include "text/rationales.h"

const char *stop_finish_name(enum finish finish)
{
    switch (finish) {
    case FINISH_STOP:
        return "stop";
    case FINISH_LENGTH:
        return "length";
    case FINISH_COUNT:
        return "count";
    case FINISH_NONE:
        break;
    }
    return "none";
}

bool stop_is_end(const struct stop_rules *rules, int32_t id)
{
    for (int i = 0; i < rules->n_end_ids; i++) {
        if (rules->end_ids[i] == id)
            return true;
    }
    return false;
}

/* Where `wanted` (not empty) first begins at or behind `from`; text.len if nowhere. */
static size_t find(struct text text, size_t from, struct text wanted)
{
    while (wanted.len <= text.len && from <= text.len - wanted.len) {
        const char *p = memchr(text.ptr + from, wanted.ptr[0], text.len - wanted.len + 1 - from);

        if (!p)
            break;
        if (memcmp(p, wanted.ptr, wanted.len) == 0)
            return (size_t)(p - text.ptr);
        from = (size_t)(p - text.ptr) + 1;
    }
    return text.len;
}

/* The newline behind the last wanted rationale; text.len if it is not there yet. */
static size_t find_last_line(struct text text, size_t from, int n_rationales)
{
    const struct text newline = {"\n", 1};
    size_t at = from;

    while ((at = find(text, at, newline)) < text.len) {
        if (rationales_complete((struct text){text.ptr, at + 1}, (size_t)n_rationales))
            return at;
        at++;
    }
    return text.len;
}

enum finish stop_search(const struct stop_rules *rules, struct text text, size_t seen, size_t *cut)
{
    enum finish finish = FINISH_NONE;

    *cut = text.len;
    if (seen == text.len)
        return FINISH_NONE;
    for (int i = 0; i < rules->n_strings; i++) {
        const struct text wanted = rules->strings[i];
        /* it may have begun in what was seen, but not have ended there */
        const size_t from = seen >= wanted.len ? seen - wanted.len + 1 : 0;
        const size_t at = find(text, from, wanted);

        if (at < *cut) {
            *cut = at;
            finish = FINISH_STOP;
        }
    }
    if (rules->n_rationales > 0) {
        const size_t at = find_last_line(text, seen, rules->n_rationales);

        if (at < *cut) {
            *cut = at;
            finish = FINISH_COUNT;
        }
    }
    return finish;
}
