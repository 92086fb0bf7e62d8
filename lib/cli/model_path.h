/* Where a model lies: the path that was given, or an installed model of that name. */
#ifndef CLI_MODEL_PATH_H
#define CLI_MODEL_PATH_H

#include "base/buf.h"
#include "base/status.h"

/* Writes the path of the model to *path (zero-terminated in path->data).
 *
 * `model` is a path if it exists or holds a slash, else a name, looked up in $MEDRAT_MODELS, then
 * $XDG_DATA_HOME/medrat/models (by default ~/.local/share/medrat/models), then ./models. A folder
 * with nothing in it but one file stands for that file. NULL: `default_name`, of which one line on
 * standard error tells unless `quiet`; an error where MEDRAT_NO_DEFAULT is set.
 * Not found: STATUS_NO_INPUT, naming the command that fetches the demo models. */
bool model_path_resolve(const char *model, const char *default_name, bool quiet, struct buf *path,
                        struct status *status) MUST_CHECK;

#endif
