/* The local cache of Hugging Face's tools, read and never filled:
 *
 *   models--ORG--NAME/refs/main           the commit that "main" is
 *   models--ORG--NAME/snapshots/COMMIT/   the files, links into blobs/
 *
 * below $HF_HUB_CACHE, else $HF_HOME/hub, else $XDG_CACHE_HOME/huggingface/hub, else
 * ~/.cache/huggingface/hub.
 */
#ifndef FORMATS_HUB_CACHE_H
#define FORMATS_HUB_CACHE_H

#include "base/buf.h"
#include "base/status.h"
#include "base/text.h"

/* Can this be the name of a model there, ORG/NAME or ORG/NAME@REVISION? A revision is a branch, a
 * tag or a commit; without one it is main. */
bool hub_cache_is_name(const char *name);

/* Is there a model of this name without an ORG, NAME or NAME@REVISION, as the hub's oldest have it
 * (models--gpt2)? */
bool hub_cache_has_bare(const char *name);

/* Writes the folder of that model's files to *path. STATUS_NO_INPUT, with the path that is missing
 * and the command that fetches it, if it is not there. */
bool hub_cache_find(const char *name, struct buf *path, struct status *status) MUST_CHECK;

/* Of the path of a snapshot's folder, the NAME of its model; empty for any other path. */
struct text hub_cache_model_of(const char *path);

#endif
