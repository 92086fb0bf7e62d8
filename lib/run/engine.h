/* A device with a model on it: what a tool opens before its first record. */
#ifndef RUN_ENGINE_H
#define RUN_ENGINE_H

#include "base/buf.h"
#include "base/status.h"
#include "model/model.h"

struct engine {
    const struct backend *backend;
    struct device *device; /* ours */
    struct model *model;   /* ours */
    int threads;
};

/* threads 0: as many as this process may well use (base/cpu_count.h). On failure *engine is empty.
 */
bool engine_open(struct engine *engine, const char *model_path, const char *device_name,
                 int threads, struct status *status) MUST_CHECK;
void engine_close(struct engine *engine);

/* `"model":..,"device":..,"threads":..` for --stats. */
void engine_write_stats(const struct engine *engine, struct buf *members);

#endif
