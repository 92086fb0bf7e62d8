/* Quantised weights of a safetensors file: what is accepted holds the promises of bnb_state.h, and
 * all bytes that it points at are there. */
#include <math.h>
#include <stdlib.h>

#include "formats/bnb_state.h"
#include "formats/safetensors.h"
#include "fuzz.h"

static void check(const struct bnb_state *s, const struct tensor_entry *weight)
{
    struct status status = {0};
    float *absmax;

    require(s->block >= 32 && (s->block & (s->block - 1)) == 0 && s->cols % 32 == 0);
    require(s->rows * s->cols == 2 * weight->size && s->codes == weight->data);
    require((s->n_blocks - 1) * s->block < s->rows * s->cols);
    for (size_t i = 0; i < NF4_CODES; i++)
        require(s->values[i] >= -1 && s->values[i] <= 1);
    absmax = malloc(s->n_blocks * sizeof(*absmax));
    require(absmax != NULL);
    if (bnb_state_absmax(s, absmax, &status)) {
        for (size_t i = 0; i < s->n_blocks; i++)
            require(isfinite(absmax[i]));
    } else {
        require(status.code == STATUS_CONFIG && status.message[0]);
    }
    free(absmax);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct status status = {0};
    struct tensor_file file;

    if (!safetensors_read(&file, data, size, &status))
        return 0;
    for (size_t i = 0; i < file.n_entries; i++) {
        struct bnb_state s;

        if (!bnb_state_is(&file, &file.entries[i]))
            continue;
        if (bnb_state_read(&s, &file, &file.entries[i], NULL, &status))
            check(&s, &file.entries[i]);
        else
            require(status.code == STATUS_CONFIG && status.message[0]);
    }
    tensor_file_close(&file);
    return 0;
}
