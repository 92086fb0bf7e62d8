/* Passages of any text: only white space is in none, none is too long or breaks a character. The
 * first two bytes are the size and the overlap. */
#include <stdlib.h>

#include "base/utf8.h"
#include "check_tokens.h"
#include "fuzz.h"
#include "tests/unit/small_bpe.h"
#include "text/chunk.h"

static const struct tokenizer *small_tokenizer(void)
{
    static struct tokenizer *tokenizer; /* lives as long as the fuzzer */
    const struct small_bpe small = {.add_bos = true};
    struct status status;
    struct gguf gguf;
    struct buf buf = {0};

    if (tokenizer)
        return tokenizer;
    put_small_bpe(&buf, &small);
    check(gguf_read(&gguf, (const uint8_t *)buf.data, buf.len, &status));
    tokenizer = tokenizer_open_gguf(&gguf, "small", &status);
    check(tokenizer != NULL);
    gguf_close(&gguf);
    buf_release(&buf);
    return tokenizer;
}

static bool is_white(struct text text)
{
    for (size_t at = 0; at < text.len;) {
        int32_t c;

        at += unicode_decode(text, at, &c);
        if (!unicode_is_space(c))
            return false;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const size_t n_head = size < 2 ? size : 2;
    const struct text text = {(const char *)data + n_head, size - n_head};
    const bool valid = utf8_first_bad(text) == text.len;
    struct chunk_options options = {small_tokenizer(), TOKENIZER_SPECIAL, 17, 0};
    struct chunks chunks = {0};
    struct status status;
    size_t done = 0;

    if (n_head == 2) {
        options.max_tokens += data[0] % 64u;
        options.overlap = data[1] % options.max_tokens;
    }
    check(chunk_text(&options, text, &chunks, &status));
    for (size_t i = 0; i < chunks.n; i++) {
        const struct chunk *c = &chunks.items[i];
        const struct text part = {text.ptr + c->begin, c->end - c->begin};

        check(c->begin < c->end && c->end <= text.len && c->end > done);
        check(c->begin <= done || is_white((struct text){text.ptr + done, c->begin - done}));
        check(options.overlap > 0 || c->begin >= done);
        check(!valid || utf8_first_bad(part) == part.len);
        check(c->n_tokens <= options.max_tokens);
        done = c->end;
    }
    check(is_white((struct text){text.ptr + done, text.len - done}));
    chunks_release(&chunks);
    return 0;
}
