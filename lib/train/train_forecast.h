/* --plan of training: what a run would take, from all of its rows and the headers of its model. */
#ifndef TRAIN_TRAIN_FORECAST_H
#define TRAIN_TRAIN_FORECAST_H

#include "base/buf.h"
#include "train/train_setup.h"

struct train_forecast {
    const struct train_setup *setup; /* opened with headers */
    const struct train_rows *rows;   /* at least one */
    const char *stats;               /* the --stats file of an earlier run; NULL: none */
};

/* Appends `"plan":{...}`: formats/README.md has its members. */
void train_forecast_write(const struct train_forecast *forecast, struct buf *members);

#endif
