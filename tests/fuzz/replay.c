/* Feeds each file of the folders and files named on the command line to a fuzz target, so that
 * every build keeps what fuzzing has found. Prints TAP; a crash shows as a plan not fulfilled. */
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/memory.h"
#include "fuzz.h"

struct paths {
    char **items; /* ours, each too */
    size_t n;
};

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add(struct paths *paths, const char *path)
{
    paths->items = memory_resize(paths->items, paths->n + 1, sizeof(*paths->items));
    paths->items[paths->n++] = memory_string(path, strlen(path));
}

static void add_folder(struct paths *paths, const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;

    while (dir && (entry = readdir(dir)) != NULL) {
        struct buf path = {0};

        buf_printf(&path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.')
            add(paths, path.data);
        buf_release(&path);
    }
    if (dir)
        closedir(dir);
}

static bool replay(const char *path)
{
    struct stat info;
    FILE *file = fopen(path, "rb");
    uint8_t *bytes;
    size_t size;
    bool ok;

    if (!file || fstat(fileno(file), &info) != 0) {
        perror(path);
        return false;
    }
    size = (size_t)info.st_size;
    bytes = malloc(size > 0 ? size : 1); /* exact, for the sanitizer */
    ok = bytes && fread(bytes, 1, size, file) == size && LLVMFuzzerTestOneInput(bytes, size) == 0;
    free(bytes);
    fclose(file);
    return ok;
}

int main(int argc, char **argv)
{
    struct paths paths = {0};
    size_t n_failed = 0;

    for (int i = 1; i < argc; i++) {
        struct stat info;

        if (stat(argv[i], &info) == 0 && S_ISDIR(info.st_mode))
            add_folder(&paths, argv[i]);
        else
            add(&paths, argv[i]);
    }
    if (paths.n == 0) {
        printf("1..1\nnot ok 1 - a corpus to replay\n");
        return 1;
    }
    qsort(paths.items, paths.n, sizeof(*paths.items), compare_paths);
    printf("1..%zu\n", paths.n);
    for (size_t i = 0; i < paths.n; i++) {
        const bool ok = replay(paths.items[i]);
        const char *slash = strrchr(paths.items[i], '/');

        printf("%sok %zu - %s\n", ok ? "" : "not ", i + 1, slash ? slash + 1 : paths.items[i]);
        fflush(stdout);
        n_failed += !ok;
        free(paths.items[i]);
    }
    free(paths.items);
    return n_failed > 0;
}
