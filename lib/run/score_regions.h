/* What the regions of a text are called in files. */
#ifndef RUN_SCORE_REGIONS_H
#define RUN_SCORE_REGIONS_H

#include "run/score_result.h"

extern const char *const score_region_names[SCORE_REGIONS];

#endif
