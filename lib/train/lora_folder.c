#include "train/lora_folder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/float16.h"
#include "base/memory.h"
#include "base/number.h"
#include "formats/json_file.h"
#include "formats/model_name.h"
#include "formats/safetensors.h"
#include "model/adapter.h"
#include "model/adapter_tensor.h"

#define WEIGHTS_FILE "adapter_model.safetensors"

static void module_path(const struct lora_module *module, char path[PEFT_WRITE_PATH])
{
    snprintf(path, PEFT_WRITE_PATH, "model.layers.%d.%s", module->layer,
             lora_target_path(module->target));
}

/* -- to a folder -- */

bool lora_folder_write(const struct lora *lora, const char *folder, const char *base_model,
                       enum dtype dtype, struct status *status)
{
    const size_t n = (size_t)lora->n_modules;
    struct peft_write_module *modules = memory_zeroed(n, sizeof(*modules));
    const char *targets[LORA_TARGETS];
    struct peft_write_adapter adapter = {
        .base_model = base_model,
        .rank = lora->options.rank,
        .alpha = number_shortest(lora->options.alpha),
        .dropout = number_shortest(lora->options.dropout),
        .rslora = lora->options.rslora,
        .targets = targets,
        .modules = modules,
        .n_modules = n,
        .dtype = dtype,
    };
    bool ok;

    for (int t = 0; t < LORA_TARGETS; t++) {
        if (lora->options.targets >> t & 1)
            targets[adapter.n_targets++] = lora_target_name((enum lora_target)t);
    }
    for (size_t i = 0; i < n; i++) {
        const struct lora_module *m = &lora->modules[i];

        module_path(m, modules[i].path);
        modules[i].in = (size_t)m->in;
        modules[i].out = (size_t)m->out;
        modules[i].a = lora->values + m->a;
        modules[i].b = lora->values + m->b;
    }
    ok = peft_write(folder, &adapter, status);
    free(modules);
    return ok;
}

/* -- from a folder -- */

static bool fail_uneven(const char *folder, const char *what, struct status *status)
{
    return status_fail(status, STATUS_CONFIG,
                       "%s/" PEFT_CONFIG_FILE
                       ": %s: training goes on only from adapters that are alike in all layers",
                       folder, what);
}

static const struct adapter_linear *linear_of(const struct adapter_layer *layer,
                                              enum lora_target target)
{
    const struct adapter_linear *const linears[LORA_TARGETS] = {
        &layer->q_proj,    &layer->k_proj,  &layer->v_proj,    &layer->o_proj,
        &layer->gate_proj, &layer->up_proj, &layer->down_proj,
    };

    return linears[target];
}

/* The targets of the first layer, and all others alike. */
static bool check_layers(const struct adapter *a, const char *folder, struct lora_options *options,
                         struct status *status)
{
    const double root = options->rslora ? sqrt((double)options->rank) : (double)options->rank;
    const float scale = (float)((double)options->alpha / root);

    if (a->lm_head.a)
        return fail_uneven(folder, "target_modules has 'lm_head'", status);
    for (int i = 0; i < a->n_layers; i++) {
        for (int t = 0; t < LORA_TARGETS; t++) {
            const struct adapter_linear *linear = linear_of(&a->layers[i], (enum lora_target)t);

            if (i == 0 && linear->a)
                options->targets |= 1u << t;
            if ((linear->a != NULL) != (options->targets >> t & 1))
                return fail_uneven(folder, "some layers have modules that others have not", status);
            if (linear->a && linear->rank != options->rank)
                return fail_uneven(folder, "rank_pattern", status);
            if (linear->a && (linear->scale < scale || linear->scale > scale))
                return fail_uneven(folder, "alpha_pattern", status);
        }
    }
    return true;
}

