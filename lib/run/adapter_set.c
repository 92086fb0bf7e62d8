#include "run/adapter_set.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "formats/json_write.h"

static int find(const struct adapter_set *set, struct text name)
{
    for (int i = 0; i < set->n; i++) {
        if (text_is(name, set->names[i]))
            return i;
    }
    return ADAPTER_NONE;
}

static bool add(struct adapter_set *set, const char *name, const char *path,
                const struct model *model, struct status *status)
{
    if (find(set, text_of(name)) != ADAPTER_NONE)
        return status_fail(status, STATUS_USAGE,
                           "two adapters are called '%s': name them, as in --adapter NAME=DIR",
                           name);
    set->adapters[set->n] = adapter_open(path, model, status);
    if (!set->adapters[set->n])
        return status_context(status, "adapter '%s'", name);
    set->names[set->n++] = memory_string(name, strlen(name));
    return true;
}

bool adapter_set_open(struct adapter_set *set, char *const *names, char *const *paths, size_t n,
                      const struct model *model, struct status *status)
{
    *set = (struct adapter_set){0};
    if (n == 0)
        return true;
    if (n > ADAPTER_SET_MAX)
        return status_fail(status, STATUS_USAGE, "%zu adapters, at most %d can be used", n,
                           ADAPTER_SET_MAX);
    set->adapters = memory_zeroed(n, sizeof(*set->adapters));
    set->names = memory_zeroed(n, sizeof(*set->names));
    for (size_t i = 0; i < n; i++) {
        if (!add(set, names[i], paths[i], model, status)) {
            adapter_set_close(set);
            return false;
        }
    }
    return true;
}

void adapter_set_close(struct adapter_set *set)
{
    for (int i = 0; i < set->n; i++) {
        adapter_close(set->adapters[i]);
        free(set->names[i]);
    }
    free(set->adapters);
    free(set->names);
    *set = (struct adapter_set){0};
}

bool adapter_set_choose(const struct adapter_set *set, const struct record *record, int *index,
                        struct status *status)
{
    static const char member[] = "adapter";
    static const struct adapter_set none;
    const json_t *value = record_get(record, member);
    struct text name;
    bool found;

    if (!set)
        set = &none;
    *index = set->n > 0 ? 0 : ADAPTER_NONE;
    if (!value)
        return true;
    *index = ADAPTER_NONE;
    if (json_is_null(value))
        return true;
    if (!record_string(record, member, &name, &found, status))
        return false;
    *index = find(set, name);
    if (*index == ADAPTER_NONE)
        return record_fail(record, status, "adapter", member,
                           "no adapter of that name was given with --adapter");
    return true;
}

void adapter_set_write_name(const struct adapter_set *set, const struct model *model, int index,
                            struct buf *out)
{
    struct buf name = {0};

    buf_append_string(&name, model->name);
    if (index != ADAPTER_NONE)
        buf_printf(&name, "+%s", set->adapters[index]->name);
    json_write_string(out, buf_text(&name));
    buf_release(&name);
}

void adapter_set_write_stats(const struct adapter_set *set, struct buf *members)
{
    if (set->n == 0)
        return;
    json_write_name(members, "adapters");
    buf_append_char(members, '[');
    for (int i = 0; i < set->n; i++) {
        const struct adapter *a = set->adapters[i];

        json_write_comma(members);
        buf_append_char(members, '{');
        json_write_name(members, "name");
        json_write_string(members, text_of(set->names[i]));
        json_write_name(members, "adapter");
        json_write_string(members, text_of(a->name));
        json_write_name(members, "modules");
        json_write_int(members, a->n_modules);
        json_write_name(members, "max_rank");
        json_write_int(members, a->max_rank);
        json_write_name(members, "weights");
        json_write_string(members, buf_text(&a->source));
        buf_append_char(members, '}');
    }
    buf_append_char(members, ']');
}

void adapter_set_describe(const struct adapter_set *set, bool verbose, struct buf *lines)
{
    for (int i = 0; i < set->n; i++) {
        const struct adapter *a = set->adapters[i];
        const char *line = buf_text(&a->warnings).ptr, *end;

        if (verbose)
            buf_printf(lines, "adapter '%s': %s, %d modules, rank %s%d, weights %s\n",
                       set->names[i], a->name, a->n_modules, a->min_rank < a->max_rank ? "to " : "",
                       a->max_rank, a->source.data);
        for (; (end = strchr(line, '\n')) != NULL; line = end + 1)
            buf_printf(lines, "adapter '%s': %.*s\n", set->names[i], (int)(end - line), line);
    }
}
