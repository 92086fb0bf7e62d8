/* Encode and decode on a small byte-level vocabulary: the bytes come back, ids are in range, text
 * is whole UTF-8. */
#include "check_tokens.h"
#include "fuzz.h"
#include "tests/unit/encode_text.h"
#include "tests/unit/small_bpe.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct tokenizer *tokenizer = small_tokenizer();
    const struct text text = {(const char *)data, size};
    struct tokens tokens = {0};

    round_trip(tokenizer, text, TOKENIZER_PLAIN);
    round_trip(tokenizer, text, TOKENIZER_NO_ADDED);
    encode_text(tokenizer, text, TOKENIZER_SPECIAL, &tokens);
    check(tokens.n >= 2 && tokens.ids[0] == SMALL_END && tokens.ids[tokens.n - 1] == SMALL_END);
    check_cut(tokenizer, size > 0 ? data[0] % 8u : 0, &tokens);
    tokens_release(&tokens);
    return 0;
}
