/* What stream.h promises to find out before anything expensive begins. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/stream.h"

/* A file that is not there, cannot be read or is a directory. A fifo is not opened: whoever writes
 * it would take that for the reading. */
static bool check_readable(const char *path, struct status *status)
{
    struct stat st;

    if (strcmp(path, "-") == 0)
        return true;
    if (stat(path, &st) != 0 || access(path, R_OK) != 0)
        return status_fail(status, STATUS_NO_INPUT, "%s: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return status_fail(status, STATUS_NO_INPUT, "%s: %s", path, strerror(EISDIR));
    return true;
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return S_ISREG(a->st_mode) && a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static bool stat_input(const char *path, struct stat *st)
{
    return (strcmp(path, "-") == 0 ? fstat(STDIN_FILENO, st) : stat(path, st)) == 0;
}

/* Written while it is read, a file would lose its records, or never end. (-o is safe: it replaces
 * the file when all has been read.) */
static bool check_not_input(const struct stream_options *options, const struct stat *written,
                            const char *name, struct status *status)
{
    const size_t n = options->n_files > 0 ? options->n_files : 1;

    for (size_t i = 0; i < n && !options->query; i++) {
        const char *path = options->n_files > 0 ? options->files[i] : "-";
        struct stat st;

        if (stat_input(path, &st) && is_same_file(&st, written))
            return status_fail(status, STATUS_USAGE, "%s: the file is input and output at once",
                               strcmp(name, "-") == 0 ? "stdout" : name);
    }
    return true;
}

static bool check_outputs(const struct stream_options *options, struct status *status)
{
    const bool to_stdout = !options->output || strcmp(options->output, "-") == 0;
    struct stat st;

    /* an empty file that is both, as after `tool <f >f`, gives nothing to read: no harm */
    if (to_stdout && fstat(STDOUT_FILENO, &st) == 0 && st.st_size > 0 &&
        !check_not_input(options, &st, "-", status))
        return false;
    if (options->errors && stat(options->errors, &st) == 0 &&
        !check_not_input(options, &st, options->errors, status))
        return false;
    if (options->errors && !to_stdout && strcmp(options->errors, options->output) == 0)
        return status_fail(status, STATUS_USAGE, "%s: given as --output and as --errors",
                           options->output);
    return true;
}

bool stream_check(const struct stream_options *options, struct status *status)
{
    for (size_t i = 0; i < options->n_files; i++) {
        if (!check_readable(options->files[i], status))
            return false;
    }
    if (options->shard.n > 0 && !jsonl_shard_check(options->files, options->n_files, status))
        return false;
    if (options->expect_file && !check_readable(options->expect_file, status))
        return false;
    return check_outputs(options, status);
}
