/* Which rows a step of training takes: an epoch is all rows in one order, cut into micro-batches of
 * `batch` rows (the last may have fewer), and a step takes `accumulation` micro-batches.
 *
 * By default a step ends with its epoch, so the last of an epoch may have fewer micro-batches. With
 * `carry`, steps go on into the next epoch, and what is left at the very end is not trained on: the
 * rule of transformers before 4.46 (floor(micro-batches / accumulation) * epochs steps), by which
 * the card's 5,681 micro-batches an epoch gave 4,260 steps.
 */
#ifndef TRAIN_TRAIN_PLAN_H
#define TRAIN_TRAIN_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct train_plan {
    size_t n_rows; /* >= 1 */
    int batch, accumulation;
    bool carry;
};

struct train_plan_part {
    uint64_t epoch;       /* from 0 */
    size_t first, n_rows; /* places in the epoch's order */
};

/* Steps of so many epochs; at least 1. */
uint64_t train_plan_steps(const struct train_plan *plan, uint64_t epochs);
/* Steps from one end of an epoch to the next, rounded down with `carry`; at least 1. */
uint64_t train_plan_epoch_steps(const struct train_plan *plan);

/* Micro-batch `i` of `step`, both from 0; false: the step has no more. */
bool train_plan_part(const struct train_plan *plan, uint64_t step, int i,
                     struct train_plan_part *part);

#endif
