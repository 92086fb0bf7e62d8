/* The tokenizer in a GGUF file: what is accepted encodes and decodes. */
#include "check_tokens.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct text text = text_of("the <|im_end|> aa1 \xC3\xA9");
    struct tokenizer *tokenizer;
    struct tokens tokens = {0};
    struct status status;
    struct gguf gguf;

    if (!gguf_read(&gguf, data, size, &status))
        return 0;
    tokenizer = tokenizer_open_gguf(&gguf, "fuzz", &status);
    gguf_close(&gguf);
    if (!tokenizer)
        return 0;
    if (tokenizer_encode(tokenizer, text, TOKENIZER_SPECIAL, &tokens, &status)) {
        check_ids(tokenizer, &tokens);
        check_decoded(tokenizer, &tokens);
    }
    tokens_release(&tokens);
    tokenizer_close(tokenizer);
    return 0;
}
