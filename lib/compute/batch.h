/* What one forward pass reads: rows of (token, position), grouped by the sequence they belong to.
 *
 * Ragged: every row is a real token, nothing is padded. The rows of one sequence are contiguous and
 * their positions consecutive, so a segment says where its keys and values go and what it may see.
 * A prompt may come whole, in chunks, or token by token; the results are the same bits.
 */
#ifndef COMPUTE_BATCH_H
#define COMPUTE_BATCH_H

#include <stdint.h>

struct segment {
    int slot;      /* of the KV cache */
    int first_row; /* of the batch */
    int n_rows;    /* >= 1 */
    int position;  /* of the first row, from 0: so many tokens of the slot are in the cache already
                    */
    int adapter;   /* of those that the pass was given; -1: the base alone */
};

/* All arrays belong to the caller and lie in host memory. */
struct batch {
    int n_rows;
    const int32_t *tokens;    /* [n_rows] */
    const int32_t *positions; /* [n_rows] as the segments have them */
    const int32_t *types;     /* [n_rows] BERT's token types; NULL for models without them */
    int n_segments;
    const struct segment *segments; /* [n_segments], together they cover all rows, in order */
};

#endif
