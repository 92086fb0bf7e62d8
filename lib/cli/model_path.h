/* Where a model lies: the path that was given, an installed model of that name, or one in the local
 * Hugging Face cache. */
#ifndef CLI_MODEL_PATH_H
#define CLI_MODEL_PATH_H

#include "base/buf.h"
#include "base/status.h"

/* Writes the path of the model to *path (zero-terminated in path->data).
 *
 * `model` is a path if it exists. Else, if it reads ORG/NAME or ORG/NAME@REVISION, it is looked up
 * in the cache (formats/hub_cache.h), and if it has no slash, as an installed name in
 * $MEDRAT_MODELS, then $XDG_DATA_HOME/medrat/models (by default ~/.local/share/medrat/models), then
 * ./models, then with what ships (cli/share_path.h), then in the cache again, whose oldest models
 * have no ORG. A folder with nothing in it but one file stands for that file. NULL: `default_name`,
 * of which one line on standard error tells unless `quiet`; an error where MEDRAT_NO_DEFAULT is
 * set. Not found: STATUS_NO_INPUT, naming the command that fetches the demo models. */
bool model_path_resolve(const char *model, const char *default_name, bool quiet, struct buf *path,
                        struct status *status) MUST_CHECK;

/* The path `name` if there is one, else what is installed under this name, as above. */
bool model_path_find(const char *name, struct buf *path);

/* The n-th of the folders where models are installed, into *folder; false behind the last. One that
 * cannot be, for want of a variable, is empty. */
bool model_path_folder(int n, struct buf *folder);

#endif
