/* Encode and decode on a small byte-level vocabulary: the bytes come back, ids are in range, text
 * is whole UTF-8. Input that begins as GGUF is opened as a tokenizer of its own instead. */
#include <stdlib.h>

#include "fuzz.h"
#include "tests/unit/encode_text.h"
#include "tests/unit/small_bpe.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"

static void check(bool ok)
{
    if (!ok)
        abort();
}

static const struct tokenizer *small_tokenizer(void)
{
    static struct tokenizer *tokenizer; /* lives as long as the fuzzer */
    const struct small_bpe small = {.add_bos = true, .add_eos = true};
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

static void check_ids(const struct tokenizer *tokenizer, const struct tokens *tokens)
{
    for (size_t i = 0; i < tokens->n; i++)
        check(tokens->ids[i] >= 0 && tokens->ids[i] < tokenizer_vocab_size(tokenizer));
}

static void check_decoded(const struct tokenizer *tokenizer, const struct tokens *tokens)
{
    struct detokenizer d;
    struct buf out = {0};

    detokenizer_init(&d, tokenizer, true);
    for (size_t i = 0; i < tokens->n; i++) {
        detokenizer_push(&d, tokens->ids[i], &out);
        check(d.n_held < 4);
    }
    detokenizer_flush(&d, &out);
    check(unicode_is_valid(buf_text(&out)));
    buf_release(&out);
}

static void check_cut(const struct tokenizer *tokenizer, size_t max_length, struct tokens *tokens)
{
    const size_t n = tokens->n, n_special = tokenizer_n_special(tokenizer, false);
    const size_t gone =
        tokenizer_cut(tokenizer, TOKENIZER_SPECIAL, max_length,
                      max_length % 2 ? TOKENIZER_KEEP_HEAD : TOKENIZER_KEEP_TAIL, tokens);

    check(tokens->n + gone == n);
    check(tokens->n <= (max_length > n_special ? max_length : n_special));
}

static void round_trip(const struct tokenizer *tokenizer, struct text text, unsigned flags)
{
    struct tokens tokens = {0};
    struct buf bytes = {0};

    encode_text(tokenizer, text, flags, &tokens);
    check_ids(tokenizer, &tokens);
    for (size_t i = 0; i < tokens.n; i++) {
        check(flags != TOKENIZER_NO_ADDED || !tokenizer_is_control(tokenizer, tokens.ids[i]));
        buf_append_text(&bytes, tokenizer_bytes(tokenizer, tokens.ids[i]));
    }
    check(text_equals(buf_text(&bytes), text));
    check_decoded(tokenizer, &tokens);
    tokens_release(&tokens);
    buf_release(&bytes);
}

static void open_own(const uint8_t *data, size_t size)
{
    const struct text text = text_of("the <|im_end|> aa1 \xC3\xA9");
    struct tokenizer *tokenizer;
    struct tokens tokens = {0};
    struct status status;
    struct gguf gguf;

    if (!gguf_read(&gguf, data, size, &status))
        return;
    tokenizer = tokenizer_open_gguf(&gguf, "fuzz", &status);
    gguf_close(&gguf);
    if (!tokenizer)
        return;
    encode_text(tokenizer, text, TOKENIZER_SPECIAL, &tokens);
    check_ids(tokenizer, &tokens);
    check_decoded(tokenizer, &tokens);
    tokens_release(&tokens);
    tokenizer_close(tokenizer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct tokenizer *tokenizer = small_tokenizer();
    const struct text text = {(const char *)data, size};
    struct tokens tokens = {0};

    if (gguf_is(data, size)) {
        open_own(data, size);
        return 0;
    }
    round_trip(tokenizer, text, TOKENIZER_PLAIN);
    round_trip(tokenizer, text, TOKENIZER_NO_ADDED);
    encode_text(tokenizer, text, TOKENIZER_SPECIAL, &tokens);
    check(tokens.n >= 2 && tokens.ids[0] == SMALL_END && tokens.ids[tokens.n - 1] == SMALL_END);
    check_cut(tokenizer, size > 0 ? data[0] % 8u : 0, &tokens);
    tokens_release(&tokens);
    return 0;
}
