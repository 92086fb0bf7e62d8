/* Other names for members: --map query=question,passages=ctxs,passages.text=contents. Where a tool
 * reads `query`, it takes `question`, and nothing else; the record stays as it is. */
#ifndef FORMATS_MEMBER_MAP_H
#define FORMATS_MEMBER_MAP_H

#include <stddef.h>

#include "base/status.h"
#include "base/text.h"

struct member_name {
    char *member, *name; /* ours */
};

/* Zeroed = valid and empty. */
struct member_map {
    struct member_name *items; /* [n] ours */
    size_t n;
};

/* known: the members that can be mapped, NULL behind the last; NULL: any. STATUS_USAGE with what is
 * wrong. A name with a comma or '=' in it cannot be said. */
bool member_map_parse(struct member_map *map, const char *list, const char *const *known,
                      struct status *status) MUST_CHECK;
/* The same check on its own, where more members than `known` can be mapped: those that `reads` says
 * yes to. */
typedef bool member_map_reads(const void *self, const char *member);
bool member_map_check(const struct member_map *map, const char *const *known,
                      member_map_reads *reads, const void *self, struct status *status) MUST_CHECK;
void member_map_release(struct member_map *map);

/* What `member`, perhaps "passages.text", is called; NULL where nothing was said. map NULL: empty.
 */
const struct member_name *member_map_find(const struct member_map *map, struct text member);

#endif
