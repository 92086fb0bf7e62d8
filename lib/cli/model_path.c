#include "cli/model_path.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/message.h"
#include "cli/share_path.h"
#include "formats/hub_cache.h"

/* What is there, but cannot be looked at, counts: whoever opens it will say why. */
static bool exists(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

static void set_path(struct buf *path, const char *folder, const char *name)
{
    buf_reset(path);
    buf_printf(path, "%s%s%s", folder, folder[0] != '\0' ? "/" : "", name);
}

/* An environment variable that is set to something. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);

    return value && value[0] != '\0' ? value : NULL;
}

bool model_path_folder(int n, struct buf *folder)
{
    struct status ignored;
    const char *base;

    buf_reset(folder);
    switch (n) {
    case 0:
        base = variable("MEDRAT_MODELS");
        if (base)
            buf_append_string(folder, base);
        return true;
    case 1:
        base = variable("XDG_DATA_HOME");
        if (base)
            buf_printf(folder, "%s/medrat/models", base);
        else if (variable("HOME"))
            buf_printf(folder, "%s/.local/share/medrat/models", variable("HOME"));
        return true;
    case 2:
        buf_append_string(folder, "./models");
        return true;
    case 3:
        if (!share_path_find("models", folder, &ignored))
            buf_reset(folder);
        return true;
    default:
        return false;
    }
}

static bool find_installed(const char *name, struct buf *path)
{
    struct buf folder = {0};
    bool found = false;

    for (int n = 0; !found && model_path_folder(n, &folder); n++) {
        if (folder.len == 0)
            continue;
        set_path(path, folder.data, name);
        found = exists(path->data);
    }
    buf_release(&folder);
    return found;
}

bool model_path_find(const char *name, struct buf *path)
{
    set_path(path, "", name);
    return exists(name) || (!strchr(name, '/') && find_installed(name, path));
}

/* path/file instead of path, if file is all that this folder holds; but not of half an
 * adapter. */
static void enter_single_file(struct buf *path)
{
    DIR *folder = opendir(path->data);
    struct buf only = {0};
    struct dirent *entry;
    struct stat st;
    int n = 0;

    if (!folder)
        return; /* a file, or whoever opens it will say why not */
    while ((entry = readdir(folder)) && n < 2) {
        if (entry->d_name[0] == '.')
            continue;
        set_path(&only, path->data, entry->d_name);
        n++;
    }
    closedir(folder);
    if (n == 1 && !strstr(only.data, "/adapter_") && stat(only.data, &st) == 0 &&
        S_ISREG(st.st_mode)) {
        buf_reset(path);
        buf_append_text(path, buf_text(&only));
    }
    buf_release(&only);
}

static bool fail_missing(const char *model, bool is_default, struct status *status)
{
    const char *models = variable("MEDRAT_MODELS");

    if (strchr(model, '/'))
        return status_fail(status, STATUS_NO_INPUT, "model '%s': no such file or folder", model);
    return status_fail(status, STATUS_NO_INPUT,
                       "%smodel '%s' is not installed in %s%s~/.local/share/medrat/models, "
                       "./models or share/medrat/models beside the program's own folder: 'make "
                       "models' fetches the demo models",
                       is_default ? "demo " : "", model, models ? models : "", models ? ", " : "");
}

bool model_path_resolve(const char *model, const char *default_name, bool quiet, struct buf *path,
                        struct status *status)
{
    const char *name = model ? model : default_name;

    if (!model && variable("MEDRAT_NO_DEFAULT"))
        return status_fail(status, STATUS_USAGE,
                           "no model was given, and MEDRAT_NO_DEFAULT forbids the demo model");
    if (name[0] == '\0')
        return status_fail(status, STATUS_USAGE, "the name of the model is empty");
    set_path(path, "", name);
    if (model && !exists(name) && hub_cache_is_name(name)) {
        if (!hub_cache_find(name, path, status))
            return false;
    } else if (!(model && exists(name)) && !(!strchr(name, '/') && find_installed(name, path))) {
        if (!model || !hub_cache_has_bare(name))
            return fail_missing(name, !model, status);
        if (!hub_cache_find(name, path, status))
            return false;
    }
    enter_single_file(path);
    if (!model && !quiet)
        message(MESSAGE_WARNING, "no model given, using the demo model '%s': not for medical use",
                name);
    return true;
}
