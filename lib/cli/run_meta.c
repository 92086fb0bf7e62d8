#include "cli/run_meta.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/read_files.h"
#include "base/sha256.h"
#include "cli/sandbox.h"
#include "cli/stream_settings.h"
#include "cli/version.h"
#include "formats/json_indent.h"
#include "formats/json_write.h"
#include "formats/output_file.h"

/* {"path","bytes","sha256"}; of what is no file, and can be read only once, the path alone. */
static bool write_file(const char *path, struct buf *out, struct status *status)
{
    char hex[SHA256_HEX + 1];
    struct stat st;
    uint64_t size;

    json_write_comma(out);
    buf_append_char(out, '{');
    json_write_name(out, "path");
    json_write_string(out, text_of(path));
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
        if (!sha256_file(path, &size, hex))
            return status_fail(status, STATUS_IO, "%s: %s", path, strerror(errno));
        json_write_name(out, "bytes");
        json_write_uint(out, size);
        json_write_name(out, "sha256");
        json_write_string(out, text_of(hex));
    }
    buf_append_char(out, '}');
    return true;
}

static bool write_input(const struct stream_options *options, struct buf *out,
                        struct status *status)
{
    bool ok = true;

    json_write_name(out, "input");
    buf_append_char(out, '[');
    for (size_t i = 0; ok && i < options->n_files; i++)
        ok = write_file(options->files[i], out, status);
    if (options->n_files == 0)
        ok = write_file(options->query ? "--query" : "-", out, status);
    buf_append_char(out, ']');
    return ok;
}

/* Whatever else was read, by name: models are many gigabytes, and have a hash of their own. */
static void write_read_files(const struct stream_options *options, struct buf *out)
{
    const char *path;

    json_write_name(out, "read");
    buf_append_char(out, '[');
    for (size_t i = 0; (path = read_files_get(i)) != NULL; i++) {
        bool is_input = false;

        for (size_t k = 0; k < options->n_files; k++)
            is_input = is_input || strcmp(path, options->files[k]) == 0;
        if (is_input)
            continue;
        json_write_comma(out);
        json_write_string(out, text_of(path));
    }
    buf_append_char(out, ']');
}

static void write_settings(const struct stream_options *options, const struct stream_tool *tool,
                           struct buf *out)
{
    json_t *settings = stream_settings(options, tool), *value;
    const char *name;

    json_write_name(out, "settings");
    buf_append_char(out, '{');
    json_object_foreach(settings, name, value)
    {
        json_write_name(out, name);
        json_write_string(out, text_of(json_string_value(value)));
    }
    buf_append_char(out, '}');
    json_decref(settings);
}

static bool write_all(const struct stream_options *options, const struct stream_tool *tool,
                      const struct run_stats *counts, int exit_status, struct buf *out,
                      struct status *status)
{
    struct buf build = {0};

    buf_append_char(out, '{');
    json_write_name(out, "format");
    json_write_string(out, text_of("medrat-meta 1"));
    version_build(&build);
    json_write_name(out, "build");
    json_write_string(out, buf_text(&build));
    buf_reset(&build);
    sandbox_describe(&build);
    json_write_name(out, "sandbox");
    json_write_string(out, buf_text(&build));
    buf_release(&build);
    run_stats_write(counts, tool->name, exit_status, out);
    write_settings(options, tool, out);
    if (!write_input(options, out, status))
        return false;
    json_write_name(out, "output");
    if (!write_file(options->output, out, status))
        return false;
    write_read_files(options, out);
    json_write_name(out, "intended_use");
    json_write_string(out, text_of("research"));
    buf_append_char(out, '}');
    return true;
}

bool run_meta_write(const struct stream_options *options, const struct stream_tool *tool,
                    const struct run_stats *counts, int exit_status, struct status *status)
{
    struct buf compact = {0}, text = {0}, path = {0};
    bool ok = write_all(options, tool, counts, exit_status, &compact, status);

    if (ok) {
        json_indent(buf_text(&compact), &text);
        buf_printf(&path, "%s.meta.json", options->output);
        ok = output_file_put(path.data, buf_text(&text), status);
    }
    buf_release(&compact);
    buf_release(&text);
    buf_release(&path);
    return ok;
}
