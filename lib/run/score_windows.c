#include "run/score_windows.h"

#include <assert.h>

size_t score_windows_max_stride(size_t max_length, size_t n_front)
{
    return max_length - (n_front > 0 ? n_front : 1);
}

void score_windows_init(struct score_windows *w, size_t n_ids, size_t n_front, size_t first_target,
                        size_t max_length, size_t stride)
{
    assert(first_target >= 1);
    *w = (struct score_windows){.n_ids = n_ids, .max_length = max_length, .stride = stride};
    w->scored = first_target;
    if (n_ids <= max_length)
        return; /* one window, specials and all */
    assert(n_front < max_length && stride >= 1);
    assert(stride <= score_windows_max_stride(max_length, n_front));
    w->n_front = w->begin = n_front;
}

bool score_windows_next(struct score_windows *w, struct score_window *window)
{
    const size_t width = w->max_length - w->n_front;

    if (w->scored >= w->n_ids)
        return false;
    while (w->begin + width <= w->scored)
        w->begin += w->stride;
    *window = (struct score_window){.begin = w->begin, .end = w->n_ids, .first = w->scored};
    if (w->n_ids - w->begin > width)
        window->end = w->begin + width;
    w->begin += w->stride;
    w->scored = window->end;
    return true;
}
