#include "formats/model_location.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/memory.h"
#include "formats/foreign_file.h"
#include "formats/gguf.h"

#define A_MODEL "a GGUF file or the folder of a Hugging Face model"

/* Does the regular file begin as a GGUF file does? *error: why it could not be read, or 0. */
static bool is_gguf(const char *path, int *error)
{
    struct stat info;
    uint8_t start[4];
    FILE *file;
    size_t n;

    *error = 0;
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode))
        return false;
    file = fopen(path, "rb");
    if (!file) {
        *error = errno;
        return false;
    }
    n = fread(start, 1, sizeof(start), file);
    fclose(file);
    return gguf_is(start, n);
}

static char *join(const char *folder, const char *name)
{
    struct buf path = {0};

    buf_printf(&path, "%s/%s", folder, name);
    return path.data;
}

/* The GGUF files in the folder: how many, and the path of one, for the caller to free. */
static bool find_gguf(const char *folder, size_t *n, char **found, struct status *status)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    int error; /* a file that cannot be read is none of a model's */

    *n = 0;
    *found = NULL;
    if (!dir)
        return status_fail(status, STATUS_IO, "%s: %s", folder, strerror(errno));
    while ((entry = readdir(dir)) != NULL) {
        char *path = join(folder, entry->d_name);

        if (is_gguf(path, &error)) {
            ++*n;
            free(*found);
            *found = path;
        } else {
            free(path);
        }
    }
    closedir(dir);
    return true;
}

static bool has(const char *folder, const char *name)
{
    char *path = join(folder, name);
    struct stat info;
    const bool there = stat(path, &info) == 0;

    free(path);
    return there;
}

static bool find_in_folder(struct model_location *location, const char *folder,
                           struct status *status)
{
    size_t n;
    char *found;

    if (has(folder, "config.json")) {
        location->path = memory_string(folder, strlen(folder));
        return true;
    }
    if (!find_gguf(folder, &n, &found, status))
        return false;
    if (n == 1) {
        location->is_gguf = true;
        location->path = found;
        return true;
    }
    free(found);
    if (n > 1)
        return status_fail(status, STATUS_CONFIG, "%s: has %zu GGUF files; name the one to use",
                           folder, n);
    return status_fail(status, STATUS_NO_INPUT, "%s: has neither config.json nor a GGUF file",
                       folder);
}

bool model_location_find(struct model_location *location, const char *path, struct status *status)
{
    struct stat info;
    int error;

    *location = (struct model_location){0};
    if (stat(path, &info) != 0)
        return status_fail(status,
                           errno == ENOENT || errno == ENOTDIR ? STATUS_NO_INPUT : STATUS_IO,
                           "%s: %s", path, strerror(errno));
    if (S_ISDIR(info.st_mode))
        return find_in_folder(location, path, status);
    if (!is_gguf(path, &error)) {
        if (error != 0)
            return status_fail(status, STATUS_IO, "%s: %s", path, strerror(error));
        status_set(status, STATUS_CONFIG, "%s: is not " A_MODEL, path);
        return foreign_file_explain(path, A_MODEL, status);
    }
    location->is_gguf = true;
    location->path = memory_string(path, strlen(path));
    return true;
}

void model_location_release(struct model_location *location)
{
    free(location->path);
    *location = (struct model_location){0};
}
