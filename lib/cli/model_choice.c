#include "cli/model_choice.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "cli/message.h"
#include "cli/model_path.h"
#include "cli/share_path.h"
#include "formats/hub_cache.h"
#include "formats/json_file.h"
#include "formats/model_location.h"
#include "formats/model_name.h"
#include "formats/peft_config.h"

/* ---- the base of an adapter --------------------------------------------------------------- */

static bool is_model(const char *path)
{
    struct model_location location;
    struct status status;

    if (!model_location_find(&location, path, &status))
        return false;
    model_location_release(&location);
    return true;
}

/* An installed model, and how well its name fits. */
struct candidate {
    struct buf path;
    size_t fit;
    bool same;
};

static bool is_better(const struct candidate *best, size_t fit, bool same, const char *path)
{
    if (fit != best->fit || same != best->same)
        return fit > best->fit || (fit == best->fit && same);
    return fit > 0 && strcmp(path, best->path.data) < 0; /* not as readdir has it */
}

/* The best of the models in a folder. */
static void look_through(const char *folder, struct text wanted, struct candidate *best)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    struct buf path = {0};

    while (dir && (entry = readdir(dir)) != NULL) {
        bool same;
        const size_t fit = model_name_fit(model_name_of(entry->d_name), wanted, &same);

        buf_reset(&path);
        buf_printf(&path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] == '.' || fit == 0 || !is_better(best, fit, same, path.data) ||
            !is_model(path.data))
            continue;
        best->fit = fit;
        best->same = same;
        buf_reset(&best->path);
        buf_append_text(&best->path, buf_text(&path));
    }
    if (dir)
        closedir(dir);
    buf_release(&path);
}

/* In the first of the folders that has one that fits. */
static bool find_installed(const char *base, struct buf *path)
{
    const struct text wanted = model_name_of(base);
    struct candidate best = {0};
    struct buf folder = {0};

    for (int n = 0; best.fit == 0 && model_path_folder(n, &folder); n++) {
        if (folder.len > 0)
            look_through(folder.data, wanted, &best);
    }
    if (best.fit > 0) {
        buf_reset(path);
        buf_append_text(path, buf_text(&best.path));
    }
    buf_release(&folder);
    buf_release(&best.path);
    return best.fit > 0;
}

static bool find_in_cache(const struct peft_config *config, struct buf *path)
{
    struct status status;
    struct buf name = {0};
    bool found;

    buf_append_string(&name, config->base_model);
    if (config->revision && config->revision[0])
        buf_printf(&name, "@%s", config->revision);
    found = hub_cache_is_name(name.data) && hub_cache_find(name.data, path, &status) &&
            is_model(path->data);
    buf_release(&name);
    return found;
}

static bool find_base(const struct peft_config *config, struct buf *path, struct status *status)
{
    const char *base = config->base_model;

    if (!base || base[0] == '\0')
        return status_fail(status, STATUS_CONFIG,
                           "base_model_name_or_path: missing: name a model with -m, and the "
                           "adapter with --adapter");
    buf_reset(path);
    buf_append_string(path, base);
    if (is_model(base) || find_in_cache(config, path) || find_installed(base, path))
        return true;
    return status_fail(status, STATUS_NO_INPUT,
                       "its base '%s' is neither in the local Hugging Face cache nor installed: "
                       "%s%s%sname another with -m, and the adapter with --adapter",
                       json_file_shown(base), hub_cache_is_name(base) ? "'hf download " : "",
                       hub_cache_is_name(base) ? base : "",
                       hub_cache_is_name(base) ? "' fetches it; or " : "");
}

/* ---- adapters ----------------------------------------------------------------------------- */

static bool has(const char *folder, const char *name)
{
    struct buf path = {0};
    struct stat info;
    bool found;

    buf_printf(&path, "%s/%s", folder, name);
    found = stat(path.data, &info) == 0;
    buf_release(&path);
    return found;
}

