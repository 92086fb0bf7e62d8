#include "text/detokenizer.h"

#include <string.h>

#include "base/utf8.h"
#include "text/metaspace_text.h"

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

static void put_replacements(struct buf *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_append_string(out, REPLACEMENT);
}

/* The held bytes will not become a character. */
static void give_up(struct detokenizer *d, enum tokenizer_damage damage, struct buf *out)
{
    put_replacements(out, damage == TOKENIZER_DAMAGE_PART ? 1 : d->n_held);
    d->n_held = 0;
}

static void push_byte(struct detokenizer *d, char byte, enum tokenizer_damage damage,
                      struct buf *out)
{
    if (d->n_held > 0 && !continues(d->held, d->n_held, (unsigned char)byte))
        give_up(d, damage, out);
    if (d->n_held == 0 && sequence_length((unsigned char)byte) == 0) {
        put_replacements(out, 1);
        return;
    }
    d->held[d->n_held++] = byte;
    if (d->n_held == sequence_length((unsigned char)d->held[0])) {
        buf_append(out, d->held, d->n_held);
        d->n_held = 0;
    }
}

/* The first n held bytes: text if that is what they are, else U+FFFD for each. */
static void put_run(struct detokenizer *d, size_t n, struct buf *out)
{
    const struct text run = {d->held, n};

    if (utf8_first_bad(run) == n)
        buf_append_text(out, run);
    else
        put_replacements(out, n);
    d->n_held -= n;
    memmove(d->held, d->held + n, d->n_held);
}

static void push_run_byte(struct detokenizer *d, char byte, struct buf *out)
{
    if (d->n_held == sizeof(d->held)) {
        size_t n = d->n_held; /* up to the last character's first byte */

        while (n > d->n_held - 4 && ((unsigned char)d->held[n - 1] & 0xC0) == 0x80)
            n--;
        put_run(d, n > 1 && (unsigned char)d->held[n - 1] >= 0xC2 ? n - 1 : d->n_held, out);
    }
    d->held[d->n_held++] = byte;
}

/* What is held, at the end of a run of byte tokens. */
static void end_run(struct detokenizer *d, enum tokenizer_damage damage, struct buf *out)
{
    if (d->n_held == 0)
        return;
    if (damage == TOKENIZER_DAMAGE_RUN)
        put_run(d, d->n_held, out);
    else
        give_up(d, damage, out);
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

/* The first token without its spaces. */
static void put_unspaced(struct text bytes, struct buf *out)
{
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.ptr[i] != ' ')
            buf_append_char(out, bytes.ptr[i]);
    }
}

/* A piece of a Metaspace vocabulary, which may begin the text. */
static void push_piece(struct detokenizer *d, int32_t id, struct text bytes, struct buf *out)
{
    const enum tokenizer_lead lead = tokenizer_lead(d->tokenizer);

    if (d->lead_over || lead == TOKENIZER_LEAD_KEPT) {
        buf_append_text(out, bytes);
        return;
    }
    if (lead == TOKENIZER_LEAD_TOKEN) {
        put_unspaced(bytes, out);
        d->lead_over = true;
        return;
    }
    /* SentencePiece looks at the piece: what stands for unknown text keeps its space. */
    if (bytes.len > 0 && bytes.ptr[0] == ' ' &&
        (lead == TOKENIZER_LEAD_ONE ||
         text_starts_with(tokenizer_piece(d->tokenizer, id), text_of(METASPACE)))) {
        bytes.ptr++;
        bytes.len--;
        d->lead_over = lead != TOKENIZER_LEAD_ALL;
    }
    d->lead_over = d->lead_over || bytes.len > 0;
    buf_append_text(out, bytes);
}

static void push_metaspace(struct detokenizer *d, int32_t id, struct text bytes, struct buf *out)
{
    const enum tokenizer_damage damage = tokenizer_damage(d->tokenizer);

    if (!tokenizer_is_byte(d->tokenizer, id)) {
        end_run(d, damage, out);
        push_piece(d, id, bytes, out);
        return;
    }
    if (tokenizer_lead(d->tokenizer) == TOKENIZER_LEAD_ONE && !d->lead_over && *bytes.ptr == ' ') {
        d->lead_over = true; /* Strip looks at the text, not at its tokens */
        return;
    }
    d->lead_over = true;
    if (damage == TOKENIZER_DAMAGE_RUN)
        push_run_byte(d, *bytes.ptr, out);
    else
        push_byte(d, *bytes.ptr, damage, out);
}

void detokenizer_push(struct detokenizer *d, int32_t id, struct buf *out)
{
    const struct text bytes = tokenizer_bytes(d->tokenizer, id);

    if (bytes.len == 0)
        return;
    if (!d->show_control && tokenizer_is_control(d->tokenizer, id)) {
        if (tokenizer_damage(d->tokenizer) == TOKENIZER_DAMAGE_BYTE) /* SentencePiece sees it */
            end_run(d, TOKENIZER_DAMAGE_BYTE, out);
        return;
    }
    if (tokenizer_is_wordpiece(d->tokenizer)) {
        push_word(d, bytes, out);
    } else if (tokenizer_is_metaspace(d->tokenizer)) {
        push_metaspace(d, id, bytes, out);
    } else {
        for (size_t i = 0; i < bytes.len; i++)
            push_byte(d, bytes.ptr[i], TOKENIZER_DAMAGE_PART, out);
    }
    d->started = true;
}

void detokenizer_go_on(struct detokenizer *d)
{
    d->lead_over = true;
}

void detokenizer_flush(struct detokenizer *d, struct buf *out)
{
    end_run(d, tokenizer_damage(d->tokenizer), out);
    detokenizer_init(d, d->tokenizer, d->show_control);
}
