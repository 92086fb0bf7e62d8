#include "text/wordpiece.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "text/bert_unicode.h"
#include "text/unicode.h"

/* The work on one text: each function below hands its result on to the one above it. */
struct work {
    const struct wordpiece *wordpiece;
    struct wordpiece_scratch *scratch;
    struct tokens *out;
};

static bool init_tails(struct wordpiece *wordpiece, const struct text *pieces, size_t n,
                       struct status *status)
{
    struct text *keys = memory_zeroed(n, sizeof(*keys));
    int32_t *values = memory_zeroed(n, sizeof(*values));
    size_t n_keys = 0;
    bool ok;

    for (size_t i = 0; i < n; i++) {
        if (pieces[i].len <= 2 || memcmp(pieces[i].ptr, "##", 2) != 0)
            continue;
        keys[n_keys] = (struct text){pieces[i].ptr + 2, pieces[i].len - 2};
        values[n_keys++] = (int32_t)i;
    }
    ok = trie_init(&wordpiece->tails, keys, values, n_keys, status);
    free(keys);
    free(values);
    return ok;
}

static bool init_heads(struct wordpiece *wordpiece, const struct text *pieces, size_t n,
                       struct status *status)
{
    int32_t *values = memory_zeroed(n, sizeof(*values));
    bool ok;

    for (size_t i = 0; i < n; i++)
        values[i] = (int32_t)i;
    ok = trie_init(&wordpiece->heads, pieces, values, n, status);
    free(values);
    return ok;
}

bool wordpiece_init(struct wordpiece *wordpiece, const struct text *pieces, size_t n,
                    int32_t unknown_id, const struct wordpiece_options *options,
                    struct status *status)
{
    *wordpiece = (struct wordpiece){.options = *options, .unknown_id = unknown_id};
    if (init_heads(wordpiece, pieces, n, status) && init_tails(wordpiece, pieces, n, status))
        return true;
    wordpiece_release(wordpiece);
    return false;
}

void wordpiece_release(struct wordpiece *wordpiece)
{
    trie_release(&wordpiece->heads);
    trie_release(&wordpiece->tails);
    *wordpiece = (struct wordpiece){0};
}

void wordpiece_scratch_release(struct wordpiece_scratch *scratch)
{
    buf_release(&scratch->word);
    tokens_release(&scratch->marks);
    tokens_release(&scratch->ordered);
    *scratch = (struct wordpiece_scratch){0};
}

/* The word is complete. Every piece is whole UTF-8, so the longest match ends between characters.
 */
static void end_word(struct work *work)
{
    struct wordpiece_scratch *s = work->scratch;
    const struct wordpiece *w = work->wordpiece;
    const struct text word = buf_text(&s->word);
    const size_t n_before = work->out->n;

    if (s->n_chars > w->options.max_word) {
        tokens_push(work->out, w->unknown_id);
    } else {
        for (size_t at = 0, len; at < word.len; at += len) {
            const int32_t id = trie_longest(at == 0 ? &w->heads : &w->tails, word, at, &len);

            if (id < 0) {
                work->out->n = n_before;
                tokens_push(work->out, w->unknown_id);
                break;
            }
            tokens_push(work->out, id);
        }
    }
    buf_reset(&s->word);
    s->n_chars = 0;
}

static void put_in_word(struct work *work, int32_t c)
{
    struct wordpiece_scratch *s = work->scratch;

    if (s->n_chars++ < work->wordpiece->options.max_word) {
        char *end = buf_reserve(&s->word, UNICODE_MAX_BYTES);

        s->word.len += unicode_encode(c, end);
    }
}

static bool is_punctuation(int32_t c)
{
    if (c < 0x80)
        return (c >= 0x21 && c <= 0x2F) || (c >= 0x3A && c <= 0x40) || (c >= 0x5B && c <= 0x60) ||
               (c >= 0x7B && c <= 0x7E);
    return bert_unicode_is_punctuation(c);
}

static void split(struct work *work, int32_t c)
{
    if (unicode_is_space(c)) {
        end_word(work);
    } else if (is_punctuation(c)) {
        end_word(work);
        put_in_word(work, c);
        end_word(work);
    } else {
        put_in_word(work, c);
    }
}

static void lower(struct work *work, int32_t c)
{
    int32_t lowered[UNICODE_MAX_LOWER];
    size_t n;

    if (!work->wordpiece->options.lowercase) {
        split(work, c);
        return;
    }
    n = unicode_lower(c, lowered);
    for (size_t i = 0; i < n; i++)
        split(work, lowered[i]);
}

/* Canonical order: marks between two starters, by combining class, equals as they came. Counting,
 * so that a text of nothing but marks takes linear time. */
static void order_marks(struct wordpiece_scratch *s)
{
    const size_t n = s->marks.n;
    size_t starts[256] = {0}; /* of each class, where its next mark goes */
    size_t sum = 0;

    for (size_t i = 0; i < n; i++)
        starts[unicode_combining_class(s->marks.ids[i]) & 255]++;
    for (size_t class = 0; class < 256; class ++) {
        const size_t count = starts[class];

        starts[class] = sum;
        sum += count;
    }
    tokens_reset(&s->ordered);
    tokens_reserve(&s->ordered, n);
    for (size_t i = 0; i < n; i++) {
        const int32_t mark = s->marks.ids[i];

        s->ordered.ids[starts[unicode_combining_class(mark) & 255]++] = mark;
    }
    s->ordered.n = n;
}

static void end_marks(struct work *work)
{
    struct wordpiece_scratch *s = work->scratch;

    if (s->marks.n == 1) {
        lower(work, s->marks.ids[0]);
    } else if (s->marks.n > 1) {
        order_marks(s);
        for (size_t i = 0; i < s->ordered.n; i++)
            lower(work, s->ordered.ids[i]);
    }
    tokens_reset(&s->marks);
}

/* Marks that stay although accents go are rare: spacing ones with a class, as Balinese has. */
static void strip_accents(struct work *work, int32_t c)
{
    int32_t parts[UNICODE_MAX_DECOMPOSED];
    size_t n;

    if (!work->wordpiece->options.strip_accents) {
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
    const bool chinese = work->wordpiece->options.chinese_chars && c >= 0x3400 && is_chinese(c);

    if (chinese)
        strip_accents(work, ' ');
    strip_accents(work, c);
    if (chinese)
        strip_accents(work, ' ');
}

static void clean(struct work *work, int32_t c)
{
    if (!work->wordpiece->options.clean_text || (c > ' ' && c < 0x7F)) {
        separate_chinese(work, c);
    } else if (c == '\t' || c == '\n' || c == '\r' || c == ' ') {
        strip_accents(work, ' ');
    } else if (c != 0 && c != UNICODE_REPLACEMENT && !bert_unicode_is_control(c)) {
        separate_chinese(work, unicode_is_space(c) ? ' ' : c);
    }
}

void wordpiece_encode(const struct wordpiece *wordpiece, struct wordpiece_scratch *scratch,
                      struct text text, struct tokens *out)
{
    struct work work = {wordpiece, scratch, out};

    for (size_t at = 0; at < text.len;) {
        int32_t c;

        at += unicode_decode(text, at, &c);
        clean(&work, c);
    }
    end_marks(&work);
    end_word(&work);
}
