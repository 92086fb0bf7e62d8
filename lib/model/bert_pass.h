/* Whole texts, or pairs of them, gathered into one ragged pass of a BERT.
 *
 * A text keeps its order and lies in rows of its own, nothing is padded; what a text is computed to
 * does not depend on the others of its pass.
 */
#ifndef MODEL_BERT_PASS_H
#define MODEL_BERT_PASS_H

#include <stdbool.h>

#include "compute/batch.h"
#include "text/tokens.h"

/* Rows that keep the threads busy, in buffers that a core's cache still holds a good part of. */
enum { BERT_PASS_ROWS = 1024, BERT_PASS_TEXTS = 64 };

struct bert_pass {
    int max_rows, n_rows, n_segments;
    int32_t *tokens, *positions, *types; /* [max_rows] ours */
    struct segment segments[BERT_PASS_TEXTS];
};

/* Room for a text of max_tokens, or many shorter ones. */
void bert_pass_init(struct bert_pass *pass, int max_tokens);
void bert_pass_release(struct bert_pass *pass);

/* Is there room for one more text of n tokens? In an empty pass for max_tokens. */
bool bert_pass_fits(const struct bert_pass *pass, size_t n);

/* Appends a text that fits; types NULL: all 0. */
void bert_pass_add(struct bert_pass *pass, const struct tokens *tokens, const struct tokens *types);

/* The texts added so far, into the pass's arrays. */
struct batch bert_pass_batch(const struct bert_pass *pass);

void bert_pass_clear(struct bert_pass *pass);

#endif
