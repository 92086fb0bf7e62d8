/* One sentence, for a person, on why a passage was selected or not.
 *
 * Rationales and places are counted from 1, as people do: "best match of rationale 2 (0.61)".
 * Scores are cosines with two decimals, or BM25 scores. No text of the record but passage ids.
 */
#ifndef RANK_REASON_H
#define RANK_REASON_H

#include "rank/meteora.h"

/* Appends the sentence on passage `index`, without quotes. */
void reason_passage(const struct meteora *meteora, const struct meteora_scores *scores,
                    const struct passages *passages, size_t index, struct buf *out);

/* Appends one on the whole selection. query_alone: rationales were wanted, and there were none. */
void reason_selection(const struct meteora *meteora, const struct meteora_scores *scores,
                      bool query_alone, struct buf *out);

#endif