static bool is_adapter_alone(const char *folder)
{
    return has(folder, PEFT_CONFIG_FILE) && !has(folder, "model.safetensors") &&
           !has(folder, "model.safetensors.index.json");
}

static void add(struct model_choice *choice, struct text name, const char *path)
{
    const size_t n = choice->n_adapters + 1;

    choice->adapter_names = memory_resize(choice->adapter_names, n, sizeof(char *));
    choice->adapter_paths = memory_resize(choice->adapter_paths, n, sizeof(char *));
    choice->adapter_names[n - 1] = memory_string(name.ptr, name.len);
    choice->adapter_paths[n - 1] = memory_string(path, strlen(path));
    choice->n_adapters = n;
}

/* The adapter in `model` becomes the first one, its base the model. */
static bool take_adapter(struct model_choice *choice, bool quiet, struct status *status)
{
    struct peft_config config;
    struct buf path = {0}, base = {0};
    bool ok;

    add(choice, model_name_of(choice->model.data), choice->model.data);
    buf_printf(&path, "%s/" PEFT_CONFIG_FILE, choice->model.data);
    ok = peft_config_read(&config, path.data, status);
    if (ok) {
        ok = find_base(&config, &base, status) || status_context(status, "%s", path.data);
        peft_config_release(&config);
    }
    ok = ok && model_path_resolve(base.data, NULL, true, &choice->model, status);
    if (ok && !quiet)
        message(MESSAGE_INFO, "adapter '%s': its base model is %s", choice->adapter_names[0],
                choice->model.data);
    buf_release(&base);
    buf_release(&path);
    return ok;
}

/* In medrat's own folders. */
static bool find_shipped(const char *name, struct buf *path)
{
    struct buf relative = {0};
    struct status ignored;
    bool found;

    buf_printf(&relative, "adapters/%s", name);
    found = !strchr(name, '/') && share_path_find(relative.data, path, &ignored);
    buf_release(&relative);
    return found;
}

static bool add_given(struct model_choice *choice, const char *given, struct status *status)
{
    const char *equals = strchr(given, '='), *slash = strchr(given, '/');
    const bool named = equals && equals > given && !(slash && slash < equals);
    const char *folder = named ? equals + 1 : given;
    struct buf path = {0};
    bool ok = folder[0] != '\0';

    if (!ok)
        status_set(status, STATUS_USAGE, "an adapter's folder is empty");
    if (ok && !model_path_find(folder, &path) && !find_shipped(folder, &path)) {
        if (hub_cache_is_name(folder))
            ok = hub_cache_find(folder, &path, status) || status_context(status, "adapter");
        else
            ok = status_fail(status, STATUS_NO_INPUT, "adapter '%s': no such folder", folder);
    }
    if (ok)
        add(choice,
            named ? (struct text){given, (size_t)(equals - given)} : model_name_of(path.data),
            path.data);
    buf_release(&path);
    return ok;
}

bool model_choice_make(struct model_choice *choice, const char *model, const char *default_name,
                       const char *default_adapter, const struct cli_strings *adapters, bool quiet,
                       struct status *status)
{
    const bool by_default = !model && adapters->n == 0 && default_adapter;
    bool ok;

    *choice = (struct model_choice){0};
    ok = model_path_resolve(model, default_name, quiet, &choice->model, status) &&
         (!is_adapter_alone(choice->model.data) || take_adapter(choice, quiet, status)) &&
         (!by_default || add_given(choice, default_adapter, status));
    for (size_t i = 0; ok && i < adapters->n; i++)
        ok = add_given(choice, adapters->items[i], status);
    if (!ok)
        model_choice_release(choice);
    return ok;
}

void model_choice_release(struct model_choice *choice)
{
    buf_release(&choice->model);
    for (size_t i = 0; i < choice->n_adapters; i++) {
        free(choice->adapter_names[i]);
        free(choice->adapter_paths[i]);
    }
    free(choice->adapter_names);
    free(choice->adapter_paths);
    *choice = (struct model_choice){0};
}
