/* Files of models that were published, by size and SHA-256: what --verify holds a download against.
 */
#ifndef FORMATS_KNOWN_MODELS_H
#define FORMATS_KNOWN_MODELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

struct known_file {
    const char *name;
    uint64_t size; /* bytes */
    const char *sha256;
    bool needed; /* nothing runs without it */
};

struct known_model {
    const char *name; /* ORG/NAME; an installed model's name */
    const struct known_file *files;
    size_t n_files;
    const char *sign; /* the file that tells this model from others: by its content, and a GGUF
                         file by its name */
};

extern const struct known_model known_models[];
extern const size_t known_models_n;

/* NULL: the model has no such file. */
const struct known_file *known_models_file(const struct known_model *model, struct text name);

#endif