/* Files say their base by name alone; the shapes may fit another one too. */
static bool check_base(const struct peft_config *config, const char *folder,
                       const struct model *model, struct status *status)
{
    struct text name = text_of(model->name);
    bool same;

    name.len = (size_t)(strrchr(name.ptr, '@') - name.ptr);
    if (!config->base_model || model_name_fit(model_name_of(config->base_model), name, &same) > 0)
        return true;
    return status_fail(status, STATUS_CONFIG,
                       "%s/" PEFT_CONFIG_FILE
                       ": base_model_name_or_path: made for the model '%s', but this is '%.*s'",
                       folder, json_file_shown(config->base_model), (int)name.len, name.ptr);
}

static bool check(struct lora_folder *found, const struct peft_config *config, const char *folder,
                  const struct model *model, struct status *status)
{
    struct adapter *adapter;
    bool ok;

    if (!check_base(config, folder, model, status))
        return false;
    adapter = adapter_open(folder, model, status);
    if (!adapter)
        return false;
    found->options.rank = config->r;
    found->options.alpha = (float)config->lora_alpha;
    found->options.rslora = config->use_rslora;
    memcpy(found->name, adapter->name, sizeof(found->name));
    ok = check_layers(adapter, folder, &found->options, status);
    adapter_close(adapter);
    return ok;
}

bool lora_folder_check(struct lora_folder *found, const char *folder, const struct model *model,
                       struct status *status)
{
    struct peft_config config = {0};
    struct buf path = {0};
    bool ok;

    *found = (struct lora_folder){0};
    buf_printf(&path, "%s/" PEFT_CONFIG_FILE, folder);
    ok = peft_config_read(&config, path.data, status) &&
         check(found, &config, folder, model, status);
    peft_config_release(&config);
    buf_release(&path);
    return ok;
}

static void to_floats(const struct tensor_view *view, float *out)
{
    const size_t n = view->rows * view->cols;

    for (size_t i = 0; i < n; i++) {
        uint16_t half;

        if (view->dtype == DTYPE_F32) {
            memcpy(&out[i], (const uint8_t *)view->data + 4 * i, 4);
            continue;
        }
        memcpy(&half, (const uint8_t *)view->data + 2 * i, 2);
        out[i] = view->dtype == DTYPE_F16 ? f16_to_float(half) : bf16_to_float(half);
    }
}

static bool read_matrix(const struct tensor_file *file, const char *path, const char *part,
                        size_t rows, size_t cols, float *out, struct status *status)
{
    char name[PEFT_WRITE_PATH + 48];
    const struct tensor_entry *t;
    struct tensor_view view;

    snprintf(name, sizeof(name), "base_model.model.%s.%s.weight", path, part);
    t = tensor_file_find(file, name);
    if (!t)
        return status_fail(status, STATUS_CONFIG, "tensor '%s' is missing", name);
    if (!adapter_tensor_view(t, rows, cols, &view, status))
        return false;
    to_floats(&view, out);
    return true;
}

static bool read_modules(struct lora *lora, const struct tensor_file *file, struct status *status)
{
    const size_t rank = (size_t)lora->options.rank;

    for (int i = 0; i < lora->n_modules; i++) {
        const struct lora_module *m = &lora->modules[i];
        char path[PEFT_WRITE_PATH];

        module_path(m, path);
        if (!read_matrix(file, path, "lora_A", rank, (size_t)m->in, lora->values + m->a, status) ||
            !read_matrix(file, path, "lora_B", (size_t)m->out, rank, lora->values + m->b, status))
            return false;
    }
    return true;
}

bool lora_folder_read(struct lora *lora, const char *folder, struct status *status)
{
    struct tensor_file file = {0};
    struct buf path = {0};
    bool ok;

    buf_printf(&path, "%s/" WEIGHTS_FILE, folder);
    ok = safetensors_open(&file, path.data, status);
    if (ok && !read_modules(lora, &file, status))
        ok = status_context(status, "%s", path.data);
    tensor_file_close(&file);
    buf_release(&path);
    return ok;
}
