/* Are these the files that were published? Sizes and SHA-256 of the files of a model's folder (or
 * of a single file), held against formats/known_models.h, and in the cache of Hugging Face's tools
 * against the names of the blobs, which for large files are their SHA-256.
 *
 * A folder is that of a known model if it lies in the cache under its name, or has its telling
 * file.
 */
#ifndef FORMATS_MODEL_CHECK_H
#define FORMATS_MODEL_CHECK_H

#include <stdint.h>

#include "base/sha256.h"
#include "base/status.h"
#include "formats/known_models.h"

enum model_check_result {
    MODEL_CHECK_PUBLISHED, /* as published */
    MODEL_CHECK_BLOB,      /* not known here, but as its blob in the cache is called */
    MODEL_CHECK_UNKNOWN,   /* nothing to hold it against */
    MODEL_CHECK_DIFFERS,   /* from that, or in itself: weights that no reader takes */
    MODEL_CHECK_MISSING,   /* a file that the known model needs */
};

struct model_check_file {
    const char *name;
    enum model_check_result result;
    uint64_t size;               /* 0 if missing */
    char sha256[SHA256_HEX + 1]; /* "" if missing */
    const char *why;             /* what differs; else NULL */
    struct status unreadable;    /* what `why` may point to */
};

struct model_check {
    const struct known_model *model;     /* NULL: none that is known */
    unsigned n[MODEL_CHECK_MISSING + 1]; /* files of each result */
};

/* Reads all files below no further folder, hidden ones aside, in order of their names, and tells of
 * each. False: they cannot be read. */
typedef void model_check_tell(const struct model_check_file *file, void *context);
bool model_check_run(const char *path, model_check_tell *tell, void *context,
                     struct model_check *check, struct status *status) MUST_CHECK;

#endif
