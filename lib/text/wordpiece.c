#include "text/wordpiece.h"

#include <stdlib.h>

#include "base/memory.h"
#include "text/bert_unicode.h"
#include "text/unicode.h"

static bool init_tails(struct wordpiece *wordpiece, const struct text *pieces, size_t n,
                       struct text prefix, struct status *status)
{
    struct text *keys = memory_zeroed(n, sizeof(*keys));
    int32_t *values = memory_zeroed(n, sizeof(*values));
    size_t n_keys = 0;
    bool ok;

    for (size_t i = 0; i < n; i++) {
        if (pieces[i].len <= prefix.len || !text_starts_with(pieces[i], prefix))
            continue;
        keys[n_keys] = (struct text){pieces[i].ptr + prefix.len, pieces[i].len - prefix.len};
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

/* Every piece is whole UTF-8, so the longest match ends between characters. */
static void encode_word(const struct wordpiece *w, struct text word, size_t n_chars,
                        struct tokens *out)
{
    const size_t n_before = out->n;

    if (n_chars > w->max_word) {
        tokens_push(out, w->unknown_id);
        return;
    }
    for (size_t at = 0, len; at < word.len; at += len) {
        const int32_t id = trie_longest(at == 0 ? &w->heads : &w->tails, word, at, &len);

        if (id < 0) {
            out->n = n_before;
            tokens_push(out, w->unknown_id);
            return;
        }
        tokens_push(out, id);
    }
}

/* What a word of one ASCII character becomes. */
static void init_ascii(struct wordpiece *w)
{
    struct tokens tokens = {0};

    for (size_t i = 0; i < sizeof(w->ascii) / sizeof(w->ascii[0]); i++) {
        const char c = (char)i;

        tokens_reset(&tokens);
        encode_word(w, (struct text){&c, 1}, 1, &tokens);
        w->ascii[i] = tokens.ids[0];
    }
    tokens_release(&tokens);
}

bool wordpiece_init(struct wordpiece *wordpiece, const struct text *pieces, size_t n,
                    struct text prefix, int32_t unknown_id, size_t max_word, struct status *status)
{
    *wordpiece = (struct wordpiece){.unknown_id = unknown_id, .max_word = max_word};
    if (!init_heads(wordpiece, pieces, n, status) ||
        !init_tails(wordpiece, pieces, n, prefix, status)) {
        wordpiece_release(wordpiece);
        return false;
    }
    init_ascii(wordpiece);
    return true;
}

void wordpiece_release(struct wordpiece *wordpiece)
{
    trie_release(&wordpiece->heads);
    trie_release(&wordpiece->tails);
    *wordpiece = (struct wordpiece){0};
}

static bool is_punctuation(int32_t c)
{
    if (c < 0x80)
        return (c >= 0x21 && c <= 0x2F) || (c >= 0x3A && c <= 0x40) || (c >= 0x5B && c <= 0x60) ||
               (c >= 0x7B && c <= 0x7E);
    return bert_unicode_is_punctuation(c);
}

/* Blocks of letters and marks alone, so that most text beyond ASCII asks for no property: Latin to
 * Greek, Cyrillic, Hangul and Ethiopic, Han, Hangul syllables. */
static bool is_in_word(int32_t c)
{
    return (c >= 0xC0 && c <= 0x37D) || (c >= 0x388 && c <= 0x559) ||
           (c >= 0x1100 && c <= 0x135F) || (c >= 0x3400 && c <= 0x9FFF) ||
           (c >= 0xAC00 && c <= 0xD7A3);
}

void wordpiece_encode(const struct wordpiece *wordpiece, struct text text, struct tokens *out)
{
    size_t begin = 0, n_chars = 0; /* of the word at hand */

    for (size_t at = 0, n; at < text.len; at += n) {
        int32_t c;
        bool space, alone;

        n = unicode_decode(text, at, &c);
        if (is_in_word(c)) {
            n_chars++;
            continue;
        }
        space = unicode_is_space(c);
        alone = !space && is_punctuation(c);
        if (!space && !alone) {
            n_chars++;
            continue;
        }
        if (n_chars > 0)
            encode_word(wordpiece, (struct text){text.ptr + begin, at - begin}, n_chars, out);
        if (alone && n == 1)
            tokens_push(out, wordpiece->ascii[c]);
        else if (alone)
            encode_word(wordpiece, (struct text){text.ptr + at, n}, 1, out);
        begin = at + n;
        n_chars = 0;
    }
    if (n_chars > 0)
        encode_word(wordpiece, (struct text){text.ptr + begin, text.len - begin}, n_chars, out);
}
