#include "cli/resume.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file_io.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/read_files.h"
#include "cli/stream_settings.h"

static void name_state(const char *output, struct buf *path)
{
    char *resolved = file_resolve(output);

    buf_printf(path, "%s.state", resolved);
    free(resolved);
}

/* *settings NULL: there is no state. */
static bool read_state(const char *path, struct run_state *state, json_t **settings,
                       struct status *status)
{
    *settings = run_state_read(state, path, status);
    read_files_forget(path);
    return *settings || status->code == STATUS_NO_INPUT;
}

bool resume_pin(const char *output, struct status *status)
{
    struct run_state state = {0};
    struct buf path = {0};
    json_t *settings;
    const char *kernels;
    bool ok;

    name_state(output, &path);
    ok = read_state(path.data, &state, &settings, status);
    kernels = json_string_value(json_object_get(settings, "kernels"));
    if (kernels)
        setenv("MEDRAT_KERNELS", kernels, 0);
    json_decref(settings);
    run_state_release(&state);
    buf_release(&path);
    return ok;
}

bool resume_is_on(const struct resume *resume)
{
    return resume->part || resume->is_placed;
}

/* A run was interrupted when its output was at its place, and the state not removed. */
static bool was_placed(const struct resume *resume)
{
    return resume->state.ended && resume->state.output > 0 && part_file_size(resume->part) == 0 &&
           access(resume->options->output, F_OK) == 0;
}

static bool go_on(struct resume *resume, const json_t *were, struct status *status)
{
    const struct run_state *state = &resume->state;
    const struct stream_tool *tool = resume->tool;

    if (!run_state_compare(were, resume->settings, status))
        return status_context(status, "%s", resume->path.data);
    resume->n_to_skip = state->n_lines;
    if (state->tool.len > 0 && tool->load &&
        !tool->load(tool->self, buf_text(&state->tool), status))
        return status_context(status, "%s", resume->path.data);
    if (was_placed(resume)) {
        part_file_close(resume->part);
        resume->part = NULL;
        resume->is_placed = true;
        return true;
    }
    return part_file_cut(resume->part, state->output, status);
}

bool resume_open(struct resume *resume, const struct stream_options *options,
                 const struct stream_tool *tool, struct status *status)
{
    json_t *were = NULL;
    bool ok;

    resume->options = options;
    resume->tool = tool;
    resume->input_hash = HASH_START;
    resume->state.input_hash = hash_mix(HASH_START);
    resume->saved_at = run_stats_now();
    resume->part = part_file_open(options->output, status);
    if (!resume->part)
        return false;
    name_state(options->output, &resume->path);
    resume->settings = stream_settings(options, tool);
    ok = read_state(resume->path.data, &resume->state, &were, status) &&
         (were ? go_on(resume, were, status) : part_file_cut(resume->part, 0, status));
    json_decref(were);
    return ok;
}

/* -- input -- */

static bool fail_input(const struct resume *resume, struct status *status)
{
    return status_fail(status, STATUS_CONFIG,
                       "%s: the first %llu lines of the input are not those that were read before; "
                       "another output, or no --resume, begins anew",
                       resume->path.data, (unsigned long long)resume->state.n_lines);
}

bool resume_take(struct resume *resume, const struct line *line, bool *skip, struct status *status)
{
    const uint64_t size = line->size;
    uint64_t h = hash_more(resume->input_hash, &size, sizeof(size));

    resume->input_hash = hash_more(h, line->bytes.ptr, line->bytes.len);
    *skip = resume->n_to_skip > 0;
    if (!*skip || --resume->n_to_skip > 0)
        return true;
    return hash_mix(resume->input_hash) == resume->state.input_hash || fail_input(resume, status);
}

bool resume_take_end(const struct resume *resume, struct status *status)
{
    return resume->n_to_skip == 0 || fail_input(resume, status);
}

/* -- output -- */

bool resume_is_due(const struct resume *resume, const struct run_stats *stats)
{
    const struct stream_options *o = resume->options;

    if (!resume_is_on(resume) || stats->n_records == resume->state.n_lines)
        return false;
    if (o->checkpoint_records > 0)
        return stats->n_records - resume->state.n_lines >= o->checkpoint_records;
    return run_stats_now() - resume->saved_at >= o->checkpoint_seconds;
}

bool resume_save(struct resume *resume, const struct run_stats *stats, uint64_t input_hash,
                 struct error_file *errors, bool ended, struct status *status)
{
    struct run_state *state = &resume->state;
    const bool is_new = stats->n_records != state->n_lines;

    if (resume->is_placed || resume->n_to_skip > 0 || (!is_new && ended == state->ended))
        return true;
    if (!part_file_sync(resume->part, status) || (errors && !error_file_sync(errors, status)))
        return false;
    state->n_lines = stats->n_records;
    if (is_new)
        state->input_hash = hash_mix(input_hash);
    state->output = part_file_size(resume->part);
    state->errors = errors ? error_file_size(errors) : 0;
    state->ended = ended;
    state->counts = *stats;
    buf_reset(&state->tool);
    if (resume->tool->save)
        resume->tool->save(resume->tool->self, &state->tool);
    resume->saved_at = run_stats_now();
    return run_state_write(state, resume->settings, resume->path.data, status);
}

bool resume_commit(struct resume *resume, struct status *status)
{
    return resume->is_placed || part_file_commit(resume->part, resume->options->update, status);
}

void resume_end(struct resume *resume)
{
    unlink(resume->path.data);
    file_sync_folder_of(resume->path.data);
}

void resume_close(struct resume *resume)
{
    part_file_close(resume->part);
    json_decref(resume->settings);
    run_state_release(&resume->state);
    buf_release(&resume->path);
    *resume = (struct resume){0};
}
