#include "train/train_memory.h"

#include <stdint.h>

#include "base/buf.h"
#include "base/checked.h"
#include "base/process_memory.h"
#include "run/engine.h"
#include "train/train_pass.h"

static size_t add(size_t a, size_t b)
{
    size_t sum;

    return checked_add(a, b, &sum) ? sum : SIZE_MAX;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* What the device works in while it goes forward and back. */
static size_t device_scratch(const struct train_memory_options *o, const struct engine *e,
                             const struct train_pass_options *pass)
{
    const struct model_config *c = o->config;
    const int q_dim = c->n_heads * c->head_dim, widest = c->dim > c->ffn_dim ? c->dim : c->ffn_dim;

    return add(
        train_pass_scratch(c, o->lora, pass, e->backend, e->threads),
        e->backend->scratch_size(e->device, pass->max_tokens, widest > q_dim ? widest : q_dim));
}

/* Weights are packed before there is anything else: what that takes may be more, or less. */
static void add_up(struct train_memory *m, const struct train_memory_options *o,
                   const struct engine *e, bool recompute)
{
    const struct train_pass_options pass = {.max_tokens = o->max_tokens, .recompute = recompute};
    const struct memory_plan *model = &m->model;
    size_t before = add(model->program, add(model->tokenizer, model->weights));

    m->recompute = recompute;
    m->activations = add(train_pass_size(o->config, o->lora, &pass), device_scratch(o, e, &pass));
    m->total = add(before, larger(model->loading, add(m->parameters, m->activations)));
}

static void write_size(struct buf *out, const char *name, size_t bytes)
{
    buf_printf(out, ", %s %.1f MiB", name, (double)bytes / (1 << 20));
}

static bool refuse(const struct train_memory *m, size_t limit, struct status *status)
{
    struct buf parts = {0};

    write_size(&parts, "weights", m->model.weights);
    write_size(&parts, "rows", m->rows);
    write_size(&parts, "parameters", m->parameters);
    write_size(&parts, "activations (recomputed)", m->activations);
    write_size(&parts, "tokenizer", m->model.tokenizer);
    write_size(&parts, "program", m->model.program - m->rows);
    write_size(&parts, "while loading", m->model.loading);
    status_set(
        status, STATUS_MEMORY,
        "the run may need %.1f MiB, --mem allows %.1f%s; --batch 1 and --max-length make the "
        "activations smaller",
        (double)m->total / (1 << 20), (double)limit / (1 << 20), parts.data);
    buf_release(&parts);
    return false;
}

/* All activations, if they fit, else those that are needed. */
static bool choose(struct train_memory *m, const struct train_memory_options *o,
                   const struct engine *e, struct status *status)
{
    const size_t free_bytes = process_memory_available();
    size_t limit = o->limit;

    if (limit == 0 && free_bytes > 0)
        limit = add(free_bytes, m->model.program);
    add_up(m, o, e, false);
    if (limit == 0 || m->total <= limit)
        return true;
    add_up(m, o, e, true);
    return m->total <= limit || o->limit == 0 || refuse(m, o->limit, status);
}

bool train_memory_make(struct train_memory *m, const struct train_memory_options *o,
                       struct status *status)
{
    const size_t n = lora_count(o->config, o->lora);
    struct engine engine;
    bool ok;

    *m = (struct train_memory){.rows = o->rows};
    if (!memory_plan_make(&m->model, &o->model, status) ||
        !engine_open_device(&engine, o->model.device_name, o->model.threads, status))
        return false;
    if (m->model.program < m->rows) /* the program's share was measured with them in it */
        m->model.program = m->rows;
    if (n == 0 || !checked_mul(n, 4 * sizeof(float), &m->parameters))
        m->parameters = SIZE_MAX;
    ok = choose(m, o, &engine, status);
    engine_close(&engine);
    return ok;
}
