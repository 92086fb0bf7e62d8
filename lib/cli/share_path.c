#include "cli/share_path.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "base/memory.h"

/* The path of the running program: without /proc, as it was run. NULL if it is not known. */
static const char *program_path(char *place, size_t size)
{
    const ssize_t n = readlink("/proc/self/exe", place, size);

    if (n <= 0)
        return (const char *)getauxval(AT_EXECFN);
    if ((size_t)n >= size)
        return NULL;
    place[n] = '\0';
    return place;
}

/* ../share/medrat seen from the folder of the running program; false if that is not known. */
static bool beside_program(struct buf *folder)
{
    char place[4096];
    const char *program = program_path(place, sizeof(place));
    const char *slash = program ? strrchr(program, '/') : NULL;

    if (!slash)
        return false;
    buf_append(folder, program, (size_t)(slash - program));
    buf_append_string(folder, "/../share/medrat");
    return true;
}

/* The n-th place to look in, into *folder; false behind the last. MEDRAT_SHARE is the only one
 * where it is set: a test of an installation must not fall back on the tree. */
static bool share_folder(int n, struct buf *folder)
{
    const char *share = getenv("MEDRAT_SHARE");

    buf_reset(folder);
    if (share && share[0] != '\0') {
        buf_append_string(folder, share);
        return n == 0;
    }
    if (n == 0)
        return beside_program(folder) || share_folder(1, folder);
    buf_append_string(folder, n == 1 ? MEDRAT_SOURCE_SHARE : MEDRAT_SOURCE_EXAMPLES);
    return n <= 2;
}

bool share_path_find(const char *relative, struct buf *path, struct status *status)
{
    for (int n = 0; share_folder(n, path); n++) {
        buf_printf(path, "/%s", relative);
        if (access(path->data, R_OK) == 0)
            return true;
    }
    return status_fail(status, STATUS_NO_INPUT, "'%s' is not among the files that ship with medrat",
                       relative);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* ".yaml" at the end of a name: its length without; 0 if it has another end. */
static size_t stem(const char *name)
{
    static const char end[] = ".yaml";
    const size_t len = strlen(name);

    if (len < sizeof(end) || strcmp(name + len - strlen(end), end) != 0)
        return 0;
    return len - strlen(end);
}

/* "card, rationales, raw": the recipes of the first place that has any. */
static void list_recipes(struct buf *out)
{
    struct buf path = {0};
    char *names[64];
    size_t count = 0;

    for (int n = 0; count == 0 && share_folder(n, &path); n++) {
        struct dirent *entry;
        DIR *folder;

        buf_append_string(&path, "/recipes");
        folder = opendir(path.data);
        while (folder && count < 64 && (entry = readdir(folder))) {
            if (stem(entry->d_name) > 0)
                names[count++] = memory_string(entry->d_name, stem(entry->d_name));
        }
        if (folder)
            closedir(folder);
    }
    buf_release(&path);
    qsort(names, count, sizeof(names[0]), by_name);
    for (size_t i = 0; i < count; i++) {
        buf_printf(out, "%s%s", i > 0 ? ", " : "", names[i]);
        free(names[i]);
    }
}

static bool is_file(const char *name)
{
    const char *dot = strrchr(name, '.');

    return strchr(name, '/') || (dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0));
}

bool share_path_recipe(const char *name_or_file, struct buf *path, struct status *status)
{
    struct buf relative = {0};
    struct buf known = {0};
    struct status ignored;
    bool found;

    if (is_file(name_or_file)) {
        buf_reset(path);
        buf_append_string(path, name_or_file);
        return true;
    }
    buf_printf(&relative, "recipes/%s.yaml", name_or_file);
    found = share_path_find(relative.data, path, &ignored);
    if (!found) {
        list_recipes(&known);
        status_set(status, STATUS_NO_INPUT, "no recipe '%.64s'; there are: %s", name_or_file,
                   known.len > 0 ? known.data : "none");
    }
    buf_release(&relative);
    buf_release(&known);
    return found;
}
