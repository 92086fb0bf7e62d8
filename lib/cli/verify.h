/* --verify: a model's files against what was published, as a table on standard output. */
#ifndef CLI_VERIFY_H
#define CLI_VERIFY_H

#include "base/status.h"

/* False: the files cannot be read, or (STATUS_DATA) some differ or are missing; the table says
 * which. */
bool verify_print(const char *path, struct status *status) MUST_CHECK;

#endif
