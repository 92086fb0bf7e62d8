/* --plan: what a run would take, from its records, told before it begins. */
#ifndef RUN_RUN_PLAN_H
#define RUN_RUN_PLAN_H

#include "base/buf.h"
#include "base/status.h"
#include "run/engine.h"
#include "run/length_counts.h"
#include "run/memory_plan.h"

/* Zeroed = valid and empty. */
struct run_plan {
    struct length_counts lengths;
    uint64_t n_truncated, n_truncated_tokens;
    uint64_t max_new_tokens; /* that a record may get; 0: none */
    struct memory_plan memory;
    double tokens_per_second; /* of an earlier run; 0: not known ... */
    struct status no_speed;   /* ... for this reason */
};

void run_plan_add(struct run_plan *plan, size_t tokens, size_t truncated);

/* The speed of an earlier run of `tool`, from its --stats file; `member` has the tokens that count
 * here as the length of a record. It is known if model and device were the same. */
void run_plan_take_speed(struct run_plan *plan, const char *stats, const char *tool,
                         const char *member, const struct engine *engine);

/* Appends `"seconds":..` for so many tokens, or null and the reason. */
void run_plan_write_seconds(const struct run_plan *plan, double tokens, struct buf *members);

/* Appends `"plan":{...}`: formats/README.md has its members. */
void run_plan_write(const struct run_plan *plan, struct buf *members);
void run_plan_release(struct run_plan *plan);

#endif
