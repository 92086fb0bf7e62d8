/* What must hold of the passages of any text. */
#ifndef UNIT_CHUNK_CHECK_H
#define UNIT_CHUNK_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "text/chunk.h"
#include "text/unicode.h"

static inline void cut_text(const struct tokenizer *tokenizer, struct text text, size_t max_tokens,
                            size_t overlap, struct chunks *chunks)
{
    const struct chunk_options options = {tokenizer, TOKENIZER_SPECIAL, max_tokens, overlap};
    struct status status;

    assert_true(chunk_text(&options, text, chunks, &status));
}

static inline bool is_white_text(struct text text)
{
    for (size_t at = 0; at < text.len;) {
        int32_t c;

        at += unicode_decode(text, at, &c);
        if (!unicode_is_space(c))
            return false;
    }
    return true;
}

static inline size_t count_tokens(const struct tokenizer *tokenizer, struct text text)
{
    struct tokens tokens = {0};
    struct status status;
    size_t n;

    assert_true(tokenizer_encode(tokenizer, text, TOKENIZER_SPECIAL, &tokens, &status));
    n = tokens.n;
    tokens_release(&tokens);
    return n;
}

/* Cuts and checks: only white space is in no passage; none is too long or breaks a character; what
 * two share is within the overlap. */
static inline void check_chunks(const struct tokenizer *tokenizer, struct text text,
                                size_t max_tokens, size_t overlap)
{
    struct chunks chunks = {0};
    size_t done = 0;

    cut_text(tokenizer, text, max_tokens, overlap, &chunks);
    for (size_t i = 0; i < chunks.n; i++) {
        const struct chunk *c = &chunks.items[i];
        const struct text part = {text.ptr + c->begin, c->end - c->begin};

        assert_true(c->begin < c->end && c->end <= text.len && c->end > done);
        assert_true(overlap > 0 || c->begin >= done);
        if (c->begin > done)
            assert_true(is_white_text((struct text){text.ptr + done, c->begin - done}));
        assert_int_equal(utf8_first_bad(part), part.len);
        assert_false(is_white_text((struct text){part.ptr, 1}));
        assert_in_range(c->n_tokens, 1, max_tokens);
        assert_int_equal(c->n_tokens, count_tokens(tokenizer, part));
        if (i > 0 && c->begin < done) /* what is shared is within the overlap */
            assert_true(
                count_tokens(tokenizer, (struct text){text.ptr + c->begin, done - c->begin}) <=
                overlap + tokenizer_n_special(tokenizer, false));
        done = c->end;
    }
    assert_true(is_white_text((struct text){text.ptr + done, text.len - done}));
    chunks_release(&chunks);
}

#endif
