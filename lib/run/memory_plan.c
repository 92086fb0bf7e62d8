#include "run/memory_plan.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/process_memory.h"
#include "formats/safetensors.h"
#include "model/forward.h"
#include "model/weights.h"
#include "run/engine.h"
#include "run/scheduler.h"

/* Without one a run goes on as well, so a failure is nothing here. */
static size_t measure_tokenizer(const struct model_files *files, size_t before)
{
    struct status status;
    struct tokenizer *tokenizer = files->is_gguf
                                      ? tokenizer_open_gguf(&files->gguf, files->path, &status)
                                      : tokenizer_open_folder(files->path, &status);
    const size_t after = process_memory_resident();

    tokenizer_close(tokenizer);
    return after > before ? after - before : 0;
}

/* The low-rank matrices of a folder: A is a linear layer, B is looked up by rows. */
static bool add_adapter(struct memory_plan *plan, const struct engine *e, const char *folder,
                        struct status *status)
{
    struct tensor_file file;
    struct buf path = {0};
    bool ok;

    buf_printf(&path, "%s/adapter_model.safetensors", folder);
    ok = safetensors_open(&file, path.data, status);
    for (size_t i = 0; ok && i < file.n_entries; i++) {
        const struct tensor_entry *t = &file.entries[i];
        const struct tensor_view view = {t->dtype, t->shape[0], t->shape[1],
                                         t->data,  t->size,     NULL};

        if (t->dtype != DTYPE_NONE && t->n_dims == 2)
            plan->adapters +=
                e->backend->matrix_size(e->device, &view, strstr(t->name, ".lora_A.") != NULL);
    }
    if (ok)
        tensor_file_close(&file);
    buf_release(&path);
    return ok;
}

static size_t largest_tensor(const struct tensor_file *file)
{
    size_t largest = 0;

    for (size_t i = 0; i < file->n_entries; i++)
        largest = file->entries[i].size > largest ? file->entries[i].size : largest;
    return largest;
}

static void add_up(struct memory_plan *plan)
{
    const size_t later = plan->kv_cache + plan->scratch + plan->adapters;

    plan->total = plan->program + plan->tokenizer + plan->weights +
                  (later > plan->loading ? later : plan->loading);
}

static bool fill(struct memory_plan *plan, const struct engine *e, const struct model_files *files,
                 const struct memory_plan_options *o, struct status *status)
{
    const struct scheduler_options scheduling = {.n_slots = o->batch, .threads = e->threads};
    const size_t legs = (size_t)o->legs;

    if (files->config.architecture != ARCH_LLAMA)
        return true; /* what opens the model refuses it */
    if (!weights_size_llama(&plan->weights, files, e->backend, e->device, status))
        return status_context(status, "%s", o->model_path);
    plan->loading = 2 * largest_tensor(model_files_tensors(files)); /* as it is, and packed */
    scheduler_memory(&files->config, e->backend, e->device, &scheduling, o->longest,
                     &plan->kv_cache, &plan->scratch);
    plan->kv_cache *= legs;
    plan->scratch *= legs;
    for (size_t i = 0; i < o->n_adapters; i++) {
        if (!add_adapter(plan, e, o->adapters[i], status))
            return false;
    }
    plan->tokenizer = measure_tokenizer(files, plan->program);
    add_up(plan);
    return true;
}

bool memory_plan_make(struct memory_plan *plan, const struct memory_plan_options *options,
                      struct status *status)
{
    struct model_files files;
    struct engine engine;
    bool ok;

    *plan = (struct memory_plan){.program = process_memory_resident()};
    if (!engine_open_device(&engine, options->device_name, options->threads, status))
        return false;
    ok = model_files_open(&files, options->model_path, status);
    if (ok) {
        files.quantize = options->quantize;
        ok = fill(plan, &engine, &files, options, status);
        model_files_close(&files);
    }
    engine_close(&engine);
    return ok;
}

static void write_size(struct buf *out, const char *name, size_t bytes)
{
    buf_printf(out, ", %s %.1f MiB", name, (double)bytes / (1 << 20));
}

bool memory_plan_check(const struct memory_plan_options *options, size_t limit,
                       struct status *status)
{
    struct memory_plan plan;
    struct buf parts = {0};

    if (limit == 0)
        return true;
    if (!memory_plan_make(&plan, options, status))
        return false;
    if (plan.total <= limit)
        return true;
    write_size(&parts, "weights", plan.weights);
    write_size(&parts, "KV cache", plan.kv_cache);
    write_size(&parts, "scratch", plan.scratch);
    write_size(&parts, "adapters", plan.adapters);
    write_size(&parts, "tokenizer", plan.tokenizer);
    write_size(&parts, "program", plan.program);
    write_size(&parts, "while loading", plan.loading);
    status_set(status, STATUS_MEMORY,
               "the run may need %.1f MiB, --mem allows %.1f%s; --batch and --max-length make the "
               "KV cache smaller",
               (double)plan.total / (1 << 20), (double)limit / (1 << 20), parts.data);
    buf_release(&parts);
    return false;
}
