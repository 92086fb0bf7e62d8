/* A device, a model on it, and its adapters: what a tool opens before its first record. */
#ifndef RUN_ENGINE_H
#define RUN_ENGINE_H

#include <jansson.h>

#include "base/buf.h"
#include "base/status.h"
#include "model/model.h"
#include "run/adapter_set.h"

struct engine {
    const struct backend *backend;
    struct device *device;       /* ours */
    struct model *model;         /* ours; NULL with engine_open_device */
    struct adapter_set adapters; /* ours; empty until engine_open_adapters */
    int threads;
};

/* The device alone, for a tool whose model is no language model. threads 0: as many as this process
 * may well use (base/cpu_count.h). On failure *engine is empty.
 */
bool engine_open_device(struct engine *engine, const char *device_name, int threads,
                        struct status *status) MUST_CHECK;

/* The device and the language model on it. */
bool engine_open(struct engine *engine, const char *model_path, enum quantize quantize,
                 const char *device_name, int threads, struct status *status) MUST_CHECK;
/* The same without its weights (model_open_headers). */
bool engine_open_headers(struct engine *engine, const char *model_path, enum quantize quantize,
                         const char *device_name, int threads, struct status *status) MUST_CHECK;
void engine_close(struct engine *engine);

/* Adapters for the engine's model: the folders paths[n], which records call names[n]. On failure
 * the engine has none. */
bool engine_open_adapters(struct engine *engine, char *const *names, char *const *paths, size_t n,
                          struct status *status) MUST_CHECK;

/* `"model":..,"weights":..,"adapters":..,"tokenizer":..,"device":..,"threads":..` for --stats;
 * without those that there are not.
 */
void engine_write_stats(const struct engine *engine, struct buf *members);

/* What shapes results, by name and as texts (formats/run_settings.h): "model", "adapters",
 * "tokenizer", as far as there are, and "kernels". */
void engine_settings(const struct engine *engine, json_t *settings);

/* The file that the model's tokenizer was read from; "none" without one. */
const char *engine_tokenizer(const struct engine *engine);

#endif
