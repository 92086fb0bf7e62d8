/* What stands round a text, or round the two texts of a pair: special tokens in their places, and
 * the type of each token (BERT's segment). */
#ifndef TEXT_TOKEN_FRAME_H
#define TEXT_TOKEN_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In place of an id: the whole of a text. */
enum { TOKEN_FRAME_A = -1, TOKEN_FRAME_B = -2 };

struct token_frame_item {
    int32_t id;
    int32_t type;
};

/* Zeroed = valid and empty. */
struct token_frame {
    struct token_frame_item *items; /* ours, [n] */
    size_t n;
};

void token_frame_add(struct token_frame *frame, int32_t id, int32_t type);
void token_frame_release(struct token_frame *frame);

size_t token_frame_n_special(const struct token_frame *frame);

/* In a framed encoding whose texts have n[0] (A) and n[1] (B) ids: where A (which = 0) or B (1)
 * begins. With special == false the special tokens were left out. */
size_t token_frame_place(const struct token_frame *frame, const size_t n[2], int which,
                         bool special);

#endif
