#include "run/engine.h"

#include <stdio.h>
#include <string.h>

#include "base/cpu_count.h"
#include "formats/json_write.h"
#include "text/tokenizer_identity.h"

bool engine_open_device(struct engine *e, const char *device_name, int threads,
                        struct status *status)
{
    struct device_options options;

    *e = (struct engine){.threads = threads > 0 ? threads : cpu_count().threads};
    options = (struct device_options){.n_threads = e->threads};
    e->backend = backend_find(device_name, status);
    if (!e->backend)
        return false;
    e->device = e->backend->open(&options, status);
    return e->device != NULL;
}

typedef struct model *opener(const char *path, enum quantize quantize,
                             const struct backend *backend, struct device *device,
                             struct status *status);

static bool open_engine(struct engine *e, opener *open_model, const char *model_path,
                        enum quantize quantize, const char *device_name, int threads,
                        struct status *status)
{
    if (engine_open_device(e, device_name, threads, status))
        e->model = open_model(model_path, quantize, e->backend, e->device, status);
    if (!e->model) {
        engine_close(e);
        return false;
    }
    return true;
}

bool engine_open(struct engine *e, const char *model_path, enum quantize quantize,
                 const char *device_name, int threads, struct status *status)
{
    return open_engine(e, model_open_quantised, model_path, quantize, device_name, threads, status);
}

bool engine_open_headers(struct engine *e, const char *model_path, enum quantize quantize,
                         const char *device_name, int threads, struct status *status)
{
    return open_engine(e, model_open_headers, model_path, quantize, device_name, threads, status);
}

bool engine_open_adapters(struct engine *e, char *const *names, char *const *paths, size_t n,
                          struct status *status)
{
    return adapter_set_open(&e->adapters, names, paths, n, e->model, status);
}

void engine_close(struct engine *e)
{
    adapter_set_close(&e->adapters);
    model_close(e->model);
    if (e->device)
        e->backend->close(e->device);
    *e = (struct engine){0};
}

const char *engine_tokenizer(const struct engine *e)
{
    return e->model && e->model->tokenizer ? tokenizer_source(e->model->tokenizer) : "none";
}

void engine_write_stats(const struct engine *e, struct buf *members)
{
    if (e->model) {
        json_write_name(members, "model");
        json_write_string(members, text_of(e->model->name));
        json_write_name(members, "weights");
        json_write_string(members, buf_text(&e->model->weights_source));
    }
    adapter_set_write_stats(&e->adapters, members);
    if (e->model && e->model->tokenizer) {
        json_write_name(members, "tokenizer");
        json_write_string(members, text_of(tokenizer_source(e->model->tokenizer)));
    }
    json_write_name(members, "device");
    json_write_string(members, text_of(e->backend->describe(e->device)));
    json_write_name(members, "threads");
    json_write_int(members, e->threads);
}

static void put(json_t *settings, const char *name, const char *value)
{
    json_object_set_new(settings, name, json_string(value));
}

static void put_adapters(const struct adapter_set *set, json_t *settings)
{
    struct buf list = {0};

    for (int i = 0; i < set->n; i++)
        buf_printf(&list, "%s%s=%s", i > 0 ? ", " : "", set->names[i], set->adapters[i]->name);
    put(settings, "adapters", set->n > 0 ? list.data : "none");
    buf_release(&list);
}

void engine_settings(const struct engine *e, json_t *settings)
{
    const char *device = e->backend->describe(e->device);
    char identity[TOKENIZER_IDENTITY_SIZE];
    char kernels[64];

    if (e->model) {
        put(settings, "model", e->model->name);
        put_adapters(&e->adapters, settings);
    }
    if (e->model && e->model->tokenizer) {
        tokenizer_identity(e->model->tokenizer, identity);
        put(settings, "tokenizer", identity);
    }
    snprintf(kernels, sizeof(kernels), "%.*s", (int)strcspn(device, ","), device);
    put(settings, "kernels", kernels);
}
