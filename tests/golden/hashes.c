#include "tests/golden/hashes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/memory.h"

uint64_t *hashes_read(const char *name, size_t *n)
{
    struct buf path = {0};
    uint64_t *hashes = NULL, hash;
    FILE *file;

    buf_printf(&path, "tests/golden/%s", name);
    file = fopen(path.data, "r");
    *n = 0;
    while (file && fscanf(file, "%16" SCNx64 "\n", &hash) == 1) {
        hashes = memory_resize(hashes, *n + 1, sizeof(*hashes));
        hashes[(*n)++] = hash;
    }
    if (!file || *n == 0 || !feof(file)) {
        printf("Bail out! %s: not a file of hashes\n", path.data);
        exit(1);
    }
    fclose(file);
    buf_release(&path);
    return hashes;
}

uint64_t hashes_of_ids(const struct tokens *ids)
{
    uint64_t state = HASH_START;

    for (size_t i = 0; i < ids->n; i++) {
        const uint32_t id = (uint32_t)ids->ids[i];
        const unsigned char bytes[4] = {(unsigned char)id, (unsigned char)(id >> 8),
                                        (unsigned char)(id >> 16), (unsigned char)(id >> 24)};

        state = hash_more(state, bytes, sizeof(bytes));
    }
    return hash_mix(state);
}
