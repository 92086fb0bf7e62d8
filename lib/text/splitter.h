/* The steps that cut a text into the pieces that a model encodes one by one: pre-tokenizers.
 *
 * Each step cuts the pieces of the one before: by a known rule (text/pretokenizer.h), by a regular
 * expression, by a string, by numbers; or puts a space before each piece that has none.
 */
#ifndef TEXT_SPLITTER_H
#define TEXT_SPLITTER_H

#include "base/buf.h"
#include "formats/tokenizer_json.h"
#include "text/pretokenizer.h"
#include "text/split_regex.h"

struct splitter_step;

/* Zeroed = valid: the whole text is the one piece. */
struct splitter {
    struct splitter_step *steps; /* ours, [n] */
    size_t n;
    bool has_regex;
};

struct splitter_match;

struct splitter_pieces {
    struct text *items; /* ours */
    size_t n, cap;
};

/* What one text at a time needs; kept for the next. Zeroed = valid and empty. */
struct splitter_scratch {
    struct splitter_pieces pieces, others; /* of the step at hand and of the one before */
    struct splitter_match *matches;        /* a piece's matches, and what lies between them */
    size_t n_matches, cap_matches;
    struct buf prefixed; /* pieces with a space in front */
    struct buf clean;    /* text without malformed bytes, for regular expressions */
    struct split_regex_scratch regex;
};

/* Add a step. */
void splitter_add_rule(struct splitter *splitter, enum pretokenizer rule);
/* STEP_SPLIT, STEP_DIGITS or STEP_BYTE_LEVEL of a tokenizer.json. STATUS_CONFIG: see split_regex.h
 */
bool splitter_add(struct splitter *splitter, const struct tokenizer_json_step *step,
                  struct status *status) MUST_CHECK;
void splitter_release(struct splitter *splitter);
void splitter_scratch_release(struct splitter_scratch *scratch);

/* The pieces of a text, none of them empty, in scratch->pieces; they point into the text or the
 * scratch space. STATUS_INPUT: see split_regex.h. */
bool splitter_run(const struct splitter *splitter, struct splitter_scratch *scratch,
                  struct text text, struct status *status) MUST_CHECK;

#endif
