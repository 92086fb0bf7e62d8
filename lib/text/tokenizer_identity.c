#include "text/tokenizer_identity.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/hash.h"

/* Digits, case, accents, white space, quotes: where tokenizers of one vocabulary part. */
static const char probe[] =
    " Aspirin 100 mg,  twice\tdaily\n\nDon't: na\xC3\xAFve \xE2\x80\x9Cq\xE2\x80\x9D 12345 ID7";

static uint64_t hash_text(uint64_t h, struct text text)
{
    h = hash_more(h, &text.len, sizeof(text.len));
    return hash_more(h, text.ptr, text.len);
}

void tokenizer_identity(const struct tokenizer *tokenizer, char identity[TOKENIZER_IDENTITY_SIZE])
{
    struct tokens ids = {0};
    struct status ignored;
    uint64_t h = HASH_START;

    for (int32_t id = 0; id < tokenizer_vocab_size(tokenizer); id++)
        h = hash_text(h, tokenizer_piece(tokenizer, id));
    h = hash_text(h, tokenizer_chat_template(tokenizer));
    if (tokenizer_encode(tokenizer, text_of(probe), TOKENIZER_SPECIAL, &ids, &ignored))
        h = hash_more(h, ids.ids, ids.n * sizeof(*ids.ids));
    tokens_release(&ids);
    snprintf(identity, TOKENIZER_IDENTITY_SIZE, "%.64s@%016" PRIx64, tokenizer_name(tokenizer),
             hash_mix(h));
}
