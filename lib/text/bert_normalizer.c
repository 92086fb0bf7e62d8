#include "text/bert_normalizer.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "text/bert_unicode.h"
#include "text/normal_form.h"
#include "text/unicode.h"

/* The work on one text: each function below hands its result on to the one above it. */
struct work {
    const struct bert_normalizer *options;
    struct bert_normalizer_scratch *scratch;
    struct buf *out;
};

/* A character that becomes the same bytes wherever it stands. */
struct bert_known {
    int32_t c; /* 0: none */
    unsigned char len;
    char bytes[19]; /* four parts and the spaces beside an ideograph */
};

enum { N_KNOWN = 1024 }; /* a power of two; a character's place is its low bits */

void bert_normalizer_scratch_release(struct bert_normalizer_scratch *scratch)
{
    tokens_release(&scratch->marks);
    tokens_release(&scratch->ordered);
    free(scratch->known);
    *scratch = (struct bert_normalizer_scratch){0};
}

static void put(struct work *work, int32_t c)
{
    char *end = buf_reserve(work->out, UNICODE_MAX_BYTES);

    work->out->len += unicode_encode(c, end);
    work->out->data[work->out->len] = '\0';
}

static void lower(struct work *work, int32_t c)
{
    int32_t lowered[UNICODE_MAX_LOWER];
    size_t n;

    if (!work->options->lowercase) {
        put(work, c);
        return;
    }
    n = unicode_lower(c, lowered);
    for (size_t i = 0; i < n; i++)
        put(work, lowered[i]);
}

static void end_marks(struct work *work)
{
    struct bert_normalizer_scratch *s = work->scratch;

    if (s->marks.n == 1) {
        lower(work, s->marks.ids[0]);
    } else if (s->marks.n > 1) {
        normal_form_order(s->marks.ids, s->marks.n, &s->ordered);
        for (size_t i = 0; i < s->marks.n; i++)
            lower(work, s->marks.ids[i]);
    }
    tokens_reset(&s->marks);
}

/* Marks that stay although accents go are rare: spacing ones with a class, as Balinese has. */
static void strip_accents(struct work *work, int32_t c)
{
    int32_t parts[UNICODE_MAX_DECOMPOSED];
    size_t n;

    if (!work->options->strip_accents) {
        lower(work, c);
        return;
    }
    if (c < 0x80) {
        end_marks(work);
        lower(work, c);
        return;
    }
    n = unicode_decompose(c, parts);
    for (size_t i = 0; i < n; i++) {
        const bool starter = unicode_combining_class(parts[i]) == 0;
        const bool dropped = bert_unicode_is_nonspacing_mark(parts[i]);

        if (starter)
            end_marks(work);
        if (!dropped && starter)
            lower(work, parts[i]);
        else if (!dropped)
            tokens_push(&work->scratch->marks, parts[i]);
    }
}

/* The blocks that BERT separates; those of tokenizers, which lack 2B820-2B91F of the original. */
static bool is_chinese(int32_t c)
{
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
           (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
           (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
           (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

static void separate_chinese(struct work *work, int32_t c)
{
    const bool chinese = work->options->chinese_chars && c >= 0x3400 && is_chinese(c);

    if (chinese)
        strip_accents(work, ' ');
    strip_accents(work, c);
    if (chinese)
        strip_accents(work, ' ');
}

static void clean(struct work *work, int32_t c)
{
    if (!work->options->clean_text || (c > ' ' && c < 0x7F)) {
        separate_chinese(work, c);
    } else if (c == '\t' || c == '\n' || c == '\r' || c == ' ') {
        strip_accents(work, ' ');
    } else if (c != 0 && c != UNICODE_REPLACEMENT && !bert_unicode_is_control(c)) {
        separate_chinese(work, unicode_is_space(c) ? ' ' : c);
    }
}

/* Does it end the marks before it, and leaves none that wait? */
static bool stands_alone(const struct bert_normalizer *options, int32_t c)
{
    int32_t parts[UNICODE_MAX_DECOMPOSED];
    size_t n;

    if (!options->strip_accents)
        return true;
    n = unicode_decompose(c, parts);
    for (size_t i = 0; i < n; i++) {
        if (unicode_combining_class(parts[i]) != 0 &&
            (i == 0 || !bert_unicode_is_nonspacing_mark(parts[i])))
            return false;
    }
    return true;
}

/* The place of c among the known characters, where it may stand already. */
static struct bert_known *known_place(struct work *work, int32_t c)
{
    struct bert_normalizer_scratch *s = work->scratch;
    const struct bert_normalizer *a = &s->known_under, *b = work->options;

    if (!s->known)
        s->known = memory_zeroed(N_KNOWN, sizeof(*s->known));
    if (a->clean_text != b->clean_text || a->chinese_chars != b->chinese_chars ||
        a->strip_accents != b->strip_accents || a->lowercase != b->lowercase) {
        memset(s->known, 0, N_KNOWN * sizeof(*s->known));
        s->known_under = *b;
    }
    return &s->known[c & (N_KNOWN - 1)];
}

/* A character beyond ASCII: its properties are asked for once. */
static void put_beyond_ascii(struct work *work, int32_t c)
{
    struct bert_known *known = known_place(work, c);
    const size_t from = work->out->len;
    size_t len;

    if (known->c == c) {
        end_marks(work);
        buf_append(work->out, known->bytes, known->len);
        return;
    }
    if (work->scratch->marks.n > 0 || !stands_alone(work->options, c)) {
        clean(work, c);
        return;
    }
    clean(work, c);
    len = work->out->len - from;
    if (len > 0 && len <= sizeof(known->bytes)) {
        known->c = c;
        known->len = (unsigned char)len;
        memcpy(known->bytes, work->out->data + from, len);
    }
}

void bert_normalizer_append(const struct bert_normalizer *options,
                            struct bert_normalizer_scratch *scratch, struct text text,
                            struct buf *out)
{
    struct work work = {options, scratch, out};

    for (size_t at = 0; at < text.len;) {
        int32_t c;

        at += unicode_decode(text, at, &c);
        if (c < 0x80)
            clean(&work, c);
        else
            put_beyond_ascii(&work, c);
    }
    end_marks(&work);
}
