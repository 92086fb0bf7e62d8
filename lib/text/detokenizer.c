#include "text/detokenizer.h"

#include <string.h>

#define REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

void detokenizer_init(struct detokenizer *detokenizer, const struct tokenizer *tokenizer,
                      bool show_control)
{
    *detokenizer = (struct detokenizer){.tokenizer = tokenizer, .show_control = show_control};
}

/* How long is the character that this byte begins? 0: none. */
static size_t sequence_length(unsigned char first)
{
    if (first < 0x80)
        return 1;
    if (first < 0xC2)
        return 0;
    if (first < 0xE0)
        return 2;
    if (first < 0xF0)
        return 3;
    return first < 0xF5 ? 4 : 0;
}

/* May `byte` follow the n held bytes? The second byte has the bounds that keep out overlong forms,
 * surrogates and what lies beyond U+10FFFF (Unicode, table 3-7). */
static bool continues(const char *held, size_t n, unsigned char byte)
{
    const unsigned char first = (unsigned char)held[0];

    if (n == 1 && first == 0xE0)
        return byte >= 0xA0 && byte <= 0xBF;
    if (n == 1 && first == 0xED)
        return byte >= 0x80 && byte <= 0x9F;
    if (n == 1 && first == 0xF0)
        return byte >= 0x90 && byte <= 0xBF;
    if (n == 1 && first == 0xF4)
        return byte >= 0x80 && byte <= 0x8F;
    return byte >= 0x80 && byte <= 0xBF;
}

static void push_byte(struct detokenizer *d, char byte, struct buf *out)
{
    if (d->n_held > 0 && !continues(d->held, d->n_held, (unsigned char)byte)) {
        buf_append_string(out, REPLACEMENT);
        d->n_held = 0;
    }
    if (d->n_held == 0 && sequence_length((unsigned char)byte) == 0) {
        buf_append_string(out, REPLACEMENT);
        return;
    }
    d->held[d->n_held++] = byte;
    if (d->n_held == sequence_length((unsigned char)d->held[0])) {
        buf_append(out, d->held, d->n_held);
        d->n_held = 0;
    }
}

/* Does this piece follow the word before it without a space? tokenizers' "cleanup". */
static bool clings(struct text piece)
{
    static const char *const beginnings[] = {".", "?", "!", ",", "n't", "'m", "'s", "'ve", "'re"};

    for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
        if (text_starts_with(piece, text_of(beginnings[i])))
            return true;
    }
    return false;
}

static void push_word(struct detokenizer *d, struct text piece, struct buf *out)
{
    if (d->started && text_starts_with(piece, text_of("##"))) {
        piece.ptr += 2;
        piece.len -= 2;
    } else if (d->started && !(tokenizer_cleans_up(d->tokenizer) && clings(piece))) {
        buf_append_char(out, ' ');
    }
    buf_append_text(out, piece);
}

void detokenizer_push(struct detokenizer *d, int32_t id, struct buf *out)
{
    const struct text bytes = tokenizer_bytes(d->tokenizer, id);

    if (bytes.len == 0 || (!d->show_control && tokenizer_is_control(d->tokenizer, id)))
        return;
    if (tokenizer_is_wordpiece(d->tokenizer)) {
        push_word(d, bytes, out);
    } else {
        for (size_t i = 0; i < bytes.len; i++)
            push_byte(d, bytes.ptr[i], out);
    }
    d->started = true;
}

void detokenizer_flush(struct detokenizer *d, struct buf *out)
{
    if (d->n_held > 0)
        buf_append_string(out, REPLACEMENT);
    detokenizer_init(d, d->tokenizer, d->show_control);
}
