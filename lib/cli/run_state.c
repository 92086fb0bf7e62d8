#include "cli/run_state.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/number.h"
#include "formats/json_file.h"
#include "formats/json_write.h"
#include "formats/output_file.h"
#include "formats/run_settings.h"

#define FORMAT "medrat-run 1"

/* What is counted, by name. */
#define COUNTS(COUNT)                                                                              \
    COUNT("lines", n_lines)                                                                        \
    COUNT("output", output)                                                                        \
    COUNT("errors", errors)                                                                        \
    COUNT("done", counts.n_done)                                                                   \
    COUNT("kept", counts.n_kept)                                                                   \
    COUNT("failed", counts.n_failed)                                                               \
    COUNT("upstream", counts.n_upstream)                                                           \
    COUNT("bytes_in", counts.bytes_in)                                                             \
    COUNT("bytes_out", counts.bytes_out)

/* -- writing -- */

static void write_settings(const json_t *settings, struct buf *out)
{
    const char *key;
    json_t *value;

    json_write_name(out, "settings");
    buf_append_char(out, '{');
    json_object_foreach((json_t *)(uintptr_t)settings, key, value)
    {
        json_write_name(out, key);
        json_write_string(out, text_of(json_string_value(value)));
    }
    buf_append_char(out, '}');
}

void run_state_text(const struct run_state *state, const json_t *settings, struct buf *out)
{
    char hash[17];

    snprintf(hash, sizeof(hash), "%016" PRIx64, state->input_hash);
    buf_append_char(out, '{');
    json_write_name(out, "format");
    json_write_string(out, text_of(FORMAT));
    json_write_name(out, "input");
    json_write_string(out, text_of(hash));
#define COUNT(name, member)                                                                        \
    json_write_name(out, name);                                                                    \
    json_write_uint(out, state->member);
    COUNTS(COUNT)
#undef COUNT
    json_write_name(out, "ended");
    json_write_bool(out, state->ended);
    write_settings(settings, out);
    json_write_name(out, "tool");
    if (state->tool.len > 0)
        json_write_string(out, buf_text(&state->tool));
    else
        buf_append_string(out, "null");
    buf_append_string(out, "}\n");
}

bool run_state_write(const struct run_state *state, const json_t *settings, const char *path,
                     struct status *status)
{
    struct buf line = {0}, temporary = {0};
    struct output_file *file;
    bool ok = false;

    run_state_text(state, settings, &line);
    buf_printf(&temporary, "%s.new", path);
    file = output_file_open_as(path, temporary.data, status);
    if (file)
        output_file_keep_private(file);
    if (file && !output_file_write(file, buf_text(&line), status))
        output_file_discard(file);
    else
        ok = file && output_file_commit(file, status);
    buf_release(&temporary);
    buf_release(&line);
    return ok;
}

/* -- reading -- */

static bool read_count(const json_t *object, const char *key, uint64_t *value,
                       struct status *status)
{
    int64_t n;

    if (!json_file_int(object, key, 0, INT64_MAX, &n, NULL, status))
        return false;
    *value = (uint64_t)n;
    return true;
}

static bool read_counts(struct run_state *state, const json_t *object, struct status *status)
{
#define COUNT(name, member)                                                                        \
    if (!read_count(object, name, &state->member, status))                                         \
        return false;
    COUNTS(COUNT)
#undef COUNT
    state->counts.n_records = state->n_lines;
    return true;
}

static bool read_hash(struct run_state *state, const json_t *object, struct status *status)
{
    const char *hash;
    int end = 0;

    if (!json_file_string(object, "input", &hash, NULL, status))
        return false;
    return (sscanf(hash, "%16" SCNx64 "%n", &state->input_hash, &end) == 1 && end == 16 &&
            hash[16] == '\0') ||
           status_fail(status, STATUS_CONFIG, "input: must be 16 hex digits");
}

static bool read_settings(const json_t *object, struct status *status)
{
    const json_t *settings = json_object_get(object, "settings");
    const char *key;
    json_t *value;

    if (!json_is_object(settings))
        return status_fail(status, STATUS_CONFIG, "settings: must be an object");
    json_object_foreach((json_t *)(uintptr_t)settings, key, value)
    {
        if (!json_is_string(value))
            return status_fail(status, STATUS_CONFIG, "settings: '%s' must be a string",
                               json_file_shown(key));
    }
    return true;
}

static bool read_members(struct run_state *state, const json_t *object, struct status *status)
{
    const char *tool = "";
    bool has_tool;

    if (!json_is_object(object) || !json_object_get(object, "format"))
        return status_fail(status, STATUS_CONFIG, "is no state of a run");
    if (!json_file_must_be(object, "format", FORMAT, status) || !read_hash(state, object, status) ||
        !read_counts(state, object, status) ||
        !json_file_bool(object, "ended", &state->ended, NULL, status) ||
        !read_settings(object, status) ||
        !json_file_string(object, "tool", &tool, &has_tool, status))
        return false;
    buf_append_string(&state->tool, tool);
    return true;
}

/* Takes the object over. */
static json_t *read_object(struct run_state *state, json_t *object, struct status *status)
{
    json_t *settings = NULL;

    if (read_members(state, object, status))
        settings = json_incref(json_object_get(object, "settings"));
    json_decref(object);
    return settings;
}

json_t *run_state_parse(struct run_state *state, struct text bytes, struct status *status)
{
    json_t *object = json_file_parse(bytes, 0, status);

    return object ? read_object(state, object, status) : NULL;
}

json_t *run_state_read(struct run_state *state, const char *path, struct status *status)
{
    json_t *object = json_file_read(path, 0, status), *settings;

    if (!object)
        return NULL;
    settings = read_object(state, object, status);
    if (!settings)
        status_prefix(status, "%s", path);
    return settings;
}

bool run_state_compare(const json_t *were, const json_t *are, struct status *status)
{
    return run_settings_compare(were, are, "another output, or without it, the run begins anew",
                                status);
}

void run_state_release(struct run_state *state)
{
    buf_release(&state->tool);
}
