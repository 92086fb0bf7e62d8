#include "cli/error_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file_io.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "formats/json_write.h"
#include "formats/record.h"

struct error_file {
    int fd;
    bool is_regular;
    uint64_t size;
    const char *path; /* the caller's */
    struct buf line;
};

static bool fail(const struct error_file *errors, struct status *status)
{
    return status_fail(status, STATUS_IO, "%s: %s", errors->path, strerror(errno));
}

/* Of a file with st. */
static bool cut(struct error_file *errors, const struct stat *st, uint64_t size,
                struct status *status)
{
    if ((uint64_t)st->st_size < size)
        return status_fail(status, STATUS_DATA, "%s: has %llu bytes, but %llu were written",
                           errors->path, (unsigned long long)st->st_size, (unsigned long long)size);
    errors->size = size;
    return (fchmod(errors->fd, 0600) == 0 && ftruncate(errors->fd, (off_t)size) == 0 &&
            lseek(errors->fd, (off_t)size, SEEK_SET) >= 0) ||
           fail(errors, status);
}

struct error_file *error_file_open(const char *path, uint64_t size, struct status *status)
{
    struct error_file *errors = memory_zeroed(1, sizeof(*errors));
    struct stat st;
    bool ok;

    errors->path = path;
    errors->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
    if (errors->fd < 0 || fstat(errors->fd, &st) != 0) {
        ok = fail(errors, status);
    } else {
        errors->is_regular = S_ISREG(st.st_mode);
        ok = !errors->is_regular || cut(errors, &st, size, status);
    }
    if (ok)
        return errors;
    error_file_close(errors);
    return NULL;
}

uint64_t error_file_size(const struct error_file *errors)
{
    return errors->is_regular ? errors->size : 0;
}

void error_file_close(struct error_file *errors)
{
    if (!errors)
        return;
    if (errors->fd >= 0)
        close(errors->fd);
    buf_release(&errors->line);
    free(errors);
}

/* RFC 4648, section 4. */
static void write_base64(struct buf *out, struct text bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    buf_append_char(out, '"');
    for (size_t at = 0; at < bytes.len; at += 3) {
        const size_t left = bytes.len - at;
        const unsigned a = (unsigned char)bytes.ptr[at];
        const unsigned b = left > 1 ? (unsigned char)bytes.ptr[at + 1] : 0;
        const unsigned c = left > 2 ? (unsigned char)bytes.ptr[at + 2] : 0;
        const unsigned group = a << 16 | b << 8 | c;

        buf_append_char(out, digits[group >> 18]);
        buf_append_char(out, digits[group >> 12 & 63]);
        buf_append_char(out, left > 1 ? digits[group >> 6 & 63] : '=');
        buf_append_char(out, left > 2 ? digits[group & 63] : '=');
    }
    buf_append_char(out, '"');
}

static void write_raw(const struct error_file_entry *entry, struct buf *out)
{
    if (entry->size > entry->raw.len) {
        json_write_name(out, "raw");
        buf_append_string(out, "null");
        json_write_name(out, "bytes");
        json_write_uint(out, entry->size);
    } else if (utf8_first_bad(entry->raw) == entry->raw.len) {
        json_write_name(out, "raw");
        json_write_string(out, entry->raw);
    } else {
        json_write_name(out, "raw_base64");
        write_base64(out, entry->raw);
    }
}

/* An error record without id is {"error":{...}} and a line end: its inside is what we want. */
static void write_reason(const struct error_file_entry *entry, struct buf *out)
{
    struct buf record = {0};

    record_write_error(NULL, entry->tool, entry->why, entry->number, &record);
    json_write_comma(out);
    buf_append(out, record.data + 1, record.len - strlen("{") - strlen("}\n"));
    buf_release(&record);
}

bool error_file_write(struct error_file *errors, const struct error_file_entry *entry,
                      struct status *status)
{
    struct buf *line = &errors->line;

    buf_reset(line);
    buf_append_char(line, '{');
    json_write_name(line, "file");
    json_write_string(line, text_of(entry->file));
    json_write_name(line, "line");
    json_write_uint(line, entry->number);
    write_reason(entry, line);
    write_raw(entry, line);
    buf_append_string(line, "}\n");
    errors->size += line->len;
    return file_write_all(errors->fd, line->data, line->len) || fail(errors, status);
}

bool error_file_sync(struct error_file *errors, struct status *status)
{
    return !errors->is_regular || fsync(errors->fd) == 0 || fail(errors, status);
}
