#include "train/lr_schedule.h"

#include <math.h>

#define PI 3.14159265358979323846

double lr_schedule_factor(const struct lr_schedule *s, uint64_t step)
{
    const uint64_t rest = s->steps > s->warmup ? s->steps - s->warmup : 1;
    const uint64_t left = s->steps > step ? s->steps - step : 0;

    if (step < s->warmup)
        return (double)step / (double)s->warmup;
    switch (s->kind) {
    case LR_SCHEDULE_CONSTANT:
        return 1;
    case LR_SCHEDULE_COSINE:
        return 0.5 * (1 + cos(PI * (double)(step - s->warmup) / (double)rest));
    default:
        return (double)left / (double)rest;
    }
}
