/* The steps that change a text before anything is cut: normalizers of a tokenizer.json. */
#ifndef TEXT_NORMALIZER_H
#define TEXT_NORMALIZER_H

#include "base/buf.h"
#include "formats/tokenizer_json.h"
#include "text/bert_normalizer.h"
#include "text/normal_form.h"
#include "text/split_regex.h"

struct normalizer_step;

/* Zeroed = valid: the text stays as it is. */
struct normalizer {
    struct normalizer_step *steps; /* ours, [n] */
    size_t n;
};

/* What one text at a time needs; kept for the next. Zeroed = valid and empty. */
struct normalizer_scratch {
    struct buf text[2];
    struct bert_normalizer_scratch bert;
    struct normal_form_scratch form;
    struct split_regex_scratch regex;
};

/* Add a step, one of the normalizers. STATUS_CONFIG: see split_regex.h. */
bool normalizer_add(struct normalizer *normalizer, const struct tokenizer_json_step *step,
                    struct status *status) MUST_CHECK;
void normalizer_release(struct normalizer *normalizer);
void normalizer_scratch_release(struct normalizer_scratch *scratch);

/* The normalised text: *text itself, or in the scratch space until the next call. STATUS_INPUT: see
 * split_regex.h. */
bool normalizer_run(const struct normalizer *normalizer, struct normalizer_scratch *scratch,
                    struct text *text, struct status *status) MUST_CHECK;

#endif
