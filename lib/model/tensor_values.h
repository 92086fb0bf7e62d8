/* Weights that are no numbers: a file that was damaged, or a training run that diverged. */
#ifndef MODEL_TENSOR_VALUES_H
#define MODEL_TENSOR_VALUES_H

#include "base/status.h"
#include "compute/backend.h"

/* STATUS_CONFIG and the first value that is NaN or infinite; of a type of blocks, the first whose
 * factors are. What NF4's codes stand for was checked with its absmax. */
bool tensor_values_check(const struct tensor_view *view, struct status *status) MUST_CHECK;

#endif
