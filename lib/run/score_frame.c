#include "run/score_frame.h"

#include <string.h>

static const char instruction[] = "### Instruction:\n";
static const char query[] = "### Query:\n";
static const char response[] = "### Response:\n";

/* Where the first line that is `heading` begins, at `from` (the beginning of a line) or after;
 * text.len: there is none. */
static size_t find_line(struct text text, size_t from, const char *heading)
{
    const size_t len = strlen(heading);

    while (text.len - from >= len) {
        const char *newline;

        if (memcmp(text.ptr + from, heading, len) == 0)
            return from;
        newline = memchr(text.ptr + from, '\n', text.len - from);
        if (!newline)
            break;
        from = (size_t)(newline - text.ptr) + 1;
    }
    return text.len;
}

/* The end of what stands before a heading at `end`: without the newline of its last line, and
 * without the empty line behind it. */
static size_t content_end(struct text text, size_t begin, size_t end)
{
    for (int i = 0; i < 2 && end > begin && text.ptr[end - 1] == '\n'; i++)
        end--;
    return end;
}

void score_frame_find(struct text text, struct score_frame *frame)
{
    size_t from = 0, at = text.len;

    *frame = (struct score_frame){0};
    if (text.len > 0 && find_line(text, 0, instruction) == 0)
        at = find_line(text, strlen(instruction), query);
    if (at < text.len) {
        frame->is_whole = true;
        from = frame->query = at + strlen(query);
    }
    at = find_line(text, from, response);
    frame->has_completion = at < text.len;
    frame->completion = frame->has_completion ? at + strlen(response) : text.len;
    if (frame->is_whole)
        frame->query_end = frame->has_completion ? content_end(text, from, at) : text.len;
}
