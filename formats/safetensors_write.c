#include "formats/safetensors_write.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/float16.h"
#include "formats/json_write.h"
#include "formats/output_file.h"

enum { CHUNK = 4096 }; /* elements that are converted at a time */

static size_t count(const struct safetensors_write_tensor *t)
{
    return t->n_dims == 2 ? t->shape[0] * t->shape[1] : t->shape[0];
}

static size_t element_size(const struct safetensors_write_tensor *t)
{
    return t->dtype == DTYPE_F32 ? 4 : t->dtype == DTYPE_F16 ? 2 : 1;
}

static const char *type_name(const struct safetensors_write_tensor *t)
{
    return t->dtype == DTYPE_NONE ? "U8" : dtype_name(t->dtype);
}

static int compare(const void *left, const void *right)
{
    const struct safetensors_write_tensor *a = left, *b = right;

    if (element_size(a) != element_size(b))
        return element_size(a) > element_size(b) ? -1 : 1;
    return strcmp(a->name, b->name);
}

static void write_entry(const struct safetensors_write_tensor *t, size_t begin, struct buf *out)
{
    json_write_comma(out);
    json_write_string(out, text_of(t->name));
    buf_printf(out, ":{\"dtype\":\"%s\",\"shape\":[%zu", type_name(t), t->shape[0]);
    if (t->n_dims == 2)
        buf_printf(out, ",%zu", t->shape[1]);
    buf_printf(out, "],\"data_offsets\":[%zu,%zu]}", begin, begin + count(t) * element_size(t));
}

/* The length of the header, and the header. */
static void write_header(const struct safetensors_write_tensor *tensors, size_t n, struct buf *out)
{
    struct buf header = {0};
    size_t at = 0;

    buf_append_string(&header, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < n; i++) {
        write_entry(&tensors[i], at, &header);
        at += count(&tensors[i]) * element_size(&tensors[i]);
    }
    buf_append_char(&header, '}');
    while (header.len % 8 != 0)
        buf_append_char(&header, ' ');
    for (int i = 0; i < 8; i++)
        buf_append_char(out, (char)(uint8_t)((uint64_t)header.len >> (8 * i)));
    buf_append_text(out, buf_text(&header));
    buf_release(&header);
}

static bool append(const struct safetensors_write_tensor *t, float x, struct buf *out,
                   struct status *status)
{
    const uint16_t half = float_to_f16(x);
    const uint32_t bits = t->dtype == DTYPE_F32 ? float_to_bits(x) : half;

    if (!isfinite(x))
        return status_fail(status, STATUS_DATA, "tensor '%s': a value is %s", t->name,
                           isnan(x) ? "NaN" : "infinite");
    if (t->dtype == DTYPE_F16 && !isfinite(f16_to_float(half)))
        return status_fail(status, STATUS_DATA, "tensor '%s': %g is too large for F16", t->name,
                           (double)x);
    for (size_t i = 0; i < element_size(t); i++)
        buf_append_char(out, (char)(uint8_t)(bits >> (8 * i)));
    return true;
}

static bool write_floats(struct output_file *file, const struct safetensors_write_tensor *t,
                         struct buf *chunk, struct status *status)
{
    const size_t n = count(t);

    for (size_t first = 0; first < n; first += CHUNK) {
        const size_t end = n - first < CHUNK ? n : first + CHUNK;

        buf_reset(chunk);
        for (size_t i = first; i < end; i++) {
            if (!append(t, t->floats[i], chunk, status))
                return false;
        }
        if (!output_file_write(file, buf_text(chunk), status))
            return false;
    }
    return true;
}

static bool write_all(struct output_file *file, const struct safetensors_write_tensor *tensors,
                      size_t n, struct status *status)
{
    struct buf chunk = {0};
    bool ok;

    write_header(tensors, n, &chunk);
    ok = output_file_write(file, buf_text(&chunk), status);
    for (size_t i = 0; ok && i < n; i++) {
        const struct safetensors_write_tensor *t = &tensors[i];

        ok = t->dtype == DTYPE_NONE
                 ? output_file_write(file, (struct text){(const char *)t->bytes, count(t)}, status)
                 : write_floats(file, t, &chunk, status);
    }
    buf_release(&chunk);
    return ok;
}

bool safetensors_write(const char *path, struct safetensors_write_tensor *tensors, size_t n,
                       struct status *status)
{
    struct output_file *file = output_file_open(path, status);

    if (!file)
        return false;
    qsort(tensors, n, sizeof(*tensors), compare);
    if (write_all(file, tensors, n, status))
        return output_file_commit(file, status);
    output_file_discard(file);
    return status->code == STATUS_IO ? false : status_context(status, "%s", path);
}
