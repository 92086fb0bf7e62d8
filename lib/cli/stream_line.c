#include "cli/stream_line.h"

#include <inttypes.h>
#include <string.h>

#include "base/utf8.h"
#include "formats/json_write.h"

/* A line of plain text as the record that it stands for. */
static bool wrap_text(struct text text, const char *member, struct buf *record,
                      struct status *status)
{
    const size_t bad = utf8_first_bad(text);
    const char *nul = text.len > 0 ? memchr(text.ptr, '\0', text.len) : NULL;

    if (text.len == 0)
        return status_fail_record(status, "blank", NULL, "blank line");
    if (nul || bad < text.len) {
        if (nul)
            status_set_record(status, "nul", NULL, "NUL byte in line");
        else
            status_set_record(status, "utf8", NULL, "byte 0x%02x is not UTF-8",
                              (unsigned)(unsigned char)text.ptr[bad]);
        status->column = (nul ? (size_t)(nul - text.ptr) : bad) + 1;
        return false;
    }
    buf_append_char(record, '{');
    json_write_name(record, member);
    json_write_string(record, text);
    buf_append_char(record, '}');
    return true;
}

static bool parse_text(struct job *job, struct text text, const char *member, struct status *status)
{
    struct buf object = {0};
    bool ok;

    buf_append_text(&job->raw, text);
    ok = wrap_text(text, member, &object, status) &&
         record_parse(&job->record, buf_text(&object), status);
    buf_release(&object);
    return ok;
}

bool stream_line_parse(struct job *job, const struct line *line, const char *text_member,
                       struct status *status)
{
    job->record.file = line->file;
    job->record.number = line->number;
    if (line->too_long)
        return status_fail_record(status, "line_too_long", NULL,
                                  "line of %" PRIu64 " bytes is longer than --max-line",
                                  line->size);
    if (text_member)
        return parse_text(job, line->bytes, text_member, status);
    if (record_parse(&job->record, line->bytes, status))
        return true;
    if (line->unfinished && status->column == line->bytes.len + 1 &&
        strcmp(status->kind, "json") == 0)
        status_prefix(status, "the last line is cut short");
    return false;
}
