/* A device, and a model on it: what a tool opens before its first record. */
#ifndef RUN_ENGINE_H
#define RUN_ENGINE_H

#include "base/buf.h"
#include "base/status.h"
#include "model/model.h"

struct engine {
    const struct backend *backend;
    struct device *device; /* ours */
    struct model *model;   /* ours; NULL with engine_open_device */
    int threads;
};

/* The device alone, for a tool whose model is no language model. threads 0: as many as this process
 * may well use (base/cpu_count.h). On failure *engine is empty.
 */
bool engine_open_device(struct engine *engine, const char *device_name, int threads,
                        struct status *status) MUST_CHECK;

/* The device and the language model on it. */
bool engine_open(struct engine *engine, const char *model_path, const char *device_name,
                 int threads, struct status *status) MUST_CHECK;
void engine_close(struct engine *engine);

/* `"model":..,"weights":..,"tokenizer":..,"device":..,"threads":..` for --stats; without those that
 * there are not.
 */
void engine_write_stats(const struct engine *engine, struct buf *members);

/* The file that the model's tokenizer was read from; "none" without one. */
const char *engine_tokenizer(const struct engine *engine);

#endif
