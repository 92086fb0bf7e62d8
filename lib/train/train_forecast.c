#include "train/train_forecast.h"

#include "formats/json_write.h"
#include "run/run_plan.h"

static void write_number(struct buf *out, const char *name, uint64_t value)
{
    json_write_name(out, name);
    json_write_uint(out, value);
}

static void write_memory(const struct train_memory *m, struct buf *out)
{
    json_write_name(out, "memory");
    buf_append_char(out, '{');
    write_number(out, "total", m->total);
    write_number(out, "weights", m->model.weights);
    write_number(out, "loading", m->model.loading);
    write_number(out, "tokenizer", m->model.tokenizer);
    write_number(out, "program", m->model.program - m->rows);
    write_number(out, "rows", m->rows);
    write_number(out, "parameters", m->parameters);
    write_number(out, "activations", m->activations);
    json_write_name(out, "recompute");
    buf_append_string(out, m->recompute ? "true" : "false");
    buf_append_char(out, '}');
}

void train_forecast_write(const struct train_forecast *f, struct buf *members)
{
    const struct trainer_options *trainer = &f->setup->trainer;
    const uint64_t steps = trainer_steps(trainer, f->rows->n);
    const double epochs = (double)steps / (double)trainer_epoch_steps(trainer, f->rows->n);
    struct run_plan plan = {0};

    for (size_t i = 0; i < f->rows->n; i++)
        run_plan_add(&plan, (size_t)f->rows->entries[i].n_tokens, 0);
    run_plan_take_speed(&plan, f->stats, "medrat-train", "trained_tokens", &f->setup->engine);
    json_write_name(members, "plan");
    buf_append_char(members, '{');
    json_write_name(members, "tokens");
    length_counts_write(&plan.lengths, members);
    write_number(members, "truncated_records", f->rows->n_truncated);
    write_number(members, "steps", steps);
    write_memory(&f->setup->memory, members);
    run_plan_write_seconds(&plan, epochs * (double)f->rows->n_tokens, members);
    buf_append_char(members, '}');
    run_plan_release(&plan);
}
