/* Cuts text into the segments that byte-level BPE works on, in one pass without backtracking.
 *
 * The rule is SmolLM's: first every number character (\p{N}: Nd, Nl, No) is a segment of its own,
 * then each stretch between numbers is cut by GPT-2's pattern
 *   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 * where the end of a stretch counts as the end of the text.
 */
#ifndef TEXT_PRETOKENIZER_H
#define TEXT_PRETOKENIZER_H

#include <stddef.h>

#include "base/text.h"

/* The end of the segment that begins at `at`, which must be where a segment ended, or 0.
 * at < result <= text.len. */
size_t pretokenizer_next(struct text text, size_t at);

#endif
