#include "formats/peft_write.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/memory.h"
#include "formats/output_file.h"
#include "formats/peft_config.h"
#include "formats/safetensors_write.h"

enum { MAX_NAME = PEFT_WRITE_PATH + 48 };

/* A whole number without a point, as PEFT has lora_alpha. */
static json_t *number(double x)
{
    return x >= -1e9 && x <= 1e9 && floor(x) >= x ? json_integer((json_int_t)x) : json_real(x);
}

/* The keys of PEFT 0.5 to 0.13: later versions take what is missing as not used. */
static json_t *make_config(const struct peft_write_adapter *a)
{
    json_t *config = json_pack(
        "{s:n, s:s, s:s, s:b, s:b, s:b, s:n, s:n, s:o, s:o, s:{}, s:n, s:s, s:i, s:{}, s:{}, s:n, "
        "s:s, s:b, s:b}",
        "auto_mapping", "base_model_name_or_path", a->base_model, "bias", "none", "fan_in_fan_out",
        0, "inference_mode", 1, "init_lora_weights", 1, "layers_pattern", "layers_to_transform",
        "lora_alpha", number(a->alpha), "lora_dropout", json_real(a->dropout), "loftq_config",
        "modules_to_save", "peft_type", "LORA", "r", a->rank, "rank_pattern", "alpha_pattern",
        "revision", "task_type", "CAUSAL_LM", "use_dora", 0, "use_rslora", a->rslora);
    json_t *targets = json_array();

    for (size_t i = 0; i < a->n_targets; i++)
        json_array_append_new(targets, json_string(a->targets[i]));
    if (config)
        json_object_set_new(config, "target_modules", targets);
    return config;
}

static bool write_text(const char *path, const char *text, struct status *status)
{
    struct output_file *file = output_file_open(path, status);

    if (!file)
        return false;
    if (output_file_write(file, text_of(text), status) &&
        output_file_write(file, text_of("\n"), status))
        return output_file_commit(file, status);
    output_file_discard(file);
    return false;
}

/* A base whose name is no UTF-8 cannot stand in JSON. */
static bool write_config(const char *path, const struct peft_write_adapter *a,
                         struct status *status)
{
    json_t *config = make_config(a);
    char *text = config
                     ? json_dumps(config, JSON_INDENT(2) | JSON_SORT_KEYS | JSON_REAL_PRECISION(9))
                     : NULL;
    const bool ok =
        text ? write_text(path, text, status)
             : status_fail(status, STATUS_USAGE, "%s: the base model's name is not UTF-8", path);

    free(text);
    json_decref(config);
    return ok;
}

static void set_tensor(struct safetensors_write_tensor *t, char name[MAX_NAME],
                       const struct peft_write_adapter *a, const struct peft_write_module *m,
                       const char *part)
{
    const bool is_a = part[0] == 'A';

    snprintf(name, MAX_NAME, "base_model.model.%s.lora_%s.weight", m->path, part);
    *t = (struct safetensors_write_tensor){
        .name = name,
        .dtype = a->dtype,
        .n_dims = 2,
        .shape = {is_a ? (size_t)a->rank : m->out, is_a ? m->in : (size_t)a->rank},
        .floats = is_a ? m->a : m->b,
    };
}

static bool write_weights(const char *path, const struct peft_write_adapter *a,
                          struct status *status)
{
    struct safetensors_write_tensor *tensors = memory_zeroed(2 * a->n_modules, sizeof(*tensors));
    char(*names)[MAX_NAME] = memory_zeroed(2 * a->n_modules, sizeof(*names));
    bool ok;

    for (size_t i = 0; i < a->n_modules; i++) {
        set_tensor(&tensors[2 * i], names[2 * i], a, &a->modules[i], "A");
        set_tensor(&tensors[2 * i + 1], names[2 * i + 1], a, &a->modules[i], "B");
    }
    ok = safetensors_write(path, tensors, 2 * a->n_modules, status);
    free(names);
    free(tensors);
    return ok;
}

bool peft_write(const char *folder, const struct peft_write_adapter *adapter, struct status *status)
{
    struct buf config = {0}, weights = {0};
    bool ok;

    buf_printf(&config, "%s/" PEFT_CONFIG_FILE, folder);
    buf_printf(&weights, "%s/adapter_model.safetensors", folder);
    ok = write_config(config.data, adapter, status) && write_weights(weights.data, adapter, status);
    buf_release(&config);
    buf_release(&weights);
    return ok;
}
