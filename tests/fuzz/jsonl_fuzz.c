/* Lines of a file, plain or gzip: none is longer than asked for, none holds a line end, and the
 * lines of a plain file are its bytes. The first byte of the input is the limit. */
#define _GNU_SOURCE /* memfd_create */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "formats/jsonl.h"
#include "fuzz.h"

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void check_line(const struct line *line, size_t number, size_t max_line)
{
    check(line->number == number);
    check(line->bytes.len <= max_line);
    check(line->too_long ? line->size > max_line : line->size == line->bytes.len);
    check(line->bytes.len == 0 || !memchr(line->bytes.ptr, '\n', line->bytes.len));
}

static void read_lines(const char *path, size_t max_line, const uint8_t *data, size_t size)
{
    const bool is_gzip = size > 1 && data[0] == 0x1f && data[1] == 0x8b;
    struct status status = {0};
    struct jsonl *jsonl = jsonl_open(&path, 1, max_line, &status);
    size_t n_lines = 0, n_ends = 0;
    enum jsonl_result result;
    struct line line;

    check(jsonl != NULL);
    while ((result = jsonl_next(jsonl, &line, &status)) == JSONL_LINE) {
        check_line(&line, ++n_lines, max_line);
        n_ends += !line.unfinished;
    }
    check(result == JSONL_END || (is_gzip && status.message[0] != '\0'));
    if (!is_gzip) {
        size_t n = 0;

        for (size_t i = 0; i < size; i++)
            n += data[i] == '\n';
        check(n == n_ends && (n_lines == n || n_lines == n + 1));
    }
    jsonl_close(jsonl);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1; /* one file for all inputs: making them takes longer than reading */
    char path[40];

    if (size == 0)
        return 0;
    if (fd < 0)
        fd = memfd_create("jsonl", 0);
    check(fd >= 0 && ftruncate(fd, 0) == 0);
    check(pwrite(fd, data + 1, size - 1, 0) == (ssize_t)(size - 1));
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    read_lines(path, data[0], data + 1, size - 1);
    return 0;
}
