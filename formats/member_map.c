#include "formats/member_map.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/suggest.h"

const struct member_name *member_map_find(const struct member_map *map, struct text member)
{
    for (size_t i = 0; map && i < map->n; i++) {
        if (text_is(member, map->items[i].member))
            return &map->items[i];
    }
    return NULL;
}

static bool check_known(const char *member, const char *const *known, struct status *status)
{
    const char *near;
    size_t n = 0;

    for (; known && known[n]; n++) {
        if (strcmp(known[n], member) == 0)
            return true;
    }
    if (!known)
        return true;
    near = suggest(member, known, n);
    return status_fail(status, STATUS_USAGE, "no member '%.60s' is read here%s%s%s", member,
                       near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* "query=question" */
static bool add(struct member_map *map, struct text pair, const char *const *known,
                struct status *status)
{
    const char *equals = memchr(pair.ptr, '=', pair.len);
    const size_t n = equals ? (size_t)(equals - pair.ptr) : 0;
    struct member_name *item;

    if (n == 0 || n + 1 == pair.len || memchr(equals + 1, '=', pair.len - n - 1))
        return status_fail(status, STATUS_USAGE, "'%.*s' is not MEMBER=NAME",
                           (int)(pair.len < 60 ? pair.len : 60), pair.ptr);
    if (member_map_find(map, (struct text){pair.ptr, n}))
        return status_fail(status, STATUS_USAGE, "'%.*s' is there twice", (int)(n < 60 ? n : 60),
                           pair.ptr);
    map->items = memory_resize(map->items, map->n + 1, sizeof(*map->items));
    item = &map->items[map->n++];
    item->member = memory_string(pair.ptr, n);
    item->name = memory_string(equals + 1, pair.len - n - 1);
    return check_known(item->member, known, status);
}

bool member_map_parse(struct member_map *map, const char *list, const char *const *known,
                      struct status *status)
{
    bool ok = true;

    *map = (struct member_map){0};
    for (size_t n; ok && list[0] != '\0'; list += n + (list[n] == ',')) {
        n = strcspn(list, ",");
        ok = add(map, (struct text){list, n}, known, status);
    }
    if (!ok)
        member_map_release(map);
    return ok;
}

bool member_map_check(const struct member_map *map, const char *const *known,
                      member_map_reads *reads, const void *self, struct status *status)
{
    for (size_t i = 0; i < map->n; i++) {
        const char *member = map->items[i].member;

        if (!reads(self, member) && !check_known(member, known, status))
            return status_context(status, "option '--map'");
    }
    return true;
}

void member_map_release(struct member_map *map)
{
    for (size_t i = 0; i < map->n; i++) {
        free(map->items[i].member);
        free(map->items[i].name);
    }
    free(map->items);
    *map = (struct member_map){0};
}
