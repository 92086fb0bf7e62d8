/* Cuts text into the segments that byte-level BPE works on, in one pass without backtracking: the
 * patterns that models have in common. All but SmolLM's differ by their pattern alone, of which the
 * first alternative that matches counts; every character is in a match.
 *
 *   GPT2     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 *   SMOLLM   first every number character (\p{N}: Nd, Nl, No) is a segment of its own, then each
 *            stretch between numbers is cut by GPT-2's pattern; its end counts as the text's
 *   LLAMA3   (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|
 *             ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
 *   QWEN2    LLAMA3 with \p{N} instead of \p{N}{1,3}
 *   GPT4O    with U = [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}], L = [\p{Ll}\p{Lm}\p{Lo}\p{M}] and
 *            C = (?i:'s|'t|'re|'ve|'m|'ll|'d)
 *            [^\r\n\p{L}\p{N}]?U*L+C?|[^\r\n\p{L}\p{N}]?U+L*C?|\p{N}{1,3}|
 *             ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
 */
#ifndef TEXT_PRETOKENIZER_H
#define TEXT_PRETOKENIZER_H

#include <stddef.h>

#include "base/text.h"

enum pretokenizer {
    PRETOKENIZER_NONE,
    PRETOKENIZER_GPT2,
    PRETOKENIZER_SMOLLM,
    PRETOKENIZER_LLAMA3,
    PRETOKENIZER_QWEN2,
    PRETOKENIZER_GPT4O,
};

/* The rule whose pattern this is, as tokenizer files spell it; PRETOKENIZER_NONE: it is another. */
enum pretokenizer pretokenizer_find(struct text pattern);

/* The end of the segment that begins at `at`, which must be where a segment ended, or 0.
 * at < result <= text.len. */
size_t pretokenizer_next(enum pretokenizer rule, struct text text, size_t at);

#endif
