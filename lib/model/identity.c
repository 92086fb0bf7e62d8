#include "model/identity.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "formats/model_name.h"

enum { SAMPLES = 16, SAMPLE_BYTES = 64 }; /* runs of bytes of a tensor that is not read whole */

static uint64_t hash_tensor(uint64_t h, const struct tensor_entry *t, enum identity_bytes bytes)
{
    const size_t run = t->size < SAMPLE_BYTES ? t->size : SAMPLE_BYTES;

    h = hash_more(h, t->name, strlen(t->name) + 1);
    h = hash_more(h, t->type_name, strlen(t->type_name) + 1);
    for (int i = 0; i < t->n_dims; i++) {
        const uint64_t n = t->shape[i];

        h = hash_more(h, &n, sizeof(n));
    }
    if (bytes == IDENTITY_ALL)
        return hash_more(h, t->data, t->size);
    for (size_t i = 0; i < SAMPLES && run > 0; i++)
        h = hash_more(h, t->data + (t->size - run) / (SAMPLES - 1) * i, run);
    return h;
}

void identity_of(const struct tensor_file *tensors, enum identity_bytes bytes, uint64_t start,
                 const char *path, char name[IDENTITY_SIZE])
{
    const size_t room = IDENTITY_SIZE - sizeof("@0123456789abcdef");
    struct text shown = model_name_of(path);
    uint64_t h = start;

    for (size_t i = 0; i < tensors->n_entries; i++) {
        h = hash_tensor(h, &tensors->entries[i], bytes);
        /* a few looks bring large parts of a file into memory */
        tensor_file_drop(tensors, tensors->entries[i].data, tensors->entries[i].size);
    }
    if (shown.len > room)
        shown.len = room;
    snprintf(name, IDENTITY_SIZE, "%.*s@%016llx", (int)shown.len, shown.ptr,
             (unsigned long long)hash_mix(h));
    for (char *p = name; *p; p++) { /* file names may be any bytes, records are UTF-8 */
        if (*p < ' ' || *p > '~')
            *p = '_';
    }
}
