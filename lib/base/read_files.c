#include "base/read_files.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char **paths; /* [n] */
static size_t n;

/* n: it is not there. */
static size_t find(const char *path)
{
    size_t i = 0;

    while (i < n && strcmp(paths[i], path) != 0)
        i++;
    return i;
}

void read_files_note(const char *path)
{
    if (strcmp(path, "-") == 0)
        return;
    pthread_mutex_lock(&mutex);
    if (find(path) == n) {
        paths = memory_resize(paths, n + 1, sizeof(*paths));
        paths[n++] = memory_string(path, strlen(path));
    }
    pthread_mutex_unlock(&mutex);
}

void read_files_forget(const char *path)
{
    size_t i;

    pthread_mutex_lock(&mutex);
    i = find(path);
    if (i < n) {
        free(paths[i]);
        memmove(paths + i, paths + i + 1, (--n - i) * sizeof(*paths));
    }
    pthread_mutex_unlock(&mutex);
}

const char *read_files_get(size_t i)
{
    const char *path;

    pthread_mutex_lock(&mutex);
    path = i < n ? paths[i] : NULL;
    pthread_mutex_unlock(&mutex);
    return path;
}
