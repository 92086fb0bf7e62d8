#include "formats/foreign_file.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/byte_cursor.h"

struct start {
    uint8_t bytes[64];
    size_t n; /* of bytes */
    size_t file_size;
};

static bool begins(const uint8_t *data, size_t size, const char *with)
{
    const size_t n = strlen(with);

    return size >= n && strncasecmp((const char *)data, with, n) == 0;
}

/* The first byte of text, behind a byte order mark and blanks. */
static size_t skip_blanks(const uint8_t *data, size_t size)
{
    size_t at = begins(data, size, "\xEF\xBB\xBF") ? 3 : 0;

    while (at < size && (data[at] == ' ' || (data[at] >= '\t' && data[at] <= '\r')))
        at++;
    return at;
}

static bool is_page(const uint8_t *data, size_t size)
{
    static const char *const starts[] = {"<!doctype", "<html", "<head", "<?xml"};

    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        if (begins(data, size, starts[i]))
            return true;
    }
    return false;
}

/* JSON in braces; a bracket begins many a vocabulary ("[PAD]"). */
static bool is_object(const uint8_t *data, size_t size)
{
    const size_t at = size > 0 ? 1 + skip_blanks(data + 1, size - 1) : 0;

    return at < size && data[0] == '{' && (data[at] == '"' || data[at] == '}');
}

static bool is_zeros(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (data[i] != 0)
            return false;
    }
    return true;
}

/* The length of a header that is a JSON object, and the object's first two bytes. */
static bool is_safetensors(const struct start *start)
{
    return start->n >= 10 && byte_cursor_le64(start->bytes) <= start->file_size - 8 &&
           start->bytes[8] == '{' && (start->bytes[9] == '"' || start->bytes[9] == '}');
}

static const char *name_by_start(const uint8_t *data, size_t size)
{
    static const struct {
        const char *start, *name;
    } kinds[] = {
        {"GGUF", FOREIGN_FILE_GGUF},
        {"ggml", "a GGML file, older than GGUF"},
        {"ggjt", "a GGML file, older than GGUF"},
        {"PK\3\4", "a zip archive"},
        {"\x1F\x8B\b", "gzip data"},
        {"\x28\xB5\x2F\xFD", "zstd data"},
        {"\x80\2\x8A\nl\xFC\x9C\x46\xF9", "a pickle of PyTorch, which is never read"},
    };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (size >= strlen(kinds[i].start) &&
            memcmp(data, kinds[i].start, strlen(kinds[i].start)) == 0)
            return kinds[i].name;
    }
    return NULL;
}

static const char *name_of(const struct start *start)
{
    const size_t blanks = skip_blanks(start->bytes, start->n), n = start->n - blanks;
    const uint8_t *text = start->bytes + blanks;
    const char *name = name_by_start(start->bytes, start->n);

    if (name)
        return name;
    if (is_safetensors(start))
        return FOREIGN_FILE_SAFETENSORS;
    if (is_page(text, n))
        return "a web page (HTML or XML)";
    return is_object(text, n) ? FOREIGN_FILE_JSON : NULL;
}

/* The first bytes of a regular file and the size of all; false if they cannot be had. */
static bool read_start(const char *path, struct start *start)
{
    struct stat info;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool ok = fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
    ssize_t n = ok ? read(fd, start->bytes, sizeof(start->bytes)) : -1;

    if (fd >= 0)
        close(fd);
    if (n < 0)
        return false;
    start->n = (size_t)n;
    start->file_size = (size_t)info.st_size;
    return true;
}

bool foreign_file_explain(const char *path, const char *wanted, struct status *status)
{
    struct start start;
    const char *name;

    if (status->code != STATUS_CONFIG || !read_start(path, &start))
        return false;
    if (start.n == 0)
        return status_fail(status, STATUS_CONFIG, "%s: is empty, not %s", path, wanted);
    if (begins(start.bytes, start.n, "version https://git-lfs."))
        return status_fail(status, STATUS_CONFIG,
                           "%s: is a pointer of Git LFS, not %s: 'git lfs pull' fetches the file",
                           path, wanted);
    if (is_zeros(start.bytes, start.n))
        return status_fail(status, STATUS_CONFIG,
                           "%s: begins with zero bytes, not as %s does: is it fetched completely?",
                           path, wanted);
    name = name_of(&start);
    if (name && strcmp(name, wanted) != 0)
        status_set(status, STATUS_CONFIG, "%s: is %s, not %s", path, name, wanted);
    return false;
}
