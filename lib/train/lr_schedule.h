/* The learning rate of each step, as a factor: the schedules of transformers (get_scheduler).
 *
 *   steps k = 0 .. T-1, of which the first W warm up:  k / W
 *   then   linear    (T - k) / (T - W)
 *          cosine    (1 + cos(pi (k - W) / (T - W))) / 2
 *          constant  1
 *
 * With W = 0 the first step has the whole rate, and with a linear schedule the last has 1 / T.
 */
#ifndef TRAIN_LR_SCHEDULE_H
#define TRAIN_LR_SCHEDULE_H

#include <stdint.h>

enum lr_schedule_kind { LR_SCHEDULE_LINEAR, LR_SCHEDULE_COSINE, LR_SCHEDULE_CONSTANT };

struct lr_schedule {
    enum lr_schedule_kind kind;
    uint64_t steps;  /* T */
    uint64_t warmup; /* W, at most T */
};

double lr_schedule_factor(const struct lr_schedule *schedule, uint64_t step);

#endif
