#include "run/score_regions.h"

const char *const score_region_names[SCORE_REGIONS] = {
    [SCORE_TEMPLATE] = "template",
    [SCORE_QUERY] = "query",
    [SCORE_COMPLETION] = "completion",
    [SCORE_PLAIN] = "plain",
};
