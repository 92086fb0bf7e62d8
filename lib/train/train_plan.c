#include "train/train_plan.h"

static uint64_t micro_batches(const struct train_plan *p)
{
    return (p->n_rows + (size_t)p->batch - 1) / (size_t)p->batch;
}

/* An epoch shorter than a step is a step by either rule. */
static bool carries(const struct train_plan *p)
{
    return p->carry && micro_batches(p) >= (uint64_t)p->accumulation;
}

uint64_t train_plan_epoch_steps(const struct train_plan *p)
{
    const uint64_t n = (uint64_t)p->accumulation;

    return carries(p) ? micro_batches(p) / n : (micro_batches(p) + n - 1) / n;
}

uint64_t train_plan_steps(const struct train_plan *p, uint64_t epochs)
{
    return train_plan_epoch_steps(p) * epochs;
}

bool train_plan_part(const struct train_plan *p, uint64_t step, int i, struct train_plan_part *part)
{
    const uint64_t n = micro_batches(p), an_epoch = train_plan_epoch_steps(p);
    uint64_t micro; /* within its epoch */

    if (i >= p->accumulation)
        return false;
    if (carries(p)) {
        const uint64_t whole = step * (uint64_t)p->accumulation + (uint64_t)i;

        part->epoch = whole / n;
        micro = whole % n;
    } else {
        part->epoch = step / an_epoch;
        micro = step % an_epoch * (uint64_t)p->accumulation + (uint64_t)i;
        if (micro >= n)
            return false;
    }
    part->first = (size_t)micro * (size_t)p->batch;
    part->n_rows = p->n_rows - part->first;
    if (part->n_rows > (size_t)p->batch)
        part->n_rows = (size_t)p->batch;
    return true;
}
