/* Which windows a long text is scored in, and which of them scores what.
 *
 * Of n > max_length ids, the first n_front are special tokens (a start token): they stand before
 * every window. Window k = 0, 1, .. holds them and then the ids
 *
 *     [b, e),   b = n_front + k * stride,   e = min(n, b + max_length - n_front)
 *
 * and scores those in [p, e), where p is the e of the window before it; the last has e = n. Without
 * a special token this is the strided perplexity that transformers documents. So every token is
 * scored once, and all but those of the first window have at least max_length - stride ids of
 * context. A window without a target is left out. A text of at most
 * max_length ids is one window.
 */
#ifndef RUN_SCORE_WINDOWS_H
#define RUN_SCORE_WINDOWS_H

#include <stdbool.h>
#include <stddef.h>

struct score_windows {
    size_t n_ids, n_front;
    size_t max_length; /* > n_front, of special tokens too */
    size_t stride;     /* >= 1, <= score_windows_max_stride */
    /* the module's own */
    size_t begin;  /* of the next window */
    size_t scored; /* ids before this are scored, or no targets */
};

struct score_window {
    size_t begin, end; /* of the text's ids, behind the n_front first */
    size_t first;      /* its targets are [first, end) */
};

/* The largest stride that leaves no token without a predecessor. */
size_t score_windows_max_stride(size_t max_length, size_t n_front);

/* Of n_ids ids, those from first_target >= 1 on are targets. */
void score_windows_init(struct score_windows *windows, size_t n_ids, size_t n_front,
                        size_t first_target, size_t max_length, size_t stride);

/* The next window that has a target; false: there is none. */
bool score_windows_next(struct score_windows *windows, struct score_window *window);

#endif
