/* One tensor of an adapter's file, checked before it is used. */
#ifndef MODEL_ADAPTER_TENSOR_H
#define MODEL_ADAPTER_TENSOR_H

#include "base/status.h"
#include "compute/backend.h"
#include "formats/tensor_file.h"

/* The tensor as a view of rows x cols. STATUS_CONFIG, the message begins with the tensor, if it has
 * another shape, is neither F32, F16 nor BF16, or holds NaN or infinity. */
bool adapter_tensor_view(const struct tensor_entry *tensor, size_t rows, size_t cols,
                         struct tensor_view *view, struct status *status) MUST_CHECK;

/* How far a tensor of rows x cols, which is checked as above, is from a matrix on the device:
 * *distance = |tensor - matrix| / |matrix|, the square root of sums of squares. */
bool adapter_tensor_distance(const struct tensor_entry *tensor, const struct backend *backend,
                             struct device *device, const struct matrix *matrix, size_t rows,
                             size_t cols, double *distance, struct status *status) MUST_CHECK;

#endif
