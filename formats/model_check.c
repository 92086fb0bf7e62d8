#include "formats/model_check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/memory.h"
#include "formats/gguf.h"
#include "formats/safetensors.h"

enum { READ_SIZE = 1 << 20, MAX_FILES = 4096 };

struct names {
    char **list; /* ours, and each of them */
    size_t n;
};

static void release_names(struct names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->list[i]);
    free(names->list);
}

static void add_name(struct names *names, const char *name)
{
    names->list = memory_resize(names->list, names->n + 1, sizeof(*names->list));
    names->list[names->n++] = memory_string(name, strlen(name));
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static const char *join(struct buf *path, const char *folder, const char *name)
{
    buf_reset(path);
    buf_printf(path, "%s/%s", folder, name);
    return path->data;
}

/* The regular files of a folder; links to such are. */
static bool list_files(const char *folder, struct names *names, struct status *status)
{
    DIR *dir = opendir(folder);
    struct buf path = {0};
    struct dirent *entry;
    struct stat info;

    if (!dir)
        return status_fail(status, errno == ENOENT ? STATUS_NO_INPUT : STATUS_IO, "%s: %s", folder,
                           strerror(errno));
    while ((entry = readdir(dir)) && names->n < MAX_FILES) {
        if (entry->d_name[0] == '.')
            continue;
        /* what a link does not lead to counts: reading it will say why */
        if (stat(join(&path, folder, entry->d_name), &info) != 0 || S_ISREG(info.st_mode))
            add_name(names, entry->d_name);
    }
    closedir(dir);
    buf_release(&path);
    if (names->n > 0)
        qsort(names->list, names->n, sizeof(*names->list), by_name);
    return true;
}

static bool hash_file(const char *path, struct model_check_file *file, struct status *status)
{
    return sha256_file(path, &file->size, file->sha256) ||
           status_fail(status, errno == ENOENT ? STATUS_NO_INPUT : STATUS_IO, "%s: %s", path,
                       strerror(errno));
}

/* The SHA-256 by which the cache calls the file that a link leads to; false: no such link. */
static bool blob_name(const char *path, char name[SHA256_HEX + 1])
{
    static const char folder[] = "/blobs/";
    char target[4096];
    const ssize_t n = readlink(path, target, sizeof(target) - 1);
    const char *last;

    if (n <= 0)
        return false;
    target[n] = '\0';
    last = strrchr(target, '/');
    if (!last || last - target < (ptrdiff_t)sizeof(folder) - 2 ||
        strncmp(last + 2 - sizeof(folder), folder, sizeof(folder) - 1) != 0 ||
        strlen(last + 1) != SHA256_HEX || strspn(last + 1, "0123456789abcdef") != SHA256_HEX)
        return false; /* small files are called by another hash */
    memcpy(name, last + 1, SHA256_HEX + 1);
    return true;
}

static bool ends_with(const char *name, const char *end)
{
    const size_t n = strlen(name), n_end = strlen(end);

    return n >= n_end && strcmp(name + n - n_end, end) == 0;
}

/* Weights without a hash to hold them against: is the file whole by what it says of itself? */
static bool is_readable(const char *path, struct model_check_file *file)
{
    struct status *status = &file->unreadable;
    struct tensor_file tensors;
    struct gguf gguf;
    bool ok = true;

    if (ends_with(file->name, ".safetensors")) {
        ok = safetensors_open(&tensors, path, status);
        if (ok)
            tensor_file_close(&tensors);
    } else if (ends_with(file->name, ".gguf")) {
        ok = gguf_open(&gguf, path, status);
        if (ok)
            gguf_close(&gguf);
    }
    return ok;
}

static void judge(const struct known_model *model, const char *path, struct model_check_file *file)
{
    const struct known_file *known = model ? known_models_file(model, text_of(file->name)) : NULL;
    char blob[SHA256_HEX + 1];

    file->result = MODEL_CHECK_UNKNOWN;
    file->why = NULL;
    if (known) {
        file->result = MODEL_CHECK_PUBLISHED;
        if (file->size != known->size)
            file->why =
                file->size < known->size ? "shorter than published" : "longer than published";
        else if (strcmp(file->sha256, known->sha256) != 0)
            file->why = "other bytes than published";
    } else if (blob_name(path, blob)) {
        file->result = MODEL_CHECK_BLOB;
        if (strcmp(file->sha256, blob) != 0)
            file->why = "other bytes than the cache's name for them says";
    } else if (!is_readable(path, file)) {
        file->why = file->unreadable.message;
    }
    if (file->why)
        file->result = MODEL_CHECK_DIFFERS;
}

/* Does the path lie in the cache, as models--ORG--NAME/snapshots/COMMIT? */
static bool is_in_cache(const char *path, const struct known_model *model)
{
    const char *slash = strchr(model->name, '/');
    struct buf folder = {0};
    bool found = false;

    if (slash) {
        buf_printf(&folder, "models--%.*s--%s/snapshots/", (int)(slash - model->name), model->name,
                   slash + 1);
        found = strstr(path, folder.data) != NULL;
    }
    buf_release(&folder);
    return found;
}

/* Does the folder have the file by which the model is known? A GGUF file is by its name, which says
 * all, so that half of one is not what was published; others of any model have the same names, and
 * are known by their bytes, a large one by its size. */
static bool has_sign(const char *folder, const struct known_model *model)
{
    const struct known_file *sign = known_models_file(model, text_of(model->sign));
    struct model_check_file file = {.name = model->sign};
    struct status status;
    struct buf path = {0};
    struct stat info;
    bool found;

    join(&path, folder, model->sign);
    found = stat(path.data, &info) == 0;
    if (found && !ends_with(model->sign, ".gguf"))
        found = (uint64_t)info.st_size == sign->size &&
                (sign->size > READ_SIZE ||
                 (hash_file(path.data, &file, &status) && strcmp(file.sha256, sign->sha256) == 0));
    buf_release(&path);
    return found;
}

static const struct known_model *find_model(const char *folder)
{
    for (size_t i = 0; i < known_models_n; i++) {
        if (is_in_cache(folder, &known_models[i]) || has_sign(folder, &known_models[i]))
            return &known_models[i];
    }
    return NULL;
}

static void tell_missing(const struct names *names, model_check_tell *tell, void *context,
                         struct model_check *check)
{
    for (size_t i = 0; check->model && i < check->model->n_files; i++) {
        const struct known_file *known = &check->model->files[i];
        struct model_check_file file = {.name = known->name, .result = MODEL_CHECK_MISSING};
        bool found = !known->needed;

        for (size_t k = 0; k < names->n; k++)
            found = found || strcmp(names->list[k], known->name) == 0;
        if (found)
            continue;
        check->n[file.result]++;
        tell(&file, context);
    }
}

static bool check_files(const char *folder, const struct names *names, model_check_tell *tell,
                        void *context, struct model_check *check, struct status *status)
{
    struct buf path = {0};
    bool ok = true;

    for (size_t i = 0; ok && i < names->n; i++) {
        struct model_check_file file = {.name = names->list[i]};

        ok = hash_file(join(&path, folder, names->list[i]), &file, status);
        if (!ok)
            break;
        judge(check->model, path.data, &file);
        check->n[file.result]++;
        tell(&file, context);
    }
    buf_release(&path);
    return ok;
}

/* A path to a file: its folder, and its name alone. */
static bool split_file(const char *path, struct buf *folder, struct names *names)
{
    const char *slash = strrchr(path, '/');
    struct stat info;

    if (stat(path, &info) != 0 || S_ISDIR(info.st_mode))
        return false;
    add_name(names, slash ? slash + 1 : path);
    if (slash)
        buf_append(folder, path, (size_t)(slash - path));
    else
        buf_append_char(folder, '.');
    return true;
}

bool model_check_run(const char *path, model_check_tell *tell, void *context,
                     struct model_check *check, struct status *status)
{
    struct buf folder = {0};
    struct names names = {0};
    const bool is_file = split_file(path, &folder, &names);
    bool ok;

    *check = (struct model_check){0};
    if (!is_file)
        buf_append_string(&folder, path);
    ok = is_file || list_files(folder.data, &names, status);
    if (ok) {
        check->model = find_model(folder.data);
        ok = check_files(folder.data, &names, tell, context, check, status);
    }
    if (ok && !is_file)
        tell_missing(&names, tell, context, check);
    release_names(&names);
    buf_release(&folder);
    return ok;
}
