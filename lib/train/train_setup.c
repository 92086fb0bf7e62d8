#include "train/train_setup.h"

#include <stdio.h>
#include <string.h>

#include "train/lora_folder.h"
#include "train/train_pass.h"
#include "train/train_settings.h"

static bool fail_init(const struct train_setup_options *o, const char *option,
                      struct status *status)
{
    return status_fail(status, STATUS_USAGE,
                       "option '--%s': the adapter of --init, %s, has another", option, o->init);
}

/* An adapter's shape is its own; who asks for another gets no adapter that is half of each. */
static bool take_init(struct train_setup *s, const struct train_setup_options *o,
                      struct status *status)
{
    const struct lora_options *asked = &o->lora;
    struct lora_folder found;

    if (!lora_folder_check(&found, o->init, s->engine.model, status))
        return false;
    if (o->asked & TRAIN_SETUP_RANK && asked->rank != found.options.rank)
        return fail_init(o, "rank", status);
    if (o->asked & TRAIN_SETUP_ALPHA &&
        (asked->alpha < found.options.alpha || asked->alpha > found.options.alpha))
        return fail_init(o, "alpha", status);
    if (o->asked & TRAIN_SETUP_RSLORA && asked->rslora != found.options.rslora)
        return fail_init(o, "rslora", status);
    if (o->asked & TRAIN_SETUP_TARGETS && asked->targets != found.options.targets)
        return fail_init(o, "targets", status);
    found.options.dropout = asked->dropout;
    s->lora_options = found.options;
    memcpy(s->init_name, found.name, sizeof(s->init_name));
    return true;
}

static int max_tokens(const struct train_setup_options *o)
{
    return (int)trainer_max_tokens(o->trainer, o->rows, o->validation);
}

static bool plan_memory(struct train_setup *s, const struct train_setup_options *o,
                        struct status *status)
{
    const struct train_memory_options memory = {
        .model = {.model_path = o->model_path,
                  .device_name = "cpu",
                  .quantize = o->quantize,
                  .threads = o->threads,
                  .batch = 1,
                  .longest = 1},
        .config = o->config,
        .lora = &s->lora_options,
        .max_tokens = max_tokens(o),
        .rows = train_rows_bytes(o->rows) + train_rows_bytes(o->validation),
        .limit = o->mem,
    };

    return train_memory_make(&s->memory, &memory, status);
}

static bool open_model(struct train_setup *s, const struct train_setup_options *o,
                       struct status *status)
{
    if (!o->init && !plan_memory(s, o, status))
        return false;
    if (!(o->headers ? engine_open_headers : engine_open)(&s->engine, o->model_path, o->quantize,
                                                          "cpu", o->threads, status))
        return false;
    return !o->init || (take_init(s, o, status) && plan_memory(s, o, status));
}

static bool open_lora(struct train_setup *s, const struct train_setup_options *o,
                      struct status *status)
{
    const struct train_pass_options pass = {.max_tokens = max_tokens(o),
                                            .recompute = s->memory.recompute};

    s->lora = lora_open(o->config, &s->lora_options, o->trainer->seed, status);
    if (!s->lora || (o->init && !lora_folder_read(s->lora, o->init, status)))
        return false;
    s->pass = train_pass_open(s->engine.model, s->lora, &pass, status);
    return s->pass != NULL;
}

/* The model's name without the hash that it ends in. */
static void set_base_name(struct train_setup *s, const struct train_setup_options *o)
{
    const char *name = s->engine.model->name;

    snprintf(s->base_name, sizeof(s->base_name), "%.*s", (int)(strrchr(name, '@') - name), name);
    s->trainer = *o->trainer;
    s->trainer.base_model = o->base_name ? o->base_name : s->base_name;
}

static void set_settings(struct train_setup *s, const struct train_setup_options *o)
{
    const struct train_settings settings = {
        .model = s->engine.model->name,
        .kernels = s->engine.backend->describe(s->engine.device),
        .init = o->init ? s->init_name : NULL,
        .rows = o->rows,
        .validation = o->validation,
        .lora = &s->lora_options,
        .trainer = &s->trainer,
    };

    s->settings = train_settings_make(&settings);
}

bool train_setup_open(struct train_setup *s, const struct train_setup_options *o,
                      struct status *status)
{
    *s = (struct train_setup){.lora_options = o->lora};
    if (!open_model(s, o, status) || !(o->headers || open_lora(s, o, status)))
        return false;
    set_base_name(s, o);
    set_settings(s, o);
    return true;
}

void train_setup_close(struct train_setup *s)
{
    train_pass_close(s->pass);
    lora_close(s->lora);
    engine_close(&s->engine);
    json_decref(s->settings);
    *s = (struct train_setup){0};
}
