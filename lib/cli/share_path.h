/* Where files that ship with medrat lie: $MEDRAT_SHARE, else ../share/medrat beside the folder of
 * the running program, else the source tree it was built in. */
#ifndef CLI_SHARE_PATH_H
#define CLI_SHARE_PATH_H

#include "base/buf.h"
#include "base/status.h"

/* The path of `relative` ("recipes/raw.yaml") to *path; STATUS_NO_INPUT if it is nowhere. */
bool share_path_find(const char *relative, struct buf *path, struct status *status) MUST_CHECK;

/* A recipe by file (a slash in it, or .yaml or .yml at its end) or by name. An unknown name is
 * STATUS_NO_INPUT and lists the recipes there are. */
bool share_path_recipe(const char *name_or_file, struct buf *path,
                       struct status *status) MUST_CHECK;

#endif
