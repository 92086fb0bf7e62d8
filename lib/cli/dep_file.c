#include "cli/dep_file.h"

#include <string.h>

#include "base/read_files.h"
#include "formats/output_file.h"

/* As GNU make 4.3 reads names (tried; provenance.bats tries again): a backslash before these, "$$",
 * and no way to write the others. */
static bool append_name(const char *name, struct buf *out, struct status *status)
{
    if (strpbrk(name, "\n\r\t\\%*?[;|="))
        return status_fail(status, STATUS_USAGE, "option '--dep-file': make cannot read '%s'",
                           name);
    for (const char *c = name; *c; c++) {
        if (*c == '$')
            buf_append_char(out, '$');
        else if (strchr(" #:", *c))
            buf_append_char(out, '\\');
        buf_append_char(out, *c);
    }
    return true;
}

bool dep_file_text(const char *target, struct buf *out, struct status *status)
{
    const char *path;

    if (!append_name(target, out, status))
        return false;
    buf_append_char(out, ':');
    for (size_t i = 0; (path = read_files_get(i)) != NULL; i++) {
        buf_append_string(out, " \\\n  ");
        if (!append_name(path, out, status))
            return false;
    }
    buf_append_char(out, '\n');
    for (size_t i = 0; (path = read_files_get(i)) != NULL; i++) {
        buf_append_char(out, '\n');
        if (!append_name(path, out, status))
            return false;
        buf_append_string(out, ":\n");
    }
    return true;
}

bool dep_file_write(const char *path, const char *target, struct status *status)
{
    struct buf text = {0};
    const bool ok =
        dep_file_text(target, &text, status) && output_file_put(path, buf_text(&text), status);

    buf_release(&text);
    return ok;
}
