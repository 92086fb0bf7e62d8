#include "formats/hub_cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_NAME = 96, MAX_REVISION = 128, COMMIT_DIGITS = 40 };

static bool is_letter_or_digit(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* What a path may be made of: letters, digits, '-', '_', '.', with `slashes` '/'; no ".." in it,
 * and no part that begins as a hidden file or an option does. */
static bool is_safe(struct text part, size_t max, bool slashes)
{
    char before = '/';

    if (part.len == 0 || part.len > max || part.ptr[part.len - 1] == '/')
        return false;
    for (size_t i = 0; i < part.len; i++) {
        const char c = part.ptr[i];

        if (!is_letter_or_digit(c) && c != '-' && c != '_' && c != '.' && !(slashes && c == '/'))
            return false;
        if ((before == '/' && !is_letter_or_digit(c) && c != '_') || (before == '.' && c == '.'))
            return false;
        before = c;
    }
    return true;
}

struct name {
    struct text org, /* empty: a name of the hub's first years has none */
        model, revision;
};

static bool split(const char *name, struct name *parts)
{
    const char *slash = strchr(name, '/'), *at = strchr(name, '@');
    const char *end = at ? at : name + strlen(name);

    if (slash > end)
        slash = NULL; /* in the revision */
    parts->org = (struct text){name, slash ? (size_t)(slash - name) : 0};
    name = slash ? slash + 1 : name;
    parts->model = (struct text){name, (size_t)(end - name)};
    parts->revision = text_of(at ? at + 1 : "main");
    return (!slash || is_safe(parts->org, MAX_NAME, false)) &&
           is_safe(parts->model, MAX_NAME, false) && is_safe(parts->revision, MAX_REVISION, true);
}

bool hub_cache_is_name(const char *name)
{
    struct name parts;

    return split(name, &parts) && parts.org.len > 0;
}

/* As huggingface_hub finds it; false if no variable says where. */
static bool put_root(struct buf *path)
{
    static const struct {
        const char *variable, *below;
    } places[] = {
        {"HF_HUB_CACHE", ""},
        {"HF_HOME", "/hub"},
        {"XDG_CACHE_HOME", "/huggingface/hub"},
        {"HOME", "/.cache/huggingface/hub"},
    };

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        const char *value = getenv(places[i].variable);

        if (!value || value[0] == '\0')
            continue;
        buf_printf(path, "%s%s", value, places[i].below);
        return true;
    }
    return false;
}

static bool exists(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0;
}

/* The commit that a file of refs/ names, into *commit; false if there is none. */
static bool read_ref(const char *path, struct buf *commit)
{
    char line[COMMIT_DIGITS + 2];
    FILE *file = fopen(path, "r");
    size_t n;

    if (!file)
        return false;
    n = fread(line, 1, sizeof(line), file);
    fclose(file);
    while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r' || line[n - 1] == ' '))
        n--;
    if (!is_safe((struct text){line, n}, COMMIT_DIGITS, false))
        return false;
    buf_append(commit, line, n);
    return true;
}

static bool fail_missing(const struct name *name, const char *path, struct status *status)
{
    const bool main = text_is(name->revision, "main");
    const char *slash = name->org.len > 0 ? "/" : "";

    return status_fail(
        status, STATUS_NO_INPUT,
        "model '%.*s%s%.*s': no such file or folder, and the Hugging Face cache does "
        "not have it (%s); 'hf download %.*s%s%.*s%s%.*s' fetches it, medrat does not",
        (int)name->org.len, name->org.ptr, slash, (int)name->model.len, name->model.ptr, path,
        (int)name->org.len, name->org.ptr, slash, (int)name->model.len, name->model.ptr,
        main ? "" : " --revision ", main ? 0 : (int)name->revision.len, name->revision.ptr);
}

static void put_folder(struct buf *path, const struct name *name)
{
    buf_printf(path, "/models--%.*s%s%.*s", (int)name->org.len, name->org.ptr,
               name->org.len > 0 ? "--" : "", (int)name->model.len, name->model.ptr);
}

bool hub_cache_has_bare(const char *name)
{
    struct name parts;
    struct buf path = {0};
    bool found = false;

    if (split(name, &parts) && parts.org.len == 0 && put_root(&path)) {
        put_folder(&path, &parts);
        found = exists(path.data);
    }
    buf_release(&path);
    return found;
}

/* A revision is a commit if there is a snapshot of that name, else what refs/ says it is. */
static bool find_snapshot(const struct name *name, struct buf *path, struct status *status)
{
    struct buf ref = {0}, commit = {0};
    bool ok;

    put_folder(path, name);
    if (!exists(path->data))
        return fail_missing(name, path->data, status);
    buf_printf(&ref, "%s/refs/%.*s", path->data, (int)name->revision.len, name->revision.ptr);
    ok = read_ref(ref.data, &commit);
    if (!ok && name->revision.len == COMMIT_DIGITS) {
        buf_append_text(&commit, name->revision);
        ok = true;
    }
    if (ok)
        buf_printf(path, "/snapshots/%.*s", (int)commit.len, commit.data);
    if (!ok || !exists(path->data))
        ok = fail_missing(name, ok ? path->data : ref.data, status);
    buf_release(&ref);
    buf_release(&commit);
    return ok;
}

bool hub_cache_find(const char *name, struct buf *path, struct status *status)
{
    struct name parts;

    buf_reset(path);
    if (!split(name, &parts))
        return status_fail(status, STATUS_NO_INPUT, "model '%s': no such file or folder", name);
    if (!put_root(path))
        return fail_missing(&parts, "~/.cache/huggingface/hub", status);
    return find_snapshot(&parts, path, status);
}

struct text hub_cache_model_of(const char *path)
{
    static const char folder[] = "models--", inside[] = "/snapshots/";
    const char *end = strstr(path, inside), *start = end, *model;

    if (!end || strchr(end + sizeof(inside) - 1, '/'))
        return (struct text){0};
    while (start > path && start[-1] != '/')
        start--;
    if (strncmp(start, folder, sizeof(folder) - 1) != 0)
        return (struct text){0};
    start += sizeof(folder) - 1;
    model = strstr(start, "--");
    start = model && model + 2 < end ? model + 2 : start;
    return (struct text){start, (size_t)(end - start)};
}
