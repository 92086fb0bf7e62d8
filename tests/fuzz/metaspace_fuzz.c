/* Encode and decode on a small SentencePiece vocabulary: valid text comes back; merging word by
 * word, with words remembered, gives what merging the whole text gives. The first byte chooses the
 * options. */
#define _GNU_SOURCE /* memfd_create */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/utf8.h"
#include "check_tokens.h"
#include "fuzz.h"
#include "tests/unit/small_spm.h"
#include "text/tokenizer_parts.h"

enum { OPTION_SETS = 8 };

static struct tokenizer *open_small(unsigned options)
{
    const struct small_spm small = {.prefix = options & 1,
                                    .collapse = options & 2,
                                    .bytes = options & 4,
                                    .extra = "-\u2581a",
                                    .extra_type = SENTENCEPIECE_USER_DEFINED};
    const int fd = memfd_create("model", 0);
    struct buf bytes = {0};
    struct status status;
    struct tokenizer *tokenizer;
    char path[40];

    put_small_spm(&bytes, &small);
    check(fd >= 0 && write(fd, bytes.data, bytes.len) == (ssize_t)bytes.len);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    tokenizer = tokenizer_open_sentencepiece(path, &status);
    check(tokenizer != NULL);
    close(fd);
    buf_release(&bytes);
    return tokenizer;
}

static void encode(struct tokenizer *tokenizer, struct text text, bool words, unsigned flags,
                   struct tokens *out)
{
    struct status status;

    tokenizer->metaspace.words = words;
    check(tokenizer_encode(tokenizer, text, flags, out, &status));
    check_ids(tokenizer, out);
}

/* Does decoding give back the text? Not where spaces were collapsed, bytes replaced, characters
 * unknown, or spelled as what a space becomes. */
static bool comes_back(unsigned options, struct text text)
{
    for (size_t i = 0; i + 3 <= text.len; i++) {
        if (memcmp(text.ptr + i, METASPACE, 3) == 0)
            return false;
    }
    return (options & 6) == 4 && utf8_first_bad(text) == text.len;
}

static void check_text(struct tokenizer *tokenizer, const struct tokens *tokens, struct text text)
{
    struct detokenizer d;
    struct buf out = {0};

    detokenizer_init(&d, tokenizer, true);
    for (size_t i = 0; i < tokens->n; i++)
        detokenizer_push(&d, tokens->ids[i], &out);
    detokenizer_flush(&d, &out);
    check(text_equals(buf_text(&out), text));
    buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tokenizer *tokenizers[OPTION_SETS]; /* they live as long as the fuzzer */
    const unsigned options = size > 0 ? data[0] % OPTION_SETS : 0;
    const struct text text = {(const char *)data + (size > 0), size - (size > 0)};
    struct tokens tokens = {0}, whole = {0};

    if (!tokenizers[options])
        tokenizers[options] = open_small(options);
    encode(tokenizers[options], text, true, TOKENIZER_SPECIAL, &tokens);
    encode(tokenizers[options], text, false, TOKENIZER_SPECIAL, &whole);
    check(tokens.n == whole.n &&
          (tokens.n == 0 || memcmp(tokens.ids, whole.ids, tokens.n * sizeof(*tokens.ids)) == 0));
    check_decoded(tokenizers[options], &tokens);
    if (comes_back(options, text))
        check_text(tokenizers[options], &tokens, text);
    tokens_release(&tokens);
    tokens_release(&whole);
    return 0;
}
