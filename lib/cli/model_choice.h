/* The model and the adapters that -m and --adapter ask for, as paths.
 *
 * -m may be the folder of an adapter alone (adapter_config.json, no weights of a model): then its
 * base is looked for, and it is the first of the adapters. A base named "ORG/NAME" by the adapter's
 * config is, in this order, a path; that model in the local Hugging Face cache; the installed model
 * whose name fits best (formats/model_name.h: "SmolLM2-135M-Instruct" finds "smollm2"). Whether it
 * is the right one, the shapes of the adapter's tensors decide.
 */
#ifndef CLI_MODEL_CHOICE_H
#define CLI_MODEL_CHOICE_H

#include "base/buf.h"
#include "base/status.h"
#include "cli/cli.h"

struct model_choice {
    struct buf model;     /* path */
    char **adapter_names; /* [n_adapters] ours: of NAME=DIR, else the last part of DIR */
    char **adapter_paths; /* [n_adapters] ours, in the order they were given */
    size_t n_adapters;
};

/* `model` and `default_name` as model_path_resolve; each of `adapters` is DIR or NAME=DIR, where
 * DIR may also be the name of an installed folder or of an adapter that ships with medrat, or
 * ORG/NAME in the Hugging Face cache, and a NAME has no '/'. Where neither model nor adapter is
 * given, the model has default_adapter (NULL: none). Says on standard error which base was found,
 * unless quiet. On failure *choice is empty: as model_path_resolve, or STATUS_NO_INPUT with what
 * would install the base. */
bool model_choice_make(struct model_choice *choice, const char *model, const char *default_name,
                       const char *default_adapter, const struct cli_strings *adapters, bool quiet,
                       struct status *status) MUST_CHECK;
void model_choice_release(struct model_choice *choice);

#endif
