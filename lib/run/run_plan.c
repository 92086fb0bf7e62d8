#include "run/run_plan.h"

#include <string.h>

#include "base/process_memory.h"
#include "formats/json_file.h"
#include "formats/json_write.h"

void run_plan_add(struct run_plan *plan, size_t tokens, size_t truncated)
{
    length_counts_add(&plan->lengths, tokens);
    plan->n_truncated += truncated > 0;
    plan->n_truncated_tokens += truncated;
}

/* -- the speed of an earlier run -- */

static bool is(const json_t *stats, const char *name, const char *wanted, struct status *status)
{
    const char *value;

    if (!json_file_string(stats, name, &value, NULL, status))
        return false;
    return strcmp(value, wanted) == 0 ||
           status_fail(status, STATUS_CONFIG, "%s: is '%s', and here '%s'", name,
                       json_file_shown(value), wanted);
}

static bool read_speed(struct run_plan *plan, const json_t *stats, const char *tool,
                       const char *member, const struct engine *e, struct status *status)
{
    double seconds;
    int64_t tokens;

    if (!is(stats, "tool", tool, status) || !is(stats, "model", e->model->name, status) ||
        !is(stats, "device", e->backend->describe(e->device), status) ||
        !json_file_number(stats, "seconds", 0, 1e12, &seconds, NULL, status) ||
        !json_file_int(stats, member, 0, INT64_MAX, &tokens, NULL, status))
        return false;
    if (tokens == 0 || seconds <= 0)
        return status_fail(status, STATUS_CONFIG, "%s: that run did nothing", member);
    plan->tokens_per_second = (double)tokens / seconds;
    return true;
}

void run_plan_take_speed(struct run_plan *plan, const char *path, const char *tool,
                         const char *member, const struct engine *engine)
{
    struct status *status = &plan->no_speed;
    json_t *stats;

    if (!path) {
        status_set(status, STATUS_NO_INPUT, "no --stats of an earlier run on this machine");
        return;
    }
    stats = json_file_read(path, 0, status);
    if (stats && !read_speed(plan, stats, tool, member, engine, status))
        status_prefix(status, "%s", path);
    json_decref(stats);
}

/* -- writing -- */

static void write_number(struct buf *out, const char *name, uint64_t value)
{
    json_write_name(out, name);
    json_write_uint(out, value);
}

static void write_memory(const struct memory_plan *m, struct buf *out)
{
    const size_t available = process_memory_available();

    json_write_name(out, "memory");
    buf_append_char(out, '{');
    write_number(out, "total", m->total);
    write_number(out, "weights", m->weights);
    write_number(out, "loading", m->loading);
    write_number(out, "kv_cache", m->kv_cache);
    write_number(out, "scratch", m->scratch);
    write_number(out, "adapters", m->adapters);
    write_number(out, "tokenizer", m->tokenizer);
    write_number(out, "program", m->program);
    if (available > 0)
        write_number(out, "available", available);
    buf_append_char(out, '}');
}

void run_plan_write_seconds(const struct run_plan *plan, double tokens, struct buf *out)
{
    json_write_name(out, "seconds");
    if (plan->tokens_per_second > 0) {
        json_write_double(out, tokens / plan->tokens_per_second);
        return;
    }
    buf_append_string(out, "null");
    json_write_name(out, "no_seconds_because");
    json_write_string(out, text_of(plan->no_speed.message));
}

void run_plan_write(const struct run_plan *plan, struct buf *members)
{
    json_write_name(members, "plan");
    buf_append_char(members, '{');
    json_write_name(members, "tokens");
    length_counts_write(&plan->lengths, members);
    write_number(members, "truncated_records", plan->n_truncated);
    write_number(members, "truncated_tokens", plan->n_truncated_tokens);
    if (plan->max_new_tokens > 0)
        write_number(members, "max_new_tokens", plan->lengths.n * plan->max_new_tokens);
    write_memory(&plan->memory, members);
    run_plan_write_seconds(plan, (double)plan->lengths.sum, members);
    buf_append_char(members, '}');
}

void run_plan_release(struct run_plan *plan)
{
    length_counts_release(&plan->lengths);
}
