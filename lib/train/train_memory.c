#include "train/train_memory.h"

#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/checked.h"
#include "train/train_pass.h"

/* Bytes that this machine can give without swapping; 0 where it does not say. */
static size_t available(void)
{
    FILE *file = fopen("/proc/meminfo", "r");
    unsigned long kib = 0;
    char line[128];

    if (!file)
        return 0;
    while (fgets(line, sizeof(line), file) && sscanf(line, "MemAvailable: %lu kB", &kib) != 1)
        ;
    fclose(file);
    return (size_t)kib * 1024;
}

static size_t add(size_t a, size_t b)
{
    size_t sum;

    return checked_add(a, b, &sum) ? sum : SIZE_MAX;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Weights are packed before there is anything else: what that takes may be more, or less. */
static void add_up(struct train_memory *m, const struct train_memory_options *o, bool recompute)
{
    const struct train_pass_options pass = {.max_tokens = o->max_tokens, .recompute = recompute};
    const struct memory_plan *model = &m->model;
    size_t before = add(model->program, add(model->tokenizer, model->weights));

    m->recompute = recompute;
    m->activations = train_pass_size(o->config, o->lora, &pass);
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

bool train_memory_make(struct train_memory *m, const struct train_memory_options *o,
                       struct status *status)
{
    const size_t free_bytes = available();
    const size_t n = lora_count(o->config, o->lora);
    size_t limit = o->limit;

    *m = (struct train_memory){.rows = o->rows};
    if (!memory_plan_make(&m->model, &o->model, status))
        return false;
    if (m->model.program < m->rows) /* the program's share was measured with them in it */
        m->model.program = m->rows;
    if (limit == 0 && free_bytes > 0)
        limit = add(free_bytes, m->model.program);
    if (n == 0 || !checked_mul(n, 4 * sizeof(float), &m->parameters))
        m->parameters = SIZE_MAX;
    add_up(m, o, false);
    if (limit == 0 || m->total <= limit)
        return true;
    add_up(m, o, true);
    return m->total <= limit || o->limit == 0 || refuse(m, o->limit, status);
}
