#include "text/token_frame.h"

#include <stdlib.h>

#include "base/memory.h"

void token_frame_add(struct token_frame *frame, int32_t id, int32_t type)
{
    frame->items = memory_resize(frame->items, frame->n + 1, sizeof(*frame->items));
    frame->items[frame->n++] = (struct token_frame_item){id, type};
}

void token_frame_release(struct token_frame *frame)
{
    free(frame->items);
    *frame = (struct token_frame){0};
}

size_t token_frame_n_special(const struct token_frame *frame)
{
    size_t n = 0;

    for (size_t i = 0; i < frame->n; i++)
        n += frame->items[i].id >= 0;
    return n;
}

size_t token_frame_place(const struct token_frame *frame, const size_t n[2], int which,
                         bool special)
{
    size_t place = 0;

    for (size_t i = 0; i < frame->n; i++) {
        const int32_t id = frame->items[i].id;

        if (id == (which == 0 ? TOKEN_FRAME_A : TOKEN_FRAME_B))
            break;
        if (id >= 0)
            place += special;
        else
            place += n[id == TOKEN_FRAME_A ? 0 : 1];
    }
    return place;
}
