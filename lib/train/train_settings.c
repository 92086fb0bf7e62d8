#include "train/train_settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"

enum { VALUE_SIZE = 160 };

static void put(json_t *list, const char *name, const char *value)
{
    json_object_set_new(list, name, json_string(value));
}

static void put_uint(json_t *list, const char *name, uint64_t value)
{
    char text[VALUE_SIZE];

    snprintf(text, sizeof(text), "%" PRIu64, value);
    put(list, name, text);
}

static void put_double(json_t *list, const char *name, double value)
{
    char text[VALUE_SIZE];

    snprintf(text, sizeof(text), "%.9g", value);
    put(list, name, text);
}

static void put_rows(json_t *list, const char *name, const struct train_rows *rows)
{
    char text[VALUE_SIZE] = "none";

    if (rows->n > 0)
        snprintf(text, sizeof(text), "%zu rows, %zu tokens, %zu targets, hash %016" PRIx64, rows->n,
                 rows->n_tokens, rows->n_targets, train_rows_hash(rows));
    put(list, name, text);
}

static void put_targets(json_t *list, unsigned targets)
{
    char text[VALUE_SIZE] = "";

    for (int t = 0; t < LORA_TARGETS; t++) {
        if (targets >> t & 1)
            snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", text[0] ? "," : "",
                     lora_target_name((enum lora_target)t));
    }
    put(list, "targets", text);
}

static void put_lora(json_t *list, const struct lora_options *o)
{
    put_uint(list, "rank", (uint64_t)o->rank);
    put_double(list, "alpha", number_shortest(o->alpha));
    put_double(list, "dropout", number_shortest(o->dropout));
    put(list, "rslora", o->rslora ? "true" : "false");
    put_targets(list, o->targets);
}

static void put_trainer(json_t *list, const struct trainer_options *o, size_t n_rows,
                        bool validates)
{
    static const char *const schedules[] = {"linear", "cosine", "constant"};

    put(list, "card", o->card ? "true" : "false");
    put_uint(list, "steps", trainer_steps(o, n_rows));
    put_uint(list, "batch", (uint64_t)o->batch);
    put_uint(list, "accumulation", (uint64_t)o->accumulation);
    put(list, "schedule", schedules[o->schedule]);
    put_double(list, "lr", o->lr);
    put_uint(list, "warmup", trainer_warmup(o, n_rows));
    put_double(list, "weight-decay", o->weight_decay);
    put_double(list, "clip", o->clip);
    put_uint(list, "seed", o->seed);
    if (validates) {
        put_uint(list, "validate-every", trainer_validate_every(o, n_rows));
        put_uint(list, "patience", o->patience);
    }
    put(list, "type", o->dtype == DTYPE_F16 ? "f16" : "f32");
    put(list, "base-name", o->base_model);
}

json_t *train_settings_make(const struct train_settings *s)
{
    json_t *list = json_object();
    char kernels[VALUE_SIZE];

    snprintf(kernels, sizeof(kernels), "%.*s", (int)strcspn(s->kernels, ","), s->kernels);
    put(list, "model", s->model);
    put(list, "kernels", kernels);
    put(list, "init", s->init ? s->init : "none");
    put_rows(list, "data", s->rows);
    put_rows(list, "validation", s->validation);
    put_lora(list, s->lora);
    put_trainer(list, s->trainer, s->rows->n, s->validation->n > 0);
    return list;
}
