/* GGUF: whatever is accepted lies inside the file, and every getter stands every key. */
#include <stdlib.h>

#include "formats/gguf.h"
#include "formats/gguf_pairs.h"
#include "fuzz.h"

static unsigned sum_text(struct text text)
{
    unsigned sum = 0;

    for (size_t i = 0; i < text.len; i++)
        sum += (unsigned char)text.ptr[i];
    return sum;
}

/* Ask for the key as each type; only one can give it. */
static unsigned get_all(const struct gguf *gguf, const char *key)
{
    struct status status;
    uint64_t number;
    double real;
    bool yes, found;
    struct text text;
    const struct text *texts;
    int32_t *ints;
    float *floats;
    size_t n;
    unsigned sum = 0;

    sum += gguf_uint(gguf, key, &number, &found, &status);
    sum += gguf_float(gguf, key, &real, NULL, &status);
    sum += gguf_bool(gguf, key, &yes, NULL, &status);
    if (gguf_string(gguf, key, &text, NULL, &status))
        sum += sum_text(text);
    if (gguf_string_array(gguf, key, &texts, &n, NULL, &status)) {
        for (size_t i = 0; i < n; i++)
            sum += sum_text(texts[i]);
    }
    if (gguf_int_array(gguf, key, &ints, &n, NULL, &status))
        free(ints);
    if (gguf_float_array(gguf, key, &floats, &n, NULL, &status))
        free(floats);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gguf gguf;
    struct status status;
    unsigned sum = 0;

    if (!gguf_read(&gguf, data, size, &status))
        return 0;
    for (size_t i = 0; i < gguf.n_pairs; i++) {
        char key[GGUF_MAX_KEY + 1] = {0};

        memcpy(key, gguf.pairs[i].key.ptr, gguf.pairs[i].key.len);
        if (gguf_pairs_find(&gguf, key) != &gguf.pairs[i])
            abort();
        sum += get_all(&gguf, key);
    }
    for (size_t i = 0; i < gguf.tensors.n_entries; i++) {
        const struct tensor_entry *entry = &gguf.tensors.entries[i];

        if (tensor_file_find(&gguf.tensors, entry->name) != entry)
            abort();
        for (size_t k = 0; k < entry->size; k++)
            sum += entry->data[k];
    }
    gguf_close(&gguf);
    return sum == 1 && size == 0; /* keeps the reads; never true */
}
