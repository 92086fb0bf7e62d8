/* Where the files of a model lie: told by what a path holds, never by how it is spelled. */
#ifndef FORMATS_MODEL_LOCATION_H
#define FORMATS_MODEL_LOCATION_H

#include "base/status.h"

struct model_location {
    bool is_gguf;
    char *path; /* ours; the GGUF file, or the folder that has config.json */
};

/* `path` may be a GGUF file, a folder with config.json, or a folder without one that holds exactly
 * one GGUF file. Anything else is refused with what was found: STATUS_NO_INPUT if the path or its
 * files are not there, STATUS_CONFIG if they are not of a kind that we read. */
bool model_location_find(struct model_location *location, const char *path,
                         struct status *status) MUST_CHECK;
void model_location_release(struct model_location *location);

#endif
