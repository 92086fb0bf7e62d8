/* SentencePiece models: what is accepted has pieces inside the file, and as a tokenizer, its own or
 * Llama's, it encodes and decodes. */
#define _GNU_SOURCE /* memfd_create */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check_tokens.h"
#include "formats/sentencepiece.h"
#include "fuzz.h"
#include "text/tokenizer_parts.h"

static void check_model(const uint8_t *data, size_t size)
{
    struct sentencepiece model;
    struct status status;

    if (!sentencepiece_read(&model, data, size, &status)) {
        check(status.code == STATUS_CONFIG && model.n == 0);
        return;
    }
    for (size_t i = 0; i < model.n; i++) {
        const struct text text = model.pieces[i].text;

        check(text.len == 0 || ((const uint8_t *)text.ptr >= data &&
                                (const uint8_t *)text.ptr + text.len <= data + size));
    }
    check(model.unknown_id >= 0 && (size_t)model.unknown_id < model.n);
    check(model.begin_id < (int32_t)model.n && model.end_id < (int32_t)model.n);
    sentencepiece_release(&model);
}

static void use(struct tokenizer *tokenizer, const struct status *why)
{
    static const char *const texts[] = {"", " the  <s> aa1 \xC3\xA9\n ", "\xF0\x9F\xA4\x92 ab"};

    if (!tokenizer) {
        check(why->code == STATUS_CONFIG && why->message[0] != '\0');
        return;
    }
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct tokens tokens = {0};
        struct status status;

        if (tokenizer_encode(tokenizer, text_of(texts[i]), TOKENIZER_SPECIAL, &tokens, &status)) {
            check_ids(tokenizer, &tokens);
            check_decoded(tokenizer, &tokens);
        }
        tokens_release(&tokens);
    }
    tokenizer_close(tokenizer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1; /* one file for all inputs */
    struct status status = {0};
    char path[40];

    check_model(data, size);
    if (fd < 0)
        fd = memfd_create("model", 0);
    check(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    use(tokenizer_open_sentencepiece(path, &status), &status);
    use(tokenizer_open_llama(path, NULL, &status), &status);
    return 0;
}
