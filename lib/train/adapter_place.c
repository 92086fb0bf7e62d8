#define _GNU_SOURCE /* flock, renameat2 */
#include "train/adapter_place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file_io.h"

#define TEMPORARY_PREFIX ".medrat-" /* formats/output_file.c */

static bool fail(const char *path, struct status *status)
{
    return status_fail(status, STATUS_IO, "%s: %s", path, strerror(errno));
}

const char *adapter_place_file(const struct adapter_place *place, const char *name,
                               struct buf *path)
{
    buf_reset(path);
    buf_printf(path, "%s/%s", place->folder.data, name);
    return path->data;
}

/* -- what is there -- */

static bool is_temporary(const char *name)
{
    return strncmp(name, TEMPORARY_PREFIX, strlen(TEMPORARY_PREFIX)) == 0;
}

/* What a run of ours leaves; nothing else is ever removed. */
static bool is_ours(const char *name)
{
    static const char *const names[] = {
        "adapter_config.json", "adapter_model.safetensors", ADAPTER_PLACE_CHECKPOINT,
        ADAPTER_PLACE_METRICS, ADAPTER_PLACE_CARD,
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return is_temporary(name) || strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* The first file that is not ours; "" if all are, or the folder cannot be read. */
static void find_stranger(const char *folder, char *name, size_t size)
{
    DIR *directory = opendir(folder);
    struct dirent *entry;

    name[0] = '\0';
    while (directory && (entry = readdir(directory)) != NULL && name[0] == '\0') {
        if (!is_ours(entry->d_name))
            snprintf(name, size, "%s", entry->d_name);
    }
    if (directory)
        closedir(directory);
}

static bool is_there(const char *folder, const char *name)
{
    struct buf path = {0};
    struct stat st;
    bool found;

    buf_printf(&path, "%s/%s", folder, name);
    found = stat(path.data, &st) == 0;
    buf_release(&path);
    return found;
}

bool adapter_place_check(const char *path, bool force, struct status *status)
{
    char stranger[256];
    struct stat st;

    if (stat(path, &st) != 0)
        return errno == ENOENT || fail(path, status);
    if (!S_ISDIR(st.st_mode))
        return status_fail(status, STATUS_USAGE, "%s: is there, and no folder", path);
    if (is_there(path, ADAPTER_PLACE_CHECKPOINT))
        return true; /* of a run that was at its end */
    if (!force)
        return status_fail(status, STATUS_USAGE,
                           "%s: is there already; --force replaces it when the new one is complete",
                           path);
    find_stranger(path, stranger, sizeof(stranger));
    if (stranger[0] != '\0')
        return status_fail(status, STATUS_USAGE,
                           "%s: has the file '%s', which is none of an adapter's: not replaced",
                           path, stranger);
    return true;
}

/* -- removing -- */

static void remove_file(const char *folder, const char *name)
{
    struct buf path = {0};

    buf_printf(&path, "%s/%s", folder, name);
    unlink(path.data);
    buf_release(&path);
}

static void remove_files(const char *folder, bool (*doomed)(const char *name))
{
    DIR *directory = opendir(folder);
    struct dirent *entry;

    while (directory && (entry = readdir(directory)) != NULL) {
        if (doomed(entry->d_name))
            remove_file(folder, entry->d_name);
    }
    if (directory)
        closedir(directory);
}

static void sync_folder(const char *path)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

/* -- a run -- */

static bool lock(struct adapter_place *place, struct status *status)
{
    const char *folder = place->folder.data;

    place->lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (place->lock < 0)
        return fail(folder, status);
    if (flock(place->lock, LOCK_EX | LOCK_NB) == 0)
        return true;
    if (errno == EWOULDBLOCK)
        return status_fail(status, STATUS_AGAIN, "%s: another run is at work here", folder);
    return fail(folder, status);
}

bool adapter_place_open(struct adapter_place *place, const char *path, bool restart,
                        struct status *status)
{
    bool is_at_end;

    *place = (struct adapter_place){.lock = -1};
    buf_append_string(&place->path, path);
    while (place->path.len > 1 && place->path.data[place->path.len - 1] == '/')
        place->path.data[--place->path.len] = '\0';
    if (restart)
        remove_file(place->path.data, ADAPTER_PLACE_CHECKPOINT);
    is_at_end = is_there(place->path.data, ADAPTER_PLACE_CHECKPOINT);
    buf_printf(&place->folder, "%s%s", place->path.data, is_at_end ? "" : ".part");
    if (mkdir(place->folder.data, 0777) != 0 && errno != EEXIST)
        return fail(place->folder.data, status);
    if (!lock(place, status))
        return false;
    remove_files(place->folder.data, is_temporary);
    if (restart)
        remove_file(place->folder.data, ADAPTER_PLACE_CHECKPOINT);
    return true;
}

/* What the folder replaces is then called PATH.part, for a moment. */
static bool take_name(const struct adapter_place *place, struct status *status)
{
    const char *from = place->folder.data, *to = place->path.data;
    struct stat st;
    const bool exists = stat(to, &st) == 0;

    if (exists ? renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE) == 0
               : rename(from, to) == 0)
        return true;
    return fail(to, status);
}

static void remove_replaced(const struct adapter_place *place)
{
    struct buf part = {0};

    buf_printf(&part, "%s.part", place->path.data);
    if (is_there(part.data, "."))
        remove_files(part.data, is_ours);
    rmdir(part.data);
    buf_release(&part);
}

bool adapter_place_finish(struct adapter_place *place, struct status *status)
{
    sync_folder(place->folder.data);
    if (strcmp(place->folder.data, place->path.data) != 0 && !take_name(place, status))
        return false;
    file_sync_folder_of(place->path.data);
    remove_replaced(place);
    remove_file(place->path.data, ADAPTER_PLACE_CHECKPOINT);
    return true;
}

void adapter_place_close(struct adapter_place *place)
{
    if (place->lock >= 0)
        close(place->lock);
    buf_release(&place->path);
    buf_release(&place->folder);
    *place = (struct adapter_place){.lock = -1};
}
