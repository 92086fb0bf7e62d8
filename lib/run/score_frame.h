/* The form of the texts that the rationale model was fine-tuned on, and where its parts lie:
 *
 *     ### Instruction:\n
 *     Given the user query below, ...\n\n
 *     ### Query:\n
 *     QUERY\n\n
 *     ### Response:\n
 *     COMPLETION
 *
 * The instruction is whatever stands there: the training data has more than one. The empty line
 * before a heading belongs to the template. Of each heading the first line counts that is it. Some
 * training texts end with the query, and have no completion.
 */
#ifndef RUN_SCORE_FRAME_H
#define RUN_SCORE_FRAME_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

/* Offsets in bytes, ascending; what lies outside query and completion is the template. */
struct score_frame {
    bool is_whole;           /* it begins with the first heading, and has the second */
    bool has_completion;     /* it has the third, whether it is whole or not */
    size_t query, query_end; /* 0 unless is_whole */
    size_t completion;       /* to the end of the text; text.len unless has_completion */
};

void score_frame_find(struct text text, struct score_frame *frame);

#endif
