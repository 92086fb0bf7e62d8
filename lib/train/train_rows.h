/* All rows of a training run: tokens and targets, tokenized once and kept in two long arrays, five
 * bytes a token. Memory grows with the data, unlike that of the other tools: rows are drawn in an
 * order of their own, several times.
 *
 * A row is made of a record that has
 *
 *   what medrat-score reads (run/score_input.h: tokens, context + continuation, prompt +
 *     completion, text): the same tokens, and as targets those that it would score;
 *   else query + rationales: the recipe's prompt, as medrat-gen would make it for so many
 *     rationales as there are, and behind it the rationales, one a line.
 *
 * Behind it comes the model's end token, a target like the others, unless the row was cut, has one
 * already, or is a text of the fine-tune's form that ends before its completion.
 */
#ifndef TRAIN_TRAIN_ROWS_H
#define TRAIN_TRAIN_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "formats/record.h"
#include "text/prompt.h"
#include "train/train_pass.h"

/* Far above what fits any memory, far below what overflows. */
#define TRAIN_ROWS_MAX_TOKENS ((size_t)1 << 40)

struct train_rows_options {
    struct prompt_options prompt; /* opened; its recipe, truncate and tokenizer (NULL: only `tokens`
                                     can be rows) count for all */
    size_t max_length;            /* tokens of a row, the end token included; >= 2 */
    int vocab_size;               /* of the model: no token may reach it */
    bool completion_only;         /* targets: the completion and the end token alone */
    bool recipe_only;             /* query + rationales, whatever else there is */
    int32_t end_id;               /* the end token; -1: none is put behind a row */
    int32_t masked_id;            /* a token that is never a target; -1: none */
    size_t max_bytes;             /* that rows may take; 0: no limit */
};

struct train_rows_entry {
    size_t first; /* token */
    int n_tokens;
    int n_targets; /* >= 1 */
    uint64_t key;  /* the record's */
    size_t id;     /* where its id, or "line N", begins in names; ended by a zero */
};

/* Zeroed = valid and empty. */
struct train_rows {
    int32_t *tokens;  /* [n_tokens] ours */
    uint8_t *targets; /* [n_tokens] ours: 0 or 1 */
    size_t n_tokens, cap;
    struct train_rows_entry *entries; /* [n] ours */
    size_t n, entries_cap;
    struct buf names;
    size_t n_targets;   /* of all rows */
    size_t n_truncated; /* rows that were cut */
    int longest;        /* tokens of a row */
};

/* Adds the row of a record. STATUS_INPUT: the record has none ("missing", "no_target", "too_long"
 * with TRUNCATE_ERROR, ...); STATUS_MEMORY: max_bytes are full. */
bool train_rows_add(struct train_rows *rows, const struct train_rows_options *options,
                    const struct record *record, struct status *status) MUST_CHECK;
void train_rows_release(struct train_rows *rows);

/* Row i as the passes take it; its dropout key is of seed, epoch and record. */
struct train_row train_rows_get(const struct train_rows *rows, size_t i, uint64_t seed,
                                uint64_t epoch);
/* The id's JSON bytes, else "line N". */
const char *train_rows_name(const struct train_rows *rows, size_t i);

/* Hash of all tokens, targets, ends and keys. */
uint64_t train_rows_hash(const struct train_rows *rows);
/* Memory that they take. */
size_t train_rows_bytes(const struct train_rows *rows);
/* The most tokens that any `n` rows have together. */
size_t train_rows_most(const struct train_rows *rows, size_t n);

#endif
