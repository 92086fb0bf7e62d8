/* BERT's normaliser and WordPiece on any text, and with any vocabulary: the lines before the first
 * empty one are pieces, what follows is text. Without an empty line all is text, for a vocabulary
 * of our own. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "fuzz.h"
#include "text/bert_normalizer.h"
#include "text/unicode.h"
#include "text/vocab.h"
#include "text/wordpiece.h"

static const char own_pieces[] =
    "[UNK]\na\nb\nab\n##a\n##b\n##ab\n.\n1\n##1\n\xC3\xA9\n##\xCC\x87\ni\n"
    "\xE4\xB8\xAD\n##\xE4\xB8\xAD\n";

static void check(bool ok)
{
    if (!ok)
        abort();
}

static struct text *split_lines(struct text text, size_t *n)
{
    struct text *lines = NULL;

    *n = 0;
    for (size_t at = 0; at < text.len;) {
        const char *newline = memchr(text.ptr + at, '\n', text.len - at);
        const size_t end = newline ? (size_t)(newline - text.ptr) : text.len;

        lines = memory_resize(lines, *n + 1, sizeof(*lines));
        lines[(*n)++] = (struct text){text.ptr + at, end - at};
        at = end + 1;
    }
    return lines;
}

/* Every id is a piece's, and the scratch space carries nothing from one text to the next. */
static void encode(const struct wordpiece *wordpiece, const struct bert_normalizer *options,
                   size_t n_pieces, struct text text)
{
    struct bert_normalizer_scratch scratch = {0};
    struct buf normal = {0}, again = {0};
    struct tokens tokens = {0};

    bert_normalizer_append(options, &scratch, text, &normal);
    bert_normalizer_append(options, &scratch, text, &again);
    check(text_equals(buf_text(&normal), buf_text(&again)));
    check(unicode_is_valid(buf_text(&normal)));
    wordpiece_encode(wordpiece, buf_text(&normal), &tokens);
    for (size_t i = 0; i < tokens.n; i++)
        check(tokens.ids[i] >= 0 && (size_t)tokens.ids[i] < n_pieces);
    check(tokens.n <= 4 * text.len);
    tokens_reset(&tokens);
    wordpiece_encode(wordpiece, text, &tokens); /* as it came: cased, without a normaliser */
    check(tokens.n <= text.len);
    tokens_release(&tokens);
    buf_release(&normal);
    buf_release(&again);
    bert_normalizer_scratch_release(&scratch);
}

static void try_options(const struct text *pieces, size_t n_pieces, struct text text)
{
    for (unsigned bits = 0; bits < 16; bits += 5) { /* none, 0 and 2, 1 and 3, all */
        const struct bert_normalizer options = {.clean_text = bits & 1,
                                                .chinese_chars = bits & 2,
                                                .strip_accents = bits & 4,
                                                .lowercase = bits & 8};
        struct wordpiece wordpiece;
        struct status status;

        check(wordpiece_init(&wordpiece, pieces, n_pieces, text_of("##"), 0, bits % 2 ? 100 : 3,
                             &status));
        encode(&wordpiece, &options, n_pieces, text);
        wordpiece_release(&wordpiece);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text text = {(const char *)data, size}, pieces = text_of(own_pieces), *lines;
    struct vocab vocab;
    struct status status;
    size_t n_lines;

    for (size_t i = 1; i < size; i++) {
        if (data[i - 1] == '\n' && data[i] == '\n') {
            pieces = (struct text){text.ptr, i};
            text = (struct text){text.ptr + i + 1, size - i - 1};
            break;
        }
    }
    lines = split_lines(pieces, &n_lines);
    if (vocab_init(&vocab, lines, n_lines, &status)) {
        for (size_t i = 0; i < vocab.n; i++)
            check(vocab_find(&vocab, lines[i]) == (int32_t)i);
        try_options(vocab.pieces, vocab.n, text);
        vocab_release(&vocab);
    }
    free(lines);
    return 0;
}
