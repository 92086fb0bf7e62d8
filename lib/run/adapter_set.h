/* The adapters that a run has loaded, by name, and the one that a record asks for. */
#ifndef RUN_ADAPTER_SET_H
#define RUN_ADAPTER_SET_H

#include "base/buf.h"
#include "base/status.h"
#include "formats/record.h"
#include "model/adapter.h"

/* Zeroed = valid and empty: every record has the base alone. */
struct adapter_set {
    struct adapter **adapters; /* [n] ours */
    char **names;              /* [n] ours: what records call them, each another one */
    int n;
};

enum { ADAPTER_NONE = -1 /* the base alone */, ADAPTER_SET_MAX = 1024 };

/* Opens the folders paths[n] as names[n], on the model, which must outlive them. On failure *set is
 * empty; STATUS_USAGE for a name that is there twice, else as adapter_open. */
bool adapter_set_open(struct adapter_set *set, char *const *names, char *const *paths, size_t n,
                      const struct model *model, struct status *status) MUST_CHECK;
void adapter_set_close(struct adapter_set *set); /* before their model */

/* The index of the adapter of a set (NULL: empty) for this record: the one that its member
 * `adapter` names, ADAPTER_NONE where that is null, and the first (ADAPTER_NONE if there is none)
 * where it is absent. STATUS_INPUT: kind "adapter" for a name that none has, "type" for a member
 * that is no string. */
bool adapter_set_choose(const struct adapter_set *set, const struct record *record, int *index,
                        struct status *status) MUST_CHECK;

/* Model and adapter as records name them: "smollm2@0123456789abcdef+card@0123456789abcdef". */
void adapter_set_write_name(const struct adapter_set *set, const struct model *model, int index,
                            struct buf *out);

/* `"adapters":[{"name","adapter","modules","max_rank","weights"}]` for --stats; nothing if there
 * is none. */
void adapter_set_write_stats(const struct adapter_set *set, struct buf *members);

/* Lines for people: what to know about them, and if verbose also what they are. */
void adapter_set_describe(const struct adapter_set *set, bool verbose, struct buf *lines);

#endif
